"""Incremental checks: each goes on from the last one that found nothing, with a day of overlap."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from libs.common.clock import SteppedClock
from libs.common.ids import new_id
from services.points.domain.check import Finding, Invariant
from services.points.domain.views import CheckCounts, CheckScope
from services.points.usecases.checks import LedgerChecks

TEAM = new_id()
FAULTS = [Finding(Invariant.CONTINUITY, f"fault {number}") for number in range(3)]


class Checks:
    """A ledger with these faults; notes what it was asked to go over."""

    def __init__(self, faults: list[Finding]) -> None:
        self.faults = faults
        self.scopes: list[CheckScope] = []
        self.last: datetime | None = None

    async def checked_at(self, team_id: object) -> datetime | None:
        return self.last

    async def set_checked_at(self, team_id: object, began_at: datetime) -> None:
        self.last = began_at

    async def check(self, scope: CheckScope, counts: CheckCounts) -> AsyncIterator[Finding]:
        self.scopes.append(scope)
        for fault in self.faults:
            yield fault


async def check(store: Checks, clock: SteppedClock, findings_max: int = 100) -> list[Finding]:
    checks = LedgerChecks(store, clock)
    return [finding async for finding in checks.check_incrementally(TEAM, CheckCounts(), findings_max)]


async def test_a_clean_check_is_where_the_next_one_goes_on_from() -> None:
    store, clock = Checks([]), SteppedClock()
    began_at = clock.now()
    assert await check(store, clock) == []
    clock.advance(timedelta(days=9))
    await check(store, clock)
    assert store.scopes == [
        CheckScope(TEAM),
        CheckScope(TEAM, start=began_at - timedelta(days=1), incremental=True),
    ]
    assert store.last == clock.now()


async def test_a_check_that_finds_something_is_gone_over_again() -> None:
    store, clock = Checks(FAULTS), SteppedClock()
    assert await check(store, clock) == FAULTS
    assert store.last is None


async def test_no_more_is_reported_than_was_asked_for() -> None:
    assert await check(Checks(FAULTS), SteppedClock(), findings_max=2) == FAULTS[:2]
