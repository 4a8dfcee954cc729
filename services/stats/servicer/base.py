"""What the edge of stats calls, and the fields that its requests share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from libs.common.rpc.fields import FieldCheck
from omnijourney.stats.v1 import figures_pb2
from services.stats.clients.waits import Waits
from services.stats.convert import figures as convert
from services.stats.domain.overview import Overview
from services.stats.domain.series import on_quarter
from services.stats.store.counters import CounterStore
from services.stats.store.opens import OpensStore
from services.stats.store.orders import OrderStore
from services.stats.usecases.figures import Lifts, Ranges, Series, Worth
from services.stats.usecases.projections import Projections
from services.stats.usecases.rebuilds import Rebuilds

STEPS_MAX: Final = 8_784
"""Steps of a series: the hours of a leap year."""
_UNITS: Final = {figures_pb2.STEP_HOUR: "hour", figures_pb2.STEP_DAY: "day"}
_LENGTHS: Final = {"hour": timedelta(hours=1), "day": timedelta(days=1)}


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What the servicer calls."""

    counters: CounterStore
    series: Series
    ranges: Ranges
    lifts: Lifts
    worth: Worth
    waits: Waits
    orders: OrderStore
    projections: Projections
    rebuilds: Rebuilds
    opens: OpensStore


def time_on_quarter(check: FieldCheck, request: Any, field: str) -> datetime | None:
    """A required time, which must be a full quarter of an hour."""
    at = check.time(field, request, field)
    if at is not None and not on_quarter(at):
        check.fault(field, "must be a full quarter of an hour")
    return at


def range_of(check: FieldCheck, request: Any) -> tuple[datetime | None, datetime | None]:
    """Start and end of a range, each of which may be absent."""
    start, end = (
        time_on_quarter(check, request, field) if request.HasField(field) else None
        for field in ("start_time", "end_time")
    )
    check.order(start, end)
    return start, end


async def overviews(
    worth: Worth, team_id: UUID, figures: Sequence[tuple[UUID, Overview]]
) -> list[figures_pb2.JourneyOverview]:
    """Figures of journeys of a team; the rates of its currencies are asked for where one needs them."""
    rates = await worth.rates(team_id, [each for _, each in figures])
    return [convert.overview_message(journey_id, each, rates) for journey_id, each in figures]


def journey_asked(request: Any) -> tuple[UUID, UUID, datetime | None, datetime | None]:
    """Team, journey and range of a request; either end may be absent."""
    check = FieldCheck()
    team_id = check.uuid("team_id", request.team_id)
    journey_id = check.uuid("journey_id", request.journey_id)
    start, end = range_of(check, request)
    check.done()
    return team_id, journey_id, start, end


def asked_by_step(
    request: Any, *, steps_max: int = STEPS_MAX
) -> tuple[UUID, UUID, tuple[datetime, datetime], str]:
    """Team, journey, range and unit of a request for a series."""
    check = FieldCheck()
    team_id = check.uuid("team_id", request.team_id)
    journey_id = check.uuid("journey_id", request.journey_id)
    span, unit = span_of(check, request, steps_max)
    return team_id, journey_id, span, unit


def span_of(
    check: FieldCheck, request: Any, steps_max: int = STEPS_MAX
) -> tuple[tuple[datetime, datetime], str]:
    """Range and unit of a request for a series. Raises InvalidArgument with every fault noted."""
    start, end = (time_on_quarter(check, request, field) for field in ("start_time", "end_time"))
    unit = _UNITS.get(request.step, "")
    if not unit:
        check.fault("step", "is required: STEP_HOUR or STEP_DAY")
    check.order(start, end)
    if start and end and unit and (end - start) / _LENGTHS[unit] > steps_max:
        check.fault(
            "end_time", f"makes more than {steps_max:,} steps: ask for a shorter range or longer steps"
        )
    check.done()
    assert start is not None
    assert end is not None
    return (start, end), unit
