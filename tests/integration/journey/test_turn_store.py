"""The store on PostgreSQL behaves as every store of turns must."""

from uuid import UUID

import msgspec
import pytest

from libs.common.db.pool import transaction
from libs.testing.mails import TEAM
from services.journey.domain import model as d
from services.journey.domain.lifecycle import JourneyChanged
from tests.integration.journey.conftest import Site
from tests.integration.journey.turn_store_suite import Kept, TurnStorageSuite, keys
from tests.integration.journey.turns_by_hand import POINTS, epochs


@pytest.fixture
async def kept(site: Site) -> Kept:
    """A database of its own."""
    return Kept(site.turns, await epochs(site))


class TestTurnStore(TurnStorageSuite):
    """The suite."""

    async def test_versions_are_those_of_journeys_that_customers_can_be_in(
        self, kept: Kept, site: Site
    ) -> None:
        async with transaction(site.pool, [TEAM]) as connection:
            for status in d.JourneyStatus:
                journey = await site.save_journey(POINTS, number=status)
                await connection.execute(
                    "UPDATE journey SET status = $1 WHERE journey_id = $2", status, journey.journey_id
                )
        loaded = await kept.store.load(keys(1))
        nobody = {d.JourneyStatus.DRAFT, d.JourneyStatus.STOPPED}
        assert {UUID(int=status) for status in set(d.JourneyStatus) - nobody} == set(loaded.versions)

    async def test_journeys_are_proven_by_all_that_customers_can_be_in(self, kept: Kept, site: Site) -> None:
        first = await site.save_journey(POINTS, number=1)
        second = await site.save_journey(POINTS, number=2)
        known = {first.journey_id: first.version, second.journey_id: second.version}
        loaded = await kept.store.load(keys(1))
        assert loaded.versions == known

        async def proves(versions: dict[UUID, int]) -> bool:
            try:
                await kept.store.prove_journeys(msgspec.structs.replace(loaded, unproven=versions))
            except JourneyChanged:
                return False
            return True

        assert await proves(known)
        assert not await proves({first.journey_id: first.version})
        assert not await proves({**known, UUID(int=3): 1})
        assert not await proves({**known, first.journey_id: first.version + 1})
        async with transaction(site.pool, [TEAM]) as connection:
            await site.journeys.delete(connection, second, site.clock.now())
        assert not await proves(known)
        assert await proves({first.journey_id: first.version})
