"""Mailboxes that are checked out: by one worker at a time, until they are trimmed or put back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice

import pytest

from libs.common.ids import PARTITIONS, partition_of
from libs.common.mailbox.api import TakeResult
from libs.common.mailbox.memory import InMemoryMailbox
from libs.testing.mails import TEAM, Numberer, customers
from services.journey.domain.model import ActorKey
from services.journey.worker.checkouts import BatchLimits, Checkouts

EPOCH = 3
ANNA, BELA = (ActorKey(partition_of(TEAM, c), TEAM, c) for c in islice(customers(), 2))


class OnTheWay(InMemoryMailbox):
    """Answers a take a moment after it was done."""

    async def take(
        self, partitions: Sequence[tuple[int, int]], customers_max: int, mail_max: int, *in_bytes: int
    ) -> TakeResult:
        """See `Mailbox.take`."""
        result = await super().take(partitions, customers_max, mail_max, *in_bytes)
        await asyncio.sleep(0)
        return result


@pytest.fixture
async def mailbox() -> InMemoryMailbox:
    """Claimed by the worker of the test."""
    mailbox = InMemoryMailbox()
    partitions = [(partition, EPOCH) for partition in range(PARTITIONS)]
    await mailbox.claim(partitions)
    await mailbox.repaired(partitions)
    return mailbox


@pytest.fixture
def owned() -> dict[int, int]:
    """All partitions."""
    return dict.fromkeys(range(PARTITIONS), EPOCH)


async def test_partitions_that_nobody_woke_are_not_looked_at(
    mailbox: InMemoryMailbox, owned: dict[int, int]
) -> None:
    checkouts = Checkouts(mailbox, owned)
    await mailbox.deliver([Numberer().mail(ANNA.customer_id)])
    assert not (await checkouts.take()).taken
    checkouts.wake([ANNA.partition])
    [taken] = (await checkouts.take()).taken
    assert taken.customer_id == ANNA.customer_id
    assert checkouts.customers == {ANNA}
    assert not (await checkouts.take()).taken


async def test_a_partition_of_another_worker_is_not_looked_at(
    mailbox: InMemoryMailbox, owned: dict[int, int]
) -> None:
    del owned[ANNA.partition]
    checkouts = Checkouts(mailbox, owned)
    await mailbox.deliver([Numberer().mail(ANNA.customer_id)])
    checkouts.wake([ANNA.partition])
    assert not (await checkouts.take()).taken


async def test_what_is_put_back_comes_again(mailbox: InMemoryMailbox, owned: dict[int, int]) -> None:
    checkouts = Checkouts(mailbox, owned)
    await mailbox.deliver([Numberer().mail(ANNA.customer_id)])
    checkouts.wake_all()
    [first] = (await checkouts.take()).taken
    await checkouts.put_back([ANNA, BELA])
    assert not checkouts.customers
    [again] = (await checkouts.take()).taken
    assert again.mails == first.mails


async def test_a_trim_removes_what_was_taken_and_what_came_meanwhile_is_looked_for(
    mailbox: InMemoryMailbox, owned: dict[int, int]
) -> None:
    checkouts, source = Checkouts(mailbox, owned), Numberer()
    await mailbox.deliver([source.mail(ANNA.customer_id)])
    checkouts.wake_all()
    [first] = (await checkouts.take()).taken
    await mailbox.deliver([source.mail(ANNA.customer_id)])
    assert ANNA.partition not in await checkouts.trim({ANNA: first.last_entry_id})
    [second] = (await checkouts.take()).taken
    assert [mail.number for mail in second.mails] == [2]
    assert ANNA.partition in await checkouts.trim({ANNA: second.last_entry_id})
    assert not checkouts.customers


async def test_somebody_who_is_not_checked_out_with_that_mail_is_not_trimmed(
    mailbox: InMemoryMailbox, owned: dict[int, int]
) -> None:
    checkouts = Checkouts(mailbox, owned)
    await mailbox.deliver([Numberer().mail(ANNA.customer_id)])
    checkouts.wake_all()
    [taken] = (await checkouts.take()).taken
    assert await checkouts.trim({ANNA: None, BELA: taken.last_entry_id}) == {}
    assert await checkouts.trim({ANNA: taken.last_entry_id + b"0"}) == {}
    assert checkouts.customers == {ANNA}
    checkouts.drop(ANNA.partition)
    assert await checkouts.trim({ANNA: taken.last_entry_id}) == {}
    assert await mailbox.holding([ANNA.partition])


async def test_a_partition_that_another_worker_has_claimed_is_refused(
    mailbox: InMemoryMailbox, owned: dict[int, int]
) -> None:
    checkouts = Checkouts(mailbox, owned)
    await mailbox.deliver([Numberer().mail(ANNA.customer_id)])
    await mailbox.claim([(ANNA.partition, EPOCH + 1)])
    checkouts.wake_all()
    result = await checkouts.take()
    assert (result.fenced, checkouts.customers) == ([ANNA.partition], set())


async def test_nothing_of_a_partition_that_is_lost_during_a_take_is_checked_out(
    mailbox: InMemoryMailbox, owned: dict[int, int]
) -> None:
    """It would be for ever: nobody here trims it or puts it back, and `GetLag` counts it."""
    checkouts, source = Checkouts(OnTheWay(mailbox.server), owned), Numberer()
    await mailbox.deliver([source.mail(key.customer_id) for key in (ANNA, BELA)])
    checkouts.wake_all()
    taking = asyncio.ensure_future(checkouts.take())
    await asyncio.sleep(0)
    del owned[ANNA.partition]
    checkouts.drop(ANNA.partition)
    assert len((await taking).taken) == 2
    assert checkouts.customers == {BELA}


async def test_a_full_take_is_repeated(mailbox: InMemoryMailbox, owned: dict[int, int]) -> None:
    checkouts, source = Checkouts(mailbox, owned, BatchLimits(customers_max=2)), Numberer()
    await mailbox.deliver([source.mail(customer) for customer in islice(customers(), 3)])
    checkouts.wake_all()
    assert [len((await checkouts.take()).taken) for _ in range(3)] == [2, 1, 0]
