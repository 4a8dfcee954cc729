"""The gRPC edge: one file a noun, put together as one servicer."""

from services.stats.servicer.figures import StatsServicer

__all__ = ["StatsServicer"]
