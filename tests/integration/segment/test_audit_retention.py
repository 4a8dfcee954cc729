"""The audit log ends with its years: a little at a time, and never with what has just been done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from libs.common.db import requests
from libs.common.db.pool import Pool, open_pool
from libs.common.retention import nobody
from libs.testing.fixtures import Database, Databases
from services.segment.config import Settings
from services.segment.store.audit import forget_entries
from services.segment.usecases.audit import AuditTrail

_AGES = (0, 29, 31, 100, 729, 731, 900)
"""Days; entries of as many teams."""


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    """With an entry of each age."""
    async with databases.fresh({"segment": "services.segment"}) as database:
        owner = await asyncpg.connect(database.admin_dsn)
        await owner.executemany(
            """
            INSERT INTO platform.audit_entry (team_id, audit_entry_id, changed_at, actor, client_id, method, request_id,
                                              resource_type, resource_id, fields, before, after, cut)
            VALUES (gen_random_uuid(), gen_random_uuid(), clock_timestamp() - make_interval(days => $1), 'Ann',
                    gen_random_uuid(), 'm', 'r', 'Team', $1::text, '{}', '', '', false)
            """,
            [(age,) for age in _AGES],
        )
        await owner.close()
        yield database


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    """Of segment's own role."""
    async with await open_pool(database.dsn_of("segment"), name="test") as pool:
        yield pool


async def _teams(database: Database) -> dict[int, UUID]:
    """By the age of their entry."""
    owner = await asyncpg.connect(database.admin_dsn)
    try:
        rows = await owner.fetch("SELECT resource_id, team_id FROM platform.audit_entry")
    finally:
        await owner.close()
    return {int(row["resource_id"]): row["team_id"] for row in rows}


async def _ages(database: Database) -> list[int]:
    owner = await asyncpg.connect(database.admin_dsn)
    try:
        rows = await owner.fetch("SELECT resource_id FROM platform.audit_entry ORDER BY changed_at DESC")
    finally:
        await owner.close()
    return [int(row["resource_id"]) for row in rows]


async def test_what_is_older_than_is_kept_goes_a_little_at_a_time(pool: Pool, database: Database) -> None:
    kept = timedelta(days=Settings.model_fields["audit_retention_days"].default)
    assert await forget_entries(pool, kept, {}, 1) == 1
    *stays, old = await _ages(database)
    assert (stays, old in {731, 900}) == ([0, 29, 31, 100, 729], True), "teams go in order of their ids"
    assert await forget_entries(pool, kept, {}, 100) == 1
    assert await forget_entries(pool, kept, {}, 100) == 0
    assert await _ages(database) == [0, 29, 31, 100, 729]


async def test_what_a_team_says_goes_before_what_the_installation_does(
    pool: Pool, database: Database
) -> None:
    teams = await _teams(database)
    own = {teams[100]: timedelta(days=50), teams[731]: timedelta(days=800), teams[29]: timedelta(days=1)}
    kept = timedelta(days=730)
    assert [await forget_entries(pool, kept, own, 1) for _ in range(3)] == [1, 1, 0]
    assert await _ages(database) == [0, 29, 31, 729, 731]


async def test_what_is_younger_than_thirty_days_stays_whatever_is_asked(
    pool: Pool, database: Database
) -> None:
    await forget_entries(pool, timedelta(days=-1_000), {}, 100)
    assert await _ages(database) == [0, 29]


async def test_forgetting_goes_on_until_the_service_stops(
    pool: Pool, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "_FORGET_ROWS", 1)
    monkeypatch.setattr(requests, "_FORGET_PAUSE_S", 0.01)
    stop = asyncio.Event()
    forgetting = asyncio.create_task(AuditTrail(pool).keep_forgetting(timedelta(days=100), nobody, stop))
    async with asyncio.timeout(60):
        while len(await _ages(database)) > 3:
            await asyncio.sleep(0.02)
        stop.set()
        await forgetting
    assert await _ages(database) == [0, 29, 31]
