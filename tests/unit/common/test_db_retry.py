"""Transactions that collide are done again, not for ever."""

from __future__ import annotations

import asyncpg
import pytest

from libs.common.backoff import Backoff
from libs.common.db.retry import until_alone
from libs.common.errors import Aborted

NO_WAIT = Backoff(0.0, 0.0)


async def test_a_collision_is_tried_again_with_the_number_of_the_attempt() -> None:
    attempts: list[int] = []
    errors: list[Exception] = [asyncpg.UniqueViolationError("key"), asyncpg.DeadlockDetectedError("circle")]

    async def once(attempt: int) -> str:
        attempts.append(attempt)
        if errors:
            raise errors.pop(0)
        return "done"

    collided: list[None] = []
    answer = await until_alone(once, what="test", backoff=NO_WAIT, collided=lambda: collided.append(None))
    assert (answer, attempts, len(collided)) == ("done", [1, 2, 3], 2)


async def test_who_collides_again_and_again_is_told_to_come_back() -> None:
    attempts: list[int] = []

    async def once(attempt: int) -> None:
        attempts.append(attempt)
        raise asyncpg.SerializationError("others")

    with pytest.raises(Aborted) as refused:
        await until_alone(once, what="test", attempts=3, backoff=NO_WAIT)
    assert refused.value.reason == "WRITE_CONFLICT"
    assert attempts == [1, 2, 3]


async def test_what_is_no_collision_is_raised_at_once() -> None:
    async def once(attempt: int) -> None:
        raise asyncpg.DataError(f"attempt {attempt}")

    with pytest.raises(asyncpg.DataError, match="attempt 1"):
        await until_alone(once, what="test", backoff=NO_WAIT)
