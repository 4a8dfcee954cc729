"""Writers that get in each other's way: each does its batch again, and who never gets through is told to ask again."""

from __future__ import annotations

from unittest.mock import create_autospec

import asyncpg
import pytest

from libs.common.clock import SystemClock
from libs.common.config import AHEAD_MAX
from libs.common.db.pool import Connection, Pool
from libs.common.errors import Aborted, AlreadyExists
from services.segment.store.errors import CollisionError, domain_errors
from services.segment.worker.writers import ATTEMPTS, FactPublisher, Writer


async def _no_server() -> Connection:
    raise AssertionError("no statement runs here")


@pytest.fixture
def writer() -> Writer:
    return Writer(
        Pool(_no_server, 1), SystemClock(), create_autospec(FactPublisher, instance=True), AHEAD_MAX
    )


def _taken(constraint: str) -> asyncpg.UniqueViolationError:
    error = asyncpg.UniqueViolationError("duplicate key")
    error.constraint_name = constraint
    return error


COLLISIONS = [
    CollisionError("met"),
    _taken("customer_member_id"),
    asyncpg.DeadlockDetectedError("met"),
    asyncpg.SerializationError("met"),
]


def test_a_name_that_is_taken_is_no_collision() -> None:
    with pytest.raises(AlreadyExists) as refused, domain_errors():
        raise _taken("saved_audience_name")
    assert refused.value.reason == "DUPLICATE_VALUE"
    with pytest.raises(CollisionError), domain_errors():
        raise _taken("customer_member_id")


@pytest.mark.parametrize("collision", COLLISIONS, ids=repr)
async def test_a_collision_is_tried_again_and_told_only_when_there_is_no_end(
    writer: Writer, collision: Exception
) -> None:
    met = 0

    async def free_at_the_last() -> str:
        nonlocal met
        met += 1
        if met < ATTEMPTS:
            raise collision
        return "written"

    async def never_free() -> str:
        raise collision

    assert await writer.until_alone("events", free_at_the_last) == "written"
    with pytest.raises(Aborted) as refused:
        await writer.until_alone("events", never_free)
    assert refused.value.reason == "WRITE_CONFLICT"
    assert refused.value.retry_after_s


async def test_what_is_no_collision_is_told_at_once(writer: Writer) -> None:
    tried = 0

    async def bad() -> None:
        nonlocal tried
        tried += 1
        raise asyncpg.DataError("bad")

    with pytest.raises(asyncpg.DataError):
        await writer.until_alone("events", bad)
    assert tried == 1
