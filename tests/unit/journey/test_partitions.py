"""Which partitions a worker may work on, as leases come and go."""

from __future__ import annotations

import asyncio

from services.journey.worker.partitions import Partitions


def _owning(leases: dict[int, int]) -> tuple[Partitions, list[int]]:
    """All of these claimed, and the partitions that are dropped from then on."""
    dropped: list[int] = []
    partitions = Partitions(dropped.append)
    partitions.set_leases(leases)
    partitions.own(partitions.unclaimed())
    return partitions, dropped


def test_a_leased_partition_is_owned_only_when_it_is_claimed() -> None:
    partitions = Partitions(lambda _: None)
    partitions.set_leases({1: 5, 2: 7})
    assert not partitions.owned
    assert partitions.unclaimed() == {1: 5, 2: 7}
    partitions.own({1: 5})
    assert partitions.owned == {1: 5}
    assert partitions.unclaimed() == {2: 7}


def test_a_lease_that_was_lost_while_it_was_claimed_stays_lost() -> None:
    partitions = Partitions(lambda _: None)
    partitions.set_leases({1: 5, 2: 7})
    claimed = partitions.unclaimed()
    partitions.set_leases({1: 6})
    partitions.own(claimed)
    assert not partitions.owned
    assert partitions.unclaimed() == {1: 6}


def test_a_lease_with_another_epoch_is_claimed_again() -> None:
    partitions, dropped = _owning({1: 5, 2: 7})
    partitions.set_leases({1: 6, 2: 7})
    assert (dropped, partitions.owned, partitions.unclaimed()) == ([1], {2: 7}, {1: 6})


def test_a_fenced_partition_is_not_claimed_until_there_is_a_new_lease() -> None:
    partitions, dropped = _owning({1: 5, 2: 7})
    partitions.drop_fenced([1])
    assert (dropped, partitions.owned, partitions.unclaimed()) == ([1], {2: 7}, {})


def test_a_newer_lease_outlives_the_fencing_of_the_older_one() -> None:
    partitions, _ = _owning({1: 5})
    partitions.set_leases({1: 6})
    partitions.drop_fenced([1])
    assert partitions.unclaimed() == {1: 6}


def test_a_partition_that_the_mailbox_refused_is_claimed_again_under_its_lease() -> None:
    partitions, dropped = _owning({1: 5})
    partitions.drop(1)
    assert (dropped, partitions.unclaimed()) == ([1], {1: 5})


async def test_a_hand_over_ends_when_nothing_is_checked_out_any_more() -> None:
    partitions, dropped = _owning({1: 5, 2: 7})
    hand_over = asyncio.create_task(partitions.hand_over([2]))
    await asyncio.sleep(0)
    assert partitions.leaving == {2}
    assert not hand_over.done()
    partitions.left()
    await hand_over
    assert (dropped, partitions.owned, partitions.unclaimed(), set(partitions.leaving)) == (
        [2],
        {1: 5},
        {},
        set(),
    )


async def test_new_leases_end_the_wish_to_hand_over() -> None:
    partitions, _ = _owning({1: 5})
    hand_over = asyncio.create_task(partitions.hand_over([1]))
    await asyncio.sleep(0)
    partitions.set_leases({1: 5})
    assert (set(partitions.leaving), partitions.owned) == (set(), {1: 5})
    hand_over.cancel()
