"""When batches begin, and how long a worker sleeps."""

from __future__ import annotations

from services.journey.worker.pacing import IDLE_WAIT_S, LINGER_S, OUTAGE_BACKOFF, Pacing


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
    pacing.batch_begins()
    assert round(pacing.linger_s(), 6) == LINGER_S
    time.now_s += LINGER_S / 4
    assert round(pacing.linger_s(), 6) == LINGER_S * 3 / 4
    time.now_s += LINGER_S
    assert pacing.linger_s() == 0


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
