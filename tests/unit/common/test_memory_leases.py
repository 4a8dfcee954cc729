"""Leases in memory behave as those in PostgreSQL."""

from collections.abc import Mapping

import pytest

from libs.testing.lease_suite import Holder, LeaseSite, LeaseSuite
from libs.testing.leases import InMemoryLeaseKeeper, LeaseTable


@pytest.fixture
def site() -> LeaseSite:
    """Leases by a clock that the test moves."""
    time_s = 100.0

    def now() -> float:
        return time_s

    async def pass_by(seconds: float) -> None:
        nonlocal time_s
        time_s += seconds

    table = LeaseTable(now)

    async def check(epochs: Mapping[int, int]) -> None:
        table.check_fence(epochs)

    def keeper(holder: Holder, lease_s: float) -> InMemoryLeaseKeeper:
        return InMemoryLeaseKeeper(table, holder.hear, lease_s=lease_s, worker_id=holder.name)

    return LeaseSite(keeper, check, pass_by)


class TestInMemoryLeases(LeaseSuite):
    """The suite."""
