"""Room that calls share: shares, turns, bounded waits; and places of which the newest get one first."""

import asyncio
import uuid

import pytest

from libs.common.errors import ResourceExhausted
from libs.common.rpc import limits
from libs.common.rpc.room import Places, Room, Uses

A, B, C = (uuid.UUID(int=n) for n in (1, 2, 3))


async def _soon() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_is_free_is_had_at_once_and_no_more_than_a_share() -> None:
    room = Room("things", 10, 6)
    await room.take(A, 6)
    assert not room.try_take(A, 1)
    assert room.try_take(B, 4)
    assert not room.try_take(C, 1)


async def test_a_client_at_its_share_is_overtaken_and_served_in_turn() -> None:
    room = Room("things", 10, 4)
    await room.take(A, 4)
    waiting = asyncio.create_task(room.take(A, 3))
    await _soon()
    await room.take(B, 4)
    assert not waiting.done()
    room.give_back(A, 4)
    await waiting


async def test_waits_are_bounded_in_time_and_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ROOM_WAIT_MAX_S", 0.05)
    monkeypatch.setattr(limits, "ROOM_WAITING_MAX", 1)
    room = Room("things", 1, 1)
    await room.take(A, 1)
    waiting = asyncio.create_task(room.take(B, 1))
    await _soon()
    for refused in (room.take(C, 1), waiting):
        with pytest.raises(ResourceExhausted) as caught:
            await refused
        assert (caught.value.reason, caught.value.metadata) == ("OVERLOADED", {"limit": "things"})
        assert caught.value.retry_after_s
    room.give_back(A, 1)
    assert room.try_take(C, 1)


async def test_who_leaves_while_waiting_takes_nothing() -> None:
    room = Room("things", 1, 1)
    await room.take(A, 1)
    leaving = asyncio.create_task(room.take(B, 1))
    staying = asyncio.create_task(room.take(C, 1))
    await _soon()
    room.give_back(A, 1)  # B has its turn, and leaves before it knows
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await staying
    assert not room.try_take(A, 1)
    room.give_back(C, 1)
    assert room.try_take(A, 1)


async def _hold(places: Places, entered: list[int], number: int) -> None:
    async with places.place():
        entered.append(number)
        await asyncio.Event().wait()


async def test_places_are_kept_while_nobody_waits_and_then_the_oldest_makes_room() -> None:
    places, entered = Places("calls", 2, patience_s=0.05), list[int]()
    held = [asyncio.create_task(_hold(places, entered, number)) for number in range(2)]
    await asyncio.sleep(0.15)
    assert not any(task.done() for task in held)
    newer = asyncio.create_task(_hold(places, entered, 2))
    with pytest.raises(ResourceExhausted, match="more work is waiting"):
        await held[0]
    await _soon()
    assert entered == [0, 1, 2]
    assert not held[1].done()
    for task in (held[1], newer):
        task.cancel()


async def test_of_those_who_wait_for_a_place_the_newest_gets_it_and_the_oldest_is_refused() -> None:
    places, entered = Places("calls", 1, patience_s=0.05, waiting_max=2), list[int]()
    tasks = [asyncio.create_task(_hold(places, entered, number)) for number in range(4)]
    with pytest.raises(ResourceExhausted):
        await tasks[1]
    with pytest.raises(ResourceExhausted):
        await tasks[0]
    await _soon()
    assert entered == [0, 3]
    for task in tasks[2:]:
        task.cancel()
    await asyncio.gather(*tasks[2:], return_exceptions=True)
    async with asyncio.timeout(30):
        async with places.place():
            pass


async def test_who_leaves_while_waiting_for_a_place_takes_none() -> None:
    places, entered = Places("calls", 1, patience_s=10), list[int]()
    first = asyncio.create_task(_hold(places, entered, 0))
    await _soon()
    leaving = asyncio.create_task(_hold(places, entered, 1))
    await _soon()
    first.cancel()
    await asyncio.sleep(0)  # the place is promised to the one that leaves
    leaving.cancel()
    await asyncio.gather(first, leaving, return_exceptions=True)
    async with asyncio.timeout(30):
        async with places.place():
            pass


def test_clients_with_nothing_under_way_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLIENTS_REMEMBERED_MAX", 2)
    uses = Uses()
    busy = uses.of(A)
    busy.calls = 1
    idle = uses.of(B)
    uses.of(C)
    assert uses.of(A) is busy
    assert uses.of(B) is not idle
