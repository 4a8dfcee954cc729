"""The token bucket, in times that the test sets."""

import pytest

from libs.common.token_bucket import TokenBucket


def test_it_starts_full_and_holds_no_more_than_its_capacity() -> None:
    bucket = TokenBucket(rate=10, capacity=3, now_s=0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_tokens_come_at_the_rate() -> None:
    bucket = TokenBucket(rate=4, capacity=1, now_s=0.0)
    assert bucket.take(0.0)
    assert bucket.next_s() == pytest.approx(0.25)
    assert not bucket.take(0.2)
    assert bucket.take(0.25)


def test_too_few_tokens_are_left_alone() -> None:
    bucket = TokenBucket(rate=1, capacity=5, now_s=0.0)
    assert not bucket.take(0.0, 6)
    assert bucket.take(0.0, 5)


def test_what_was_taken_for_nothing_can_be_put_back_but_never_above_the_capacity() -> None:
    bucket = TokenBucket(rate=1, capacity=1, now_s=0.0)
    bucket.put_back()
    assert bucket.take(0.0)
    assert not bucket.take(0.0)
    bucket.put_back()
    assert bucket.next_s() == 0.0
    assert bucket.take(0.0)
