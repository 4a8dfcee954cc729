"""What the edge of stats calls, and the fields that its requests share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.common.rpc.fields import FieldCheck
from services.stats.domain.series import on_quarter
from services.stats.store.counters import CounterStore
from services.stats.store.orders import OrderStore
from services.stats.usecases.figures import Lifts, Series, Worth
from services.stats.usecases.projections import Projections


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What the servicer calls."""

    counters: CounterStore
    series: Series
    lifts: Lifts
    worth: Worth
    orders: OrderStore
    projections: Projections


def time_on_quarter(check: FieldCheck, request: Any, field: str) -> datetime | None:
    """A required time, which must be a full quarter of an hour."""
    at = check.time(field, request, field)
    if at is not None and not on_quarter(at):
        check.fault(field, "must be a full quarter of an hour")
    return at


def check_order(check: FieldCheck, start: datetime | None, end: datetime | None) -> None:
    """A range has to end after its start."""
    if start is not None and end is not None and end <= start:
        check.fault("end_time", "must be after start_time")
