"""Leases on a real database: the common behaviour, and what comes of keepers and commits that run by themselves."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack

import asyncpg
import pytest

from libs.common.db.pool import Pool, connection_of, open_pool
from libs.common.ids import PARTITIONS
from libs.common.leases import LeaseKeeper, check_fence
from libs.common.tasks import running
from libs.testing.fixtures import Databases
from libs.testing.lease_suite import LONG_S, SHORT_S, Holder, LeaseSite, LeaseSuite

PATIENCE_S = 60.0


@pytest.fixture
async def pool(databases: Databases) -> AsyncIterator[Pool]:
    """A pool under the role of the service that has leases."""
    async with databases.fresh({"journey": "services.journey"}) as database:
        pool = await open_pool(database.dsn_of("journey"), name="leases", size_max=8)
        try:
            yield pool
        finally:
            await pool.close()


@pytest.fixture
def site(pool: Pool) -> LeaseSite:
    """Leases in the tables of the service that has them."""

    async def check(epochs: Mapping[int, int]) -> None:
        async with connection_of(pool) as connection, connection.transaction():
            await check_fence(connection, epochs)

    def keeper(holder: Holder, lease_s: float) -> LeaseKeeper:
        return LeaseKeeper(pool, holder.hear, lease_s=lease_s, worker_id=holder.name)

    return LeaseSite(keeper, check, asyncio.sleep)


async def until_all_are_held(*holders: Holder) -> None:
    """Until somebody holds each partition."""
    async with asyncio.timeout(PATIENCE_S):
        while sum(len(each.leases) for each in holders) < PARTITIONS:
            await asyncio.sleep(0.01)


class TestPostgresLeases(LeaseSuite):
    """The suite."""


async def test_a_keeper_that_ends_hands_back(pool: Pool, site: LeaseSite) -> None:
    bob, ann = site.holder("bob"), Holder("ann")
    async with running(LeaseKeeper(pool, ann.hear, lease_s=LONG_S, worker_id="ann"), name="ann"):
        await until_all_are_held(ann)
    await bob.renew()
    assert bob.leases == dict.fromkeys(range(PARTITIONS), 2)


async def test_a_running_keeper_replaces_a_worker_that_vanished(pool: Pool, site: LeaseSite) -> None:
    ann = site.holder("ann", SHORT_S)
    await ann.renew()
    bob = Holder("bob")
    async with running(LeaseKeeper(pool, bob.hear, lease_s=SHORT_S, worker_id="bob"), name="bob"):
        await until_all_are_held(bob)
        assert set(bob.leases.values()) == {2}


async def test_many_workers_at_once_never_hold_the_same(pool: Pool) -> None:
    async with AsyncExitStack() as stack:
        holders = [Holder(f"w{n}") for n in range(5)]
        for each in holders:
            await stack.enter_async_context(
                running(LeaseKeeper(pool, each.hear, lease_s=SHORT_S, worker_id=each.name), name=each.name)
            )

        async def shared_out() -> bool:
            """Evenly, and as the table has it."""
            rows = await pool.fetch("SELECT partition, owner FROM partition_lease")
            owners = {row["partition"]: row["owner"] for row in rows}
            leases = {partition: each.name for each in holders for partition in each.leases}
            return sorted(len(each.leases) for each in holders) == [12, 13, 13, 13, 13] and owners == leases

        # On a busy machine a lease may end before it is renewed: until all of it holds at one time.
        async with asyncio.timeout(PATIENCE_S):
            while not await shared_out():
                await asyncio.sleep(0.01)


# ---- the fence ----


async def test_a_new_owner_waits_for_a_commit_that_passed_the_fence(pool: Pool, site: LeaseSite) -> None:
    ann, bob = site.holder("ann", SHORT_S), site.holder("bob")
    await ann.renew()
    async with connection_of(pool) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await check_fence(connection, {5: ann.leases[5]})
        await asyncio.sleep(2 * SHORT_S)  # a pause past the lease, in the middle of a commit
        await bob.renew()
        assert 5 not in bob.leases, "the lease is in use"
        assert len(bob.leases) == PARTITIONS - 1
        await transaction.commit()
    await bob.renew()
    assert bob.leases[5] == 2


async def test_a_worker_that_cannot_renew_lets_go_by_itself(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = Holder("ann")
    keeper = LeaseKeeper(pool, ann.hear, lease_s=SHORT_S, worker_id="ann")
    async with running(keeper, name="ann"):
        await until_all_are_held(ann)

        async def away() -> None:
            raise asyncpg.CannotConnectNowError("starting up")

        monkeypatch.setattr(keeper, "renew", away)
        async with asyncio.timeout(PATIENCE_S):
            while ann.leases:
                await asyncio.sleep(0.01)
