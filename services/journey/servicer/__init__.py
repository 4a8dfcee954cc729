"""The gRPC edge: one file a noun, put together as one servicer."""

from services.journey.servicer.journeys import JourneyServicer

__all__ = ["JourneyServicer"]
