"""Journey's records as others read them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from libs.common.db.pool import Pool, open_pool, transaction
from libs.common.errors import InvalidArgument
from libs.common.feeds.journey_records import FEED_START
from libs.common.feeds.notifier import CommitNotifier
from libs.common.feeds.records import SHARDS
from libs.common.feeds.rows import RecordRow, reader_of
from libs.common.feeds.serving import HistoryServicer
from libs.testing.fixtures import Database, Databases
from omnijourney.common.v1.history_pb2 import HistoryCursor
from omnijourney.internal.v1 import history_service_pb2
from services.journey.servicer.internal import JourneyHistory
from services.journey.store.history import HistoryStore

TEAMS = [UUID(int=1), UUID(int=2)]
READ = reader_of(RecordRow)
PACKED = history_service_pb2.HISTORY_FORM_PACKED
BEGINNING = dict.fromkeys(range(FEED_START, FEED_START + SHARDS), 0)


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    async with databases.fresh({"journey": "services.journey"}) as database:
        yield database


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    pool = await open_pool(database.dsn_of("journey"), name="test", size_max=2)
    try:
        yield pool
    finally:
        pool.terminate()


async def append(pool: Pool, *records: tuple[int, UUID, bytes]) -> None:
    """Records of one commit: shard, team, body."""
    async with transaction(pool, TEAMS) as connection:
        await connection.execute("SELECT append_records(1, $1::record_row[])", list(records))


def reading(pool: Pool) -> Any:
    deps = SimpleNamespace(history=HistoryStore(pool), notifier=CommitNotifier())
    servicer = HistoryServicer(JourneyHistory(cast(Any, deps)), asyncio.Event())

    async def read(after: Mapping[int, int], size: int = 100) -> tuple[list[RecordRow], dict[int, int]]:
        cursors = [HistoryCursor(partition=p, after_position=at) for p, at in after.items()]
        request = history_service_pb2.ListHistoryRequest(cursors=cursors, page_size=size, form=PACKED)
        answer = await servicer.ListHistory(request, None)
        moved = {cursor.partition: cursor.after_position for cursor in answer.next_cursors}
        return READ(answer.rows), {**after, **moved}

    return read


async def test_records_of_all_teams_are_read_as_they_are_stored_in_pages_of_any_size(pool: Pool) -> None:
    read = reading(pool)
    for number in range(30):
        await append(
            pool,
            (number % 3, TEAMS[0], bytes([number])),
            (7, TEAMS[number % 2], bytes([number, number])),
        )
    for size in (1, 7, 1_000):
        found: list[RecordRow] = []
        rows, cursors = await read(BEGINNING, size)
        while rows:
            assert len(rows) <= size
            found += rows
            rows, cursors = await read(cursors, size)
        assert len(found) == 60
        positions = {
            shard: [row.position for row in found if row.partition == FEED_START + shard]
            for shard in (0, 1, 2, 7)
        }
        assert positions == {shard: list(range(1, 31 if shard == 7 else 11)) for shard in (0, 1, 2, 7)}
        last = [row for row in found if row.partition == FEED_START + 7][-1]
        assert (last.team, last.body) == (TEAMS[1].bytes, bytes([29, 29]))


async def test_what_was_written_before_is_a_history_of_its_own(pool: Pool) -> None:
    read = reading(pool)
    await append(pool, (3, TEAMS[0], b"x"))
    rows, cursors = await read(dict.fromkeys(range(FEED_START), 0))
    assert (rows, cursors) == ([], dict.fromkeys(range(FEED_START), 0))
    with pytest.raises(InvalidArgument):
        await read({3: 0, FEED_START + 3: 0})
    with pytest.raises(InvalidArgument):
        await read({FEED_START + SHARDS: 0})


async def test_readers_of_records_wait_for_the_next_and_readers_of_before_do_not_look_at_each(
    pool: Pool,
) -> None:
    notifier = CommitNotifier()
    looked = []

    class Store(HistoryStore):
        async def page(self, cursors: Mapping[int, int], limit: int) -> tuple[list[Any], dict[int, int]]:
            looked.append(limit)
            return await super().page(cursors, limit)

    history = JourneyHistory(cast(Any, SimpleNamespace(history=Store(pool), notifier=notifier)))
    before = {0: 0}
    assert history.reading(before, 5, ()).notifier is notifier, "nobody knows yet whether there are records"
    await append(pool, (0, TEAMS[0], b"x"))
    await history.reading(before, 5, ()).rows()
    assert history.reading(before, 5, ()).notifier is not notifier
    assert history.reading({FEED_START: 0}, 5, ()).notifier is notifier
    assert looked == [5]
