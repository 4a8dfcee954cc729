"""Leases on a real database: one owner each, fair shares, epochs that grow, and a fence that holds."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import asyncpg
import pytest

from libs.common.db.pool import Pool, connection_of, open_pool
from libs.common.ids import PARTITIONS
from libs.common.leases import LeaseKeeper, check_fence
from libs.common.mailbox.errors import Fenced
from libs.common.testing.fixtures import Databases

LONG_S = 30.0
SHORT_S = 0.3
PATIENCE_S = 15.0


@dataclass
class Holder:
    """A worker as the keeper sees it: what it was told last."""

    name: str
    told: dict[int, int] = field(default_factory=dict)
    keeper: LeaseKeeper | None = None

    def hear(self, leases: Mapping[int, int]) -> None:
        """All that is held now."""
        self.told = dict(leases)

    async def renew(self) -> None:
        """One round."""
        assert self.keeper is not None
        await self.keeper.renew()


@pytest.fixture
async def pool(databases: Databases) -> AsyncIterator[Pool]:
    """A pool under the role of the service that has leases."""
    async with databases.fresh({"journey": "services.journey"}) as database:
        pool = await open_pool(database.dsn_of("journey"), name="leases", size_max=8)
        try:
            yield pool
        finally:
            await pool.close()


def holder(pool: Pool, name: str, lease_s: float = LONG_S) -> Holder:
    """A worker whose rounds the test makes."""
    made = Holder(name)
    made.keeper = LeaseKeeper(pool, made.hear, lease_s=lease_s, worker_id=name)
    return made


async def rounds(*holders: Holder, count: int = 3) -> None:
    """Some rounds of everybody, one after the other."""
    for _ in range(count):
        for each in holders:
            await each.renew()


def sizes(*holders: Holder) -> list[int]:
    """How many each one holds; nobody holds what another does."""
    held = [partition for each in holders for partition in each.told]
    assert len(held) == len(set(held)), "two owners of one partition"
    return [len(each.told) for each in holders]


async def until_all_are_held(*holders: Holder) -> None:
    """Until somebody holds each partition."""
    async with asyncio.timeout(PATIENCE_S):
        while sum(len(each.told) for each in holders) < PARTITIONS:
            await asyncio.sleep(0.01)


async def test_one_worker_holds_all(pool: Pool) -> None:
    ann = holder(pool, "ann")
    await ann.renew()
    assert ann.told == dict.fromkeys(range(PARTITIONS), 1)


async def test_workers_share_evenly_as_they_come(pool: Pool) -> None:
    ann, bob, cid = (holder(pool, name) for name in ("ann", "bob", "cid"))
    await rounds(ann)
    await rounds(ann, bob)
    assert sizes(ann, bob) == [32, 32]
    await rounds(ann, bob, cid)
    assert sizes(ann, bob, cid) == [22, 22, 20]
    assert set(ann.told.values()) == {1}, "what is kept keeps its epoch"
    assert min(cid.told.values()) >= 2


async def test_handing_back_is_not_waiting_for_the_end_of_a_lease(pool: Pool) -> None:
    bob = holder(pool, "bob")
    ann = Holder("ann")
    async with LeaseKeeper.running(pool, ann.hear, lease_s=LONG_S, worker_id="ann"):
        await until_all_are_held(ann)
    await bob.renew()
    assert sizes(bob) == [PARTITIONS]
    assert set(bob.told.values()) == {2}


async def test_a_worker_that_vanished_is_replaced_when_its_leases_end(pool: Pool) -> None:
    ann = holder(pool, "ann", SHORT_S)
    await ann.renew()
    bob = Holder("bob")
    async with LeaseKeeper.running(pool, bob.hear, lease_s=SHORT_S, worker_id="bob"):
        await until_all_are_held(bob)
        assert set(bob.told.values()) == {2}


async def test_many_workers_at_once_never_hold_the_same(pool: Pool) -> None:
    async with AsyncExitStack() as stack:
        holders = [Holder(f"w{n}") for n in range(5)]
        for each in holders:
            await stack.enter_async_context(
                LeaseKeeper.running(pool, each.hear, lease_s=SHORT_S, worker_id=each.name)
            )
        async with asyncio.timeout(PATIENCE_S):
            while sorted(len(each.told) for each in holders) != [12, 13, 13, 13, 13]:
                await asyncio.sleep(0.01)
        owners = await pool.fetch("SELECT partition, owner FROM partition_lease")
        told = {partition: each.name for each in holders for partition in each.told}
        assert {row["partition"]: row["owner"] for row in owners} == told


# ---- the fence ----


async def test_the_owner_passes_the_fence_and_a_former_one_does_not(pool: Pool) -> None:
    ann, bob = holder(pool, "ann"), holder(pool, "bob")
    await ann.renew()
    before = dict(ann.told)
    async with connection_of(pool) as connection, connection.transaction():
        await check_fence(connection, before)
    await rounds(ann, bob)
    async with connection_of(pool) as connection, connection.transaction():
        await check_fence(connection, ann.told)
        await check_fence(connection, bob.told)
    with pytest.raises(Fenced) as fenced:
        async with connection_of(pool) as connection, connection.transaction():
            await check_fence(connection, before)
    assert set(fenced.value.partitions) == set(bob.told)


async def test_a_new_owner_waits_for_a_commit_that_passed_the_fence(pool: Pool) -> None:
    ann, bob = holder(pool, "ann", SHORT_S), holder(pool, "bob")
    await ann.renew()
    async with connection_of(pool) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await check_fence(connection, {5: ann.told[5]})
        await asyncio.sleep(2 * SHORT_S)  # a pause past the lease, in the middle of a commit
        await bob.renew()
        assert 5 not in bob.told, "the lease is in use"
        assert len(bob.told) == PARTITIONS - 1
        await transaction.commit()
    await bob.renew()
    assert bob.told[5] == 2


async def test_a_zombie_that_wakes_up_is_fenced(pool: Pool) -> None:
    ann, bob = holder(pool, "ann", SHORT_S), holder(pool, "bob", SHORT_S)
    await ann.renew()
    asleep = dict(ann.told)
    await asyncio.sleep(2 * SHORT_S)
    await bob.renew()
    with pytest.raises(Fenced):
        async with connection_of(pool) as connection, connection.transaction():
            await check_fence(connection, asleep)
    await ann.renew()
    assert not set(ann.told) & set(bob.told)


async def test_a_worker_that_cannot_renew_lets_go_by_itself(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = Holder("ann")
    async with LeaseKeeper.running(pool, ann.hear, lease_s=SHORT_S, worker_id="ann") as keeper:
        await until_all_are_held(ann)

        async def away() -> None:
            raise asyncpg.CannotConnectNowError("starting up")

        monkeypatch.setattr(keeper, "renew", away)
        async with asyncio.timeout(PATIENCE_S):
            while ann.told:
                await asyncio.sleep(0.01)
