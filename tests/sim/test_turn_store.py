"""The store in memory behaves as every store of turns must."""

import time

import pytest

from libs.testing.leases import InMemoryLeaseKeeper, LeaseTable
from tests.integration.journey.turn_store_suite import Kept, TurnStorageSuite
from tests.sim.turn_store import InMemoryTurnStore, Tables


@pytest.fixture
async def kept() -> Kept:
    """Tables of its own."""
    table = LeaseTable(time.monotonic)
    keeper = InMemoryLeaseKeeper(table, lambda _: None, lease_s=60, worker_id="test")
    await keeper.renew()
    return Kept(InMemoryTurnStore(Tables(table)), keeper.held)


class TestInMemoryTurnStore(TurnStorageSuite):
    """The suite."""
