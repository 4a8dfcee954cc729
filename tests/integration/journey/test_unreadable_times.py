"""Stored times of years that Python has not: what one row holds stops neither its team nor the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import islice
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import asyncpg
import pytest

from libs.common.db.pool import open_pool, transaction
from libs.common.feeds.journey_records import read_record
from libs.common.feeds.notifier import CommitNotifier
from libs.common.feeds.rows import RecordRow, reader_of
from libs.common.feeds.serving import HistoryServicer
from libs.common.ids import PARTITIONS, new_id
from libs.common.mailbox.mail import SystemTrigger, Unreadable
from libs.testing.fixtures import Database, Databases
from libs.testing.mails import TEAM, customers
from omnijourney.common.v1.history_pb2 import HistoryCursor
from omnijourney.internal.v1 import history_service_pb2
from services.journey.domain import model as d
from services.journey.domain.enrolment import EnrolmentState as State
from services.journey.domain.views import SystemTriggerRow
from services.journey.servicer.internal import JourneyHistory
from services.journey.store.codec import StatusRecord, pack
from services.journey.store.history import HistoryStore
from services.journey.store.mail import JourneyMailStore
from tests.integration.journey.conftest import Site
from tests.integration.journey.turns_by_hand import POINTS

NO_TIMES = ["4713-01-01 BC", "10000-01-01"]
OTHER_TEAM = UUID(int=77)


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    async with databases.fresh({"journey": "services.journey"}) as database:
        yield database


@pytest.fixture
async def site(database: Database) -> AsyncIterator[Site]:
    pool = await open_pool(database.dsn_of("journey"), name="test", size_max=8)
    try:
        yield Site(pool)
    finally:
        pool.terminate()


async def as_owner(database: Database, *statements: str) -> None:
    """Changes rows past what the service and its checks allow."""
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize("at", NO_TIMES)
async def test_a_trigger_of_no_time_is_told_as_unreadable_and_the_others_as_they_are(
    site: Site, database: Database, at: str
) -> None:
    store, crowd = JourneyMailStore(site.pool), list(islice(customers(), 3))
    for team_id in (TEAM, OTHER_TEAM):
        triggers = [SystemTriggerRow(customer, UUID(int=100), new_id()) for customer in crowd]
        await store.append(team_id, triggers, site.clock.now())
    await as_owner(
        database,
        "ALTER TABLE journey.mail DROP CONSTRAINT mail_time_readable",
        f"UPDATE journey.mail SET occurred_at = '{at}' WHERE team_id = '{TEAM}' AND customer_id = '{crowd[1]}'",
    )
    mails = await store.fetch_after(dict.fromkeys(range(PARTITIONS), 0), 500)
    bodies = {(mail.team_id, mail.customer_id): type(mail.body) for mail in mails}
    assert bodies.pop((TEAM, crowd[1])) is Unreadable
    assert list(bodies.values()) == [SystemTrigger] * 5
    own = (await store.of_customer(TEAM, crowd[1], 0)).mails
    assert [type(mail.body) for mail in own] == [Unreadable]


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize("at", NO_TIMES)
async def test_a_row_of_the_history_of_no_time_is_told_by_its_place(
    site: Site, database: Database, at: str
) -> None:
    # In the form of the release before: records hold no time that a process did not write.
    status = pack(StatusRecord(d.JourneyStatus.DRAFT, d.JourneyStatus.ACTIVE, d.StatusReason.NONE, "Welcome"))
    await as_owner(
        database,
        *(
            "INSERT INTO journey.history (partition, position, team_id, journey_id, at, kind, body)"
            f" VALUES (7, {number}, '{TEAM}', '{UUID(int=number)}', now(), 3, '\\x{status.hex()}')"
            for number in range(100, 103)
        ),
    )
    await as_owner(
        database,
        "ALTER TABLE journey.history DROP CONSTRAINT history_time_readable",
        f"UPDATE journey.history SET at = '{at}' WHERE journey_id = '{UUID(int=101)}'",
    )
    deps = SimpleNamespace(history=HistoryStore(site.pool), notifier=CommitNotifier())
    servicer = HistoryServicer(JourneyHistory(cast(Any, deps)), asyncio.Event())
    cursors = [HistoryCursor(partition=partition) for partition in range(PARTITIONS)]
    packed = history_service_pb2.HISTORY_FORM_PACKED
    request = history_service_pb2.ListHistoryRequest(cursors=cursors, form=packed)
    rows = reader_of(RecordRow)((await servicer.ListHistory(request, None)).rows)
    sound = [read_record(row.body) for row in rows if row.team is not None]
    journeys = sorted(journey for record in sound for journey in record.journeys)
    assert journeys == [UUID(int=100).bytes, UUID(int=102).bytes]
    (bare,) = [row for row in rows if row.team is None]
    assert bare.position > 0


@pytest.mark.rule("C-20d")
@pytest.mark.usefixtures("looks_soon")
@pytest.mark.parametrize("at", NO_TIMES)
@pytest.mark.parametrize("column", ["wake_at", "live_since"])
async def test_a_timer_of_no_time_keeps_no_other_from_firing(
    site: Site, database: Database, column: str, at: str
) -> None:
    journey = await site.save_journey(d.Node("wait", d.Delay(3600), "points"), POINTS)
    crowd = list(islice(customers(), 20))
    async with site.worker():
        await site.deliver(*(site.order(customer) for customer in crowd))

        async def asleep() -> bool:
            async with transaction(site.pool, [TEAM]) as connection:
                count = await connection.fetchval("SELECT count(*) FROM actor WHERE wake_at IS NOT NULL")
            return int(count) == 20

        await site.until(asleep)
        await as_owner(
            database,
            "ALTER TABLE journey.actor DROP CONSTRAINT actor_times_readable",
            f"UPDATE journey.actor SET {column} = '{at}' WHERE customer_id = '{crowd[3]}'",
        )
        site.step(minutes=61)

        async def fired() -> bool:
            return (await site.states(journey)).get(State.COMPLETED, 0) >= 19

        await site.until(fired)
