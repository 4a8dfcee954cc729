"""Who is remembered, under which lease, for how long, and how many."""

from __future__ import annotations

from uuid import UUID

from libs.testing.mails import TEAM
from services.journey.domain.model import ActorKey
from services.journey.store.packed import PackedActor, pack_state
from services.journey.worker.residents import AGE_MAX_S, Residents

PACKED = PackedActor(1, (1, 0, 0), None, pack_state((), {}), None)


class Timer:
    """Real time, as a test has it."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def key(number: int) -> ActorKey:
    return ActorKey(number % 2, TEAM, UUID(int=number))


def keys(*numbers: int) -> dict[ActorKey, PackedActor]:
    return {key(number): PACKED for number in numbers}


def test_who_was_committed_is_remembered_until_somebody_begins_with_it() -> None:
    residents = Residents()
    residents.keep(keys(1, 2), {0: 7, 1: 8})
    assert residents.take(keys(1, 3), {0: 7, 1: 8}) == keys(1)
    assert residents.take(keys(1, 2), {0: 7, 1: 8}) == keys(2)
    assert residents.size_bytes == 0


def test_another_epoch_is_another_owner_of_whom_nothing_is_known() -> None:
    residents = Residents()
    residents.keep(keys(1, 2), {0: 7, 1: 8})
    assert residents.take(keys(1, 2), {0: 7, 1: 9}) == keys(2)
    assert residents.size_bytes == 0


def test_a_partition_that_goes_takes_its_customers_along() -> None:
    residents = Residents()
    residents.keep(keys(1, 2, 3), {0: 7, 1: 8})
    residents.drop(1)
    assert residents.size_bytes == PACKED.size_bytes
    assert residents.take(keys(1, 2, 3), {0: 7, 1: 8}) == keys(2)


def test_who_sleeps_for_long_takes_no_memory() -> None:
    timer = Timer()
    residents = Residents(timer)
    residents.keep(keys(1), {1: 8})
    timer.now = AGE_MAX_S / 2
    residents.keep(keys(2), {0: 7})
    timer.now = AGE_MAX_S
    residents.expire()
    assert residents.size_bytes == PACKED.size_bytes
    timer.now = 2 * AGE_MAX_S
    residents.expire()
    assert residents.size_bytes == 0


def test_those_committed_longest_ago_make_room() -> None:
    residents = Residents(bytes_max=2 * PACKED.size_bytes)
    leases = {0: 7, 1: 8}
    residents.keep(keys(1, 2), leases)
    residents.keep(keys(1), leases)
    residents.keep(keys(3), leases)
    assert residents.size_bytes == 2 * PACKED.size_bytes
    assert residents.take(keys(1, 2, 3), leases) == keys(1, 3)
