"""When a customer whose turn failed is tried again."""

from __future__ import annotations

from uuid import UUID

import pytest

from services.journey.domain.model import ActorKey
from services.journey.worker.retries import PARK_FAULTS, RETRY_MAX_S, Retries

ANNA = ActorKey(1, UUID(int=1), UUID(int=2))
BELA = ActorKey(2, UUID(int=1), UUID(int=3))


def test_waits_grow_up_to_a_limit_and_begin_anew_after_a_good_turn() -> None:
    retries = Retries()
    waits = []
    now = 0.0
    for _ in range(12):
        retries.postpone(ANNA, now)
        assert ANNA in retries
        assert retries.next_at is not None
        waits.append(retries.next_at - now)
        now = retries.next_at
        assert retries.release(now)
        assert ANNA not in retries
    assert waits == sorted(waits)
    assert max(waits) == RETRY_MAX_S
    retries.forget(ANNA)
    retries.postpone(ANNA, now)
    assert retries.next_at is not None
    assert round(retries.next_at - now, 6) == round(waits[0], 6)


def test_an_outage_delays_and_does_not_count_towards_parking() -> None:
    retries = Retries()
    for _ in range(PARK_FAULTS * 2):
        retries.postpone(ANNA, 0.0)
        retries.release(RETRY_MAX_S)
    assert retries.faults_after(ANNA) == 1
    assert retries.faults_after(ANNA) == 2
    retries.forget(ANNA)
    assert retries.faults_after(ANNA) == 1


def test_only_those_whose_time_has_come_are_released() -> None:
    retries = Retries()
    retries.postpone(ANNA, 0.0)
    retries.postpone(BELA, 1.0)
    assert not retries.release(0.05)
    assert retries.release(0.5)
    assert (ANNA in retries, BELA in retries) == (False, True)


def test_a_partition_that_goes_takes_its_customers_along() -> None:
    retries = Retries()
    retries.postpone(ANNA, 0.0)
    retries.postpone(BELA, 5.0)
    retries.drop(ANNA.partition)
    assert ANNA not in retries
    assert retries.next_at is not None
    assert retries.next_at > 5.0


def test_it_is_full_until_enough_were_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.journey.worker.retries.WAITING_MAX", 2)
    retries = Retries()
    retries.postpone(ANNA, 0.0)
    assert not retries.full
    retries.postpone(BELA, 0.0)
    assert retries.full
    retries.release(RETRY_MAX_S)
    assert not retries.full
