"""When batches begin, and how long a worker sleeps."""

from __future__ import annotations

from services.journey.worker.pacing import (
    BATCH_LARGE,
    CPU_FREE,
    IDLE_WAIT_S,
    LINGER_MAX_S,
    LINGER_S,
    OUTAGE_BACKOFF,
    Pacing,
)


class Time:
    """Seconds that a test moves."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_the_first_batch_begins_at_once() -> None:
    assert Pacing(Time()).linger_s() == 0


def test_a_batch_gathers_while_the_last_one_is_young() -> None:
    time = Time()
    pacing = Pacing(time)
    pacing.batch_begins(1)
    assert round(pacing.linger_s(), 6) == LINGER_S
    time.now_s += LINGER_S / 4
    assert round(pacing.linger_s(), 6) == LINGER_S * 3 / 4
    time.now_s += LINGER_S
    assert pacing.linger_s() == 0


def _linger_after(share: float, customers: int, batches: int = 100) -> float:
    pacing = Pacing(Time(), lambda: share)
    for _ in range(batches):
        pacing.batch_begins(customers)
    return pacing.linger_s()


def test_nothing_lingers_while_cpus_are_free() -> None:
    assert _linger_after(0.0, 1) == 0
    assert _linger_after(CPU_FREE, 1) == 0


def test_small_batches_linger_the_longer_the_shorter_cpus_are() -> None:
    lingers = [_linger_after(share / 100, 1) for share in range(101)]
    assert lingers == sorted(lingers)
    assert round(lingers[30], 3) == round(LINGER_MAX_S / 2, 3)
    assert LINGER_MAX_S * 0.98 < lingers[-1] < LINGER_MAX_S


def test_large_batches_linger_less_and_the_largest_not_at_all() -> None:
    lingers = [_linger_after(1.0, customers) for customers in (1, 10, 50, BATCH_LARGE, 500)]
    assert lingers == sorted(lingers, reverse=True)
    assert lingers[-1] < LINGER_MAX_S / 100


def test_one_batch_that_waited_changes_little() -> None:
    assert _linger_after(1.0, 1, batches=1) == 0
    assert 0 < _linger_after(1.0, 1, batches=3) < LINGER_MAX_S / 2


def test_outages_on_end_wait_longer_up_to_a_limit_until_a_look_goes_through() -> None:
    pacing = Pacing(Time())
    waits = [pacing.outage() for _ in range(12)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1], pacing.outages) == (OUTAGE_BACKOFF.first_s, OUTAGE_BACKOFF.max_s, 12)
    pacing.calm()
    assert (pacing.outages, pacing.outage()) == (0, OUTAGE_BACKOFF.first_s)


def test_a_worker_sleeps_until_the_first_thing_that_is_due() -> None:
    time = Time()
    pacing = Pacing(time)
    assert pacing.sleep_s(look_at=None, timer_s=None) == IDLE_WAIT_S
    assert pacing.sleep_s(look_at=time.now_s + 0.5, timer_s=0.75) == 0.5
    assert pacing.sleep_s(look_at=time.now_s + 0.5, timer_s=0.25) == 0.25
    assert pacing.sleep_s(look_at=time.now_s + 60, timer_s=3_600) == IDLE_WAIT_S
    assert pacing.sleep_s(look_at=time.now_s - 1, timer_s=None) == 0
