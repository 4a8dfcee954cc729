"""Who is in the next batch: each customer once, mail before timers, nobody who is busy or waits for another try."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

import pytest

from libs.common.clock import SteppedClock
from libs.common.ids import PARTITIONS, partition_of
from libs.common.mailbox.memory import InMemoryMailbox
from libs.testing.leases import LeaseTable
from libs.testing.mails import START, TEAM, Numberer, customers
from services.journey.domain.enrolment import Enrolment, WaitReason
from services.journey.domain.model import ActorKey
from services.journey.worker.candidates import Candidates
from services.journey.worker.checkouts import BatchLimits, Checkouts
from services.journey.worker.halting import Halting
from services.journey.worker.partitions import Partitions
from services.journey.worker.retries import Retries
from services.journey.worker.timers import TimerWatch
from tests.sim.journeys import JOURNEYS, STOPPABLE
from tests.sim.turn_store import InMemoryTurnStore, Tables

EPOCH = 3
ANNA, BELA, CARL = (ActorKey(partition_of(TEAM, c), TEAM, c) for c in islice(customers(), 3))


@dataclass
class World:
    """A worker's parts on stores in memory."""

    mailbox: InMemoryMailbox
    tables: Tables
    partitions: Partitions
    checkouts: Checkouts
    retries: Retries
    candidates: Candidates
    source: Numberer

    async def mail(self, *keys: ActorKey) -> None:
        """One mail for each."""
        await self.mailbox.deliver([self.source.mail(key.customer_id) for key in keys])
        self.checkouts.wake_all()

    def sleeper(self, key: ActorKey, wake: WaitReason = WaitReason.DELAY) -> None:
        """A customer in the stoppable journey who waits, with a timer that is due where there is one."""
        enrolment = Enrolment(
            enrolment_id=key.customer_id,
            journey_id=STOPPABLE,
            team_id=TEAM,
            customer_id=key.customer_id,
            trigger_event_id=key.customer_id,
            depth=0,
            created_at=START,
            wait=wake,
            wake_at=START if wake is WaitReason.DELAY else None,
        )
        self.tables.enrolments[key][enrolment.enrolment_id] = enrolment

    async def gathered(self, busy: Iterable[ActorKey] = ()) -> set[ActorKey]:
        """Who is in the next batch."""
        return set(await self.candidates.gather(set(busy)))


@pytest.fixture
async def world() -> World:
    """A worker that owns everything, with nothing to do."""
    return await world_of(BatchLimits())


async def world_of(limits: BatchLimits) -> World:
    """The same with other limits."""
    mailbox = InMemoryMailbox()
    leases = dict.fromkeys(range(PARTITIONS), EPOCH)
    await mailbox.claim(sorted(leases.items()))
    await mailbox.repaired(sorted(leases.items()))
    tables = Tables(LeaseTable(time.monotonic), {journey.journey_id: journey for journey in JOURNEYS})
    store = InMemoryTurnStore(tables)
    partitions = Partitions(lambda _: None)
    partitions.set_leases(leases)
    partitions.own(leases)
    checkouts, retries = Checkouts(mailbox, partitions.owned, limits), Retries()
    candidates = Candidates(
        mailbox=mailbox,
        partitions=partitions,
        checkouts=checkouts,
        timers=TimerWatch(store, SteppedClock(START + timedelta(hours=1)), lambda: 0.0),
        retries=retries,
        halting=Halting(store, lambda: 0.0),
    )
    return World(mailbox, tables, partitions, checkouts, retries, candidates, Numberer())


async def test_customers_with_mail_and_with_due_timers_are_in_one_batch(world: World) -> None:
    await world.mail(ANNA)
    world.sleeper(BELA)
    batch = await world.candidates.gather(set())
    assert batch.keys() == {ANNA, BELA}
    assert ([mail.number for mail in batch[ANNA].mails], batch[BELA].mails) == ([1], ())


async def test_somebody_with_both_is_there_once_with_their_mail(world: World) -> None:
    await world.mail(ANNA)
    world.sleeper(ANNA)
    batch = await world.candidates.gather(set())
    assert [len(waiting.mails) for waiting in batch.values()] == [1]


async def test_nobody_busy_is_in_the_next_batch(world: World) -> None:
    await world.mail(ANNA)
    world.sleeper(BELA)
    assert await world.gathered({ANNA, BELA}) == set()


async def test_nobody_who_waits_for_another_try_is_in_the_batch(world: World) -> None:
    await world.mail(ANNA, BELA)
    world.retries.postpone(ANNA, 0.0)
    assert await world.gathered() == {BELA}


async def test_no_more_mail_is_taken_while_too_many_wait_for_another_try(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.journey.worker.retries.WAITING_MAX", 1)
    world.retries.postpone(CARL, 0.0)
    await world.mail(ANNA)
    world.sleeper(BELA)
    assert await world.gathered() == {BELA}
    assert not world.checkouts.customers


async def test_timers_get_some_room_beside_more_mail_than_fits() -> None:
    world = await world_of(BatchLimits(customers_max=5))
    crowd = [ActorKey(partition_of(TEAM, c), TEAM, c) for c in islice(customers(), 8)]
    await world.mail(*crowd[:6])
    for key in crowd[5:]:
        world.sleeper(key)
    batch = await world.candidates.gather(set())
    with_mail = {key for key, waiting in batch.items() if waiting.mails}
    assert (len(with_mail), len(batch)) == (5, 6)
    # Customers with mail and a timer wait for both to be looked at together.
    assert batch.keys() - with_mail <= set(crowd[6:])


async def test_customers_of_a_stopping_journey_are_halted_but_for_those_with_a_send_in_flight(
    world: World,
) -> None:
    world.sleeper(ANNA, WaitReason.QUIET)
    world.sleeper(BELA, WaitReason.SEND)
    assert not world.candidates.set_stopping([])
    assert world.candidates.set_stopping([(TEAM, STOPPABLE)])
    assert await world.gathered() == {ANNA}
    assert await world.gathered({ANNA}) == set()


async def test_the_stuck_ask_again_once_unless_mail_of_theirs_waits(world: World) -> None:
    await world.mailbox.deliver([world.source.mail(BELA.customer_id)])
    assert world.candidates.ask_again([ANNA, BELA, CARL])
    batch = await world.candidates.gather({CARL})
    assert {key: waiting.again for key, waiting in batch.items()} == {ANNA: True}
    # Whoever was busy is not forgotten.
    assert await world.gathered() == {CARL}
    assert await world.gathered() == set()


async def test_a_partition_that_was_lost_is_dropped_and_nobody_of_it_is_worked_on(world: World) -> None:
    await world.mail(ANNA)
    await world.mailbox.claim([(ANNA.partition, EPOCH + 1)])
    world.sleeper(ANNA)
    assert await world.gathered() == set()
    assert ANNA.partition not in world.partitions.owned


async def test_more_mail_than_a_batch_takes_of_one_customer_is_noted() -> None:
    world = await world_of(BatchLimits(mail_max=2))
    await world.mail(ANNA, ANNA, ANNA, BELA)
    batch = await world.candidates.gather(set())
    assert {key: (len(w.mails), w.mail_left) for key, w in batch.items()} == {
        ANNA: (2, True),
        BELA: (1, False),
    }


async def test_without_partitions_nothing_is_looked_for(world: World) -> None:
    world.sleeper(ANNA)
    world.partitions.set_leases({})
    assert await world.gathered() == set()
