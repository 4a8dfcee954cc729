"""The gRPC edge: one file a noun, put together as one servicer."""

from services.journey.servicer.actors import ActorRpcs
from services.journey.servicer.audience_triggers import AudienceTriggerRpcs
from services.journey.servicer.base import Dependencies
from services.journey.servicer.enrolments import EnrolmentRpcs
from services.journey.servicer.journeys import JourneyRpcs
from services.journey.servicer.parked import ParkedRpcs
from services.journey.servicer.references import ReferenceRpcs
from services.journey.servicer.simulations import SimulationRpcs
from services.journey.servicer.triggers import TriggerRpcs


class JourneyServicer(
    JourneyRpcs,
    EnrolmentRpcs,
    TriggerRpcs,
    AudienceTriggerRpcs,
    ActorRpcs,
    ParkedRpcs,
    ReferenceRpcs,
    SimulationRpcs,
):
    """See `protos/omnijourney/journey/v1/journey_service.proto`."""


__all__ = ["Dependencies", "JourneyServicer"]
