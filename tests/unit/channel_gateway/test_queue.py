"""The queue of a process's sends: claims, what is checked out, what stays in the table."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from services.channel_gateway.domain.model import Account, Channel, Job, SendState
from services.channel_gateway.worker.queue import SendQueue
from tests.unit.channel_gateway.build import ACCOUNT, TEAM, account, job

PLENTY = account(concurrency_max=256, rate_per_second=10_000)


def queue_of(lane_max: int = 100, *, at_once: bool = False) -> SendQueue:
    return SendQueue(lane_max=lane_max, at_once=lambda _: at_once)


def jobs(*numbers: int) -> list[Job]:
    return [job(effect_key=UUID(int=number)) for number in numbers]


def keys(*numbers: int) -> set[tuple[UUID, UUID]]:
    return {(TEAM, UUID(int=number)) for number in numbers}


def collected(queue: SendQueue, most: int = 100) -> list[int]:
    return [each.effect_key.int for _, each in queue.collect(most)]


def claim(queue: SendQueue, which: Account, *numbers: int) -> list[SendState]:
    return queue.claim(jobs(*numbers), [which] * len(numbers)).states


async def test_new_sends_are_stored_as_in_flight_only_while_there_is_room() -> None:
    narrow = account(concurrency_max=2, rate_per_second=10_000)
    states = claim(queue_of(), narrow, 1, 2, 3)
    assert states == [SendState.IN_FLIGHT, SendState.IN_FLIGHT, SendState.ACCEPTED]


async def test_those_without_room_leave_after_their_claim_is_confirmed_and_room_is_free() -> None:
    queue = queue_of()
    narrow = account(concurrency_max=1, rate_per_second=10_000)
    claimed = queue.claim(jobs(1, 2), [narrow] * 2)
    queue.confirm(claimed, [narrow])
    assert collected(queue) == []
    queue.landed(claimed.ready[0][0])
    assert collected(queue) == [2]


async def test_a_claim_that_is_given_up_leaves_its_room_to_others() -> None:
    queue = queue_of()
    narrow = account(concurrency_max=1, rate_per_second=10_000)
    queue.give_up(queue.claim(jobs(1), [narrow]))
    assert claim(queue, narrow, 2) == [SendState.IN_FLIGHT]
    assert queue.lost(keys(1)) == keys(1), "what was given up is not checked out"


async def test_nothing_new_is_in_flight_while_the_process_ends() -> None:
    queue = queue_of()
    queue.closing = True
    assert claim(queue, PLENTY, 1) == [SendState.ACCEPTED]


async def test_what_is_reserved_or_checked_out_is_not_lost() -> None:
    queue = queue_of()
    with queue.reserving(keys(1)):
        assert queue.lost(keys(1, 2)) == keys(2)
    assert queue.lost(keys(1)) == keys(1)
    offered = jobs(3)
    queue.offer(offered, [PLENTY])
    assert queue.lost(keys(3)) == set()
    queue.release(offered)
    assert queue.lost(keys(3)) == keys(3)


@pytest.mark.parametrize("lane_max", [100, 1])
async def test_a_send_that_was_recalled_is_worked_on_only_as_it_was_asked_for_again(lane_max: int) -> None:
    queue = queue_of(lane_max)
    [recalled], [again] = jobs(1), jobs(1)
    queue.offer([recalled], [PLENTY])
    assert queue.works_on(recalled)
    queue.offer([again], [PLENTY])
    assert not queue.works_on(recalled)
    # The line is full of what was recalled: what is asked for again stays in the table.
    assert queue.works_on(again) is (lane_max > 1)
    queue.release([recalled])
    assert queue.works_on(again) is (lane_max > 1)


async def test_two_reservations_of_the_same_keys_end_each_for_itself() -> None:
    queue = queue_of()
    first, second = keys(1), keys(1)
    with queue.reserving(first):
        with queue.reserving(second):
            pass
        assert queue.lost(keys(1)) == set()


async def test_what_has_no_room_in_memory_stays_in_the_table_until_half_a_lane_is_free() -> None:
    queue = queue_of(lane_max=2)
    queue.offer(jobs(1, 2, 3), [PLENTY])
    assert set(queue.checked_out(TEAM)) == {UUID(int=1), UUID(int=2)}
    assert list(queue.spilled) == [(TEAM, ACCOUNT)]
    assert queue.refills() == []
    assert collected(queue, most=1) == [1]
    (refill,) = queue.refills()
    assert (refill.account, refill.room) == ((TEAM, ACCOUNT), 1)
    queue.emptied(refill.account)
    assert list(queue.spilled) == []


async def test_an_older_account_does_not_replace_a_newer_one() -> None:
    queue = queue_of()
    queue.update_account(account(version=2, concurrency_max=1, rate_per_second=10_000))
    queue.offer(jobs(1, 2), [account(version=1, concurrency_max=2, rate_per_second=10_000)])
    assert collected(queue) == [1]


async def test_a_wait_ends_when_something_may_leave() -> None:
    queue = queue_of()
    queue.looking()
    waiting = asyncio.create_task(queue.wait(60.0))
    await asyncio.sleep(0)
    queue.offer(jobs(1), [PLENTY])
    await waiting
    assert queue.waiting_count(Channel.LINE) == 1
    assert queue.waiting_count(Channel.WHATSAPP) == 0
    assert collected(queue) == [1]
    assert queue.in_flight_count(Channel.LINE) == 1
