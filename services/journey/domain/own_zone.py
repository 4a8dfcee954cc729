"""Quiet time by the customer's own clock: the journey as it is for one customer."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime

from msgspec.structs import replace

from services.journey.domain import effects as fx
from services.journey.domain.enrolment import Enrolment
from services.journey.domain.model import Journey


def in_own_zone(
    journey: Journey, enrolment: Enrolment, now: datetime
) -> Generator[fx.Effect, fx.Answer, Journey]:
    """The journey in the zone of the customer, who is asked about only where that matters; in the team's where theirs
    is not known."""
    definition = journey.definition
    if not definition.in_own_zone:
        return journey
    asked = fx.FindZone(enrolment.team_id, enrolment.customer_id, definition.zone_attribute_key, now)
    zone = yield asked
    return replace(journey, zone=zone.name) if isinstance(zone, fx.Zone) and zone.name else journey


def may_change_zone(journey: Journey, done: fx.Effect) -> bool:
    """Whether what was done may have given the customer another zone."""
    return (
        isinstance(done, fx.SetAttribute)
        and journey.definition.in_own_zone
        and done.attribute == journey.definition.zone_attribute_key
    )
