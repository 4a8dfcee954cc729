"""The gRPC edge: one file a noun, put together as one servicer."""

from services.points.servicer.ledger import PointsServicer

__all__ = ["PointsServicer"]
