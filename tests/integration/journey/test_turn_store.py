"""The store on PostgreSQL behaves as every store of turns must."""

import pytest

from tests.integration.journey.conftest import Site
from tests.integration.journey.test_worker import epochs
from tests.integration.journey.turn_store_suite import Kept, TurnStorageSuite


@pytest.fixture
async def kept(site: Site) -> Kept:
    """A database of its own."""
    return Kept(site.turns, await epochs(site))


class TestTurnStore(TurnStorageSuite):
    """The suite."""
