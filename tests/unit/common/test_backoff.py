"""Waits between tries: doubling, bounded, and spread where many callers would come back together."""

from __future__ import annotations

import random

import pytest

from libs.common.backoff import Backoff, Retries, retrying

NO_WAIT = Backoff(0.0, 0.0)


class Flaky:
    """Fails a few times, then answers."""

    def __init__(self, failures: int) -> None:
        self.calls = 0
        self._failures = failures

    async def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self._failures:
            raise ConnectionError(f"call {self.calls}")
        return 42


def test_waits_double_up_to_the_longest() -> None:
    backoff = Backoff(0.1, 1.0)
    assert [backoff.delay_s(failures) for failures in (1, 2, 3, 4, 5, 10_000)] == [
        0.1,
        0.2,
        0.4,
        0.8,
        1.0,
        1.0,
    ]


def test_chance_shortens_a_wait_by_its_spread_at_most() -> None:
    backoff, chance = Backoff(1.0, 8.0, spread=0.25), random.Random(1)
    waits = [backoff.delay_s(4, chance) for _ in range(1_000)]
    assert 6.0 <= min(waits) < 6.1
    assert 7.9 < max(waits) <= 8.0


def test_a_success_makes_the_next_failure_a_first_one() -> None:
    retries = Retries(Backoff(0.1, 1.0))
    assert [retries.failed(), retries.failed()] == [0.1, 0.2]
    retries.succeeded()
    assert retries.failed() == 0.1


async def test_a_call_is_made_again_while_it_fails_for_a_passing_reason() -> None:
    call, heard = Flaky(2), list[str]()
    answer = await retrying(
        call,
        backoff=NO_WAIT,
        passing=(OSError,),
        failed=lambda attempt, error: heard.append(f"{attempt}: {error}"),
    )
    assert (answer, heard) == (42, ["1: call 1", "2: call 2"])


async def test_the_last_error_is_raised_after_the_last_attempt() -> None:
    call = Flaky(5)
    with pytest.raises(ConnectionError, match="call 3"):
        await retrying(call, backoff=NO_WAIT, passing=(OSError,), attempts=3)
    assert call.calls == 3


@pytest.mark.parametrize("passing", [(ValueError,), lambda error: "2" in str(error)])
async def test_other_errors_are_raised_at_once(passing: object) -> None:
    call = Flaky(5)
    with pytest.raises(ConnectionError, match="call 1"):
        await retrying(call, backoff=NO_WAIT, passing=passing)  # type: ignore[arg-type]  # one of both forms
    assert call.calls == 1


async def test_nothing_is_repeated_once_it_is_given_up() -> None:
    call = Flaky(5)
    with pytest.raises(ConnectionError, match="call 2"):
        await retrying(call, backoff=NO_WAIT, passing=(OSError,), give_up=lambda: call.calls == 2)
