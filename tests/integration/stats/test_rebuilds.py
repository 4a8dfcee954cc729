"""Figures counted anew from the histories are the same, whatever is counted, killed or set aside meanwhile (T-06c)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import asyncpg
import grpc
import pytest

from libs.common import crash
from libs.common.ids import new_id
from libs.testing.fixtures import Database
from libs.testing.history_rows import (
    NOON,
    TEAM,
    click,
    entry,
    opened,
    order,
    receipt,
    refused,
    run_segment,
    sent,
    stored,
)
from libs.testing.mails import customers
from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.common.v1 import operation_pb2, operations_service_pb2
from omnijourney.internal.v1 import customers_service_pb2
from omnijourney.journey.v1 import enrolment_pb2
from omnijourney.points.v1 import entry_pb2
from omnijourney.segment.v1 import team_pb2
from omnijourney.stats.v1 import stats_service_pb2 as pb
from services.stats.worker import rebuilds
from tests.integration.stats.conftest import TIMEOUT_S, StartStats, Stats
from tests.integration.stats.test_attribution import bought, returned
from tests.integration.stats.test_lift import came

OTHER_TEAM = UUID("01890000-0000-7000-8000-0000000000cc")
ALL = UUID(int=0)
PEOPLE = list(islice(customers(), 12))
HOUR = timedelta(hours=1)
ENTERED = ("hello", enrolment_pb2.STEP_RESULT_SEND_REQUESTED, True)
DONE = enrolment_pb2.ENROLMENT_STATE_COMPLETED
FIGURES = ("counter", "total", "first_time", "journey_click", "shop_order", "split_member", "cursor")
LEFT = ("rebuild_cursor", "rebuild_shadow")


def record_a_day(stats: Stats, *, at_hour: int = 0) -> None:
    """Something of everything that is counted."""
    at = NOON + at_hour * HOUR
    for place, who in enumerate(PEOPLE):
        stats.feeds["journey"].record(
            run_segment(who, ENTERED, enrolled=True, at=at),
            run_segment(who, state=DONE, at=at),
            came(who, held_out=place % 2 > 0, at=at),
        )
        stats.feeds["channel_gateway"].record(
            sent(who, at=at),
            sent(who, at=at, team_id=OTHER_TEAM),
            receipt(who, delivery_pb2.RECEIPT_KIND_READ, at=at),
            click(who, UUID(int=place + 1), at),
            opened(who, at - HOUR, effect_key=UUID(int=100 + place)),
        )
        stats.feeds["segment"].record(
            bought(who, f"{at_hour}/{place}", at),
            returned(who, f"{at_hour}/{place}", at, 1_000_000),
            order(who, at, team_id=OTHER_TEAM),
        )
        stats.feeds["points"].record(entry(who, entry_pb2.ENTRY_SOURCE_WEB_ORDER, 15, cumulative=15, at=at))
    gone = [
        ("hello", enrolment_pb2.STEP_RESULT_SKIPPED, True, "UNBOUND"),
        ("hello", enrolment_pb2.STEP_RESULT_HALTED, False, "JOURNEY_STOPPED"),
    ]
    stats.feeds["journey"].record(
        refused(PEOPLE[0], at),
        run_segment(PEOPLE[1], *gone, enrolled=True, state=enrolment_pb2.ENROLMENT_STATE_HALTED, at=at),
    )
    stats.feeds["channel_gateway"].record(
        sent(
            PEOPLE[1],
            state=delivery_pb2.SEND_STATE_SKIPPED,
            messages=0,
            price_micros=0,
            reason="UNBOUND",
            at=at,
        )
    )
    stats.feeds["segment"].record(stored(5), stored(6, refund=True))


def spoil_a_row(stats: Stats) -> None:
    """A row of journey's history that nobody can read any more."""
    rows = next(rows for rows in stats.feeds["journey"].rows.values() if rows)
    rows[0].body = b"\xc1"  # type: ignore[attr-defined]


async def contents(admin: asyncpg.Connection[Any], *tables: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of some tables, in a stable order."""
    return {
        table: sorted((tuple(row) for row in await admin.fetch(f"SELECT * FROM stats.{table}")), key=repr)
        for table in tables
    }


async def rebuild(stats: Stats, team_id: UUID | None = TEAM) -> operation_pb2.Operation:
    """Counts a team, or all, anew, and waits for the end."""
    request = pb.StartRebuildRequest(team_id=str(team_id or ""), request_id=str(new_id()))
    started = (await stats.stub.StartRebuild(request, timeout=TIMEOUT_S)).operation
    return await ended(stats, started)


async def ended(stats: Stats, operation: operation_pb2.Operation) -> operation_pb2.Operation:
    """The operation when it has ended."""
    request = operations_service_pb2.WaitOperationRequest(
        team_id=operation.team_id, operation_id=operation.operation_id
    )
    request.wait.FromTimedelta(timedelta(seconds=10))
    async with asyncio.timeout(2 * TIMEOUT_S):
        while True:
            answer = await stats.long_work.WaitOperation(request, timeout=TIMEOUT_S)
            if answer.operation.state > operation_pb2.OPERATION_STATE_RUNNING:
                return answer.operation  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def asks_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A history that gives nothing yet is asked as long as ever, but every twentieth of a second."""
    monkeypatch.setattr(rebuilds, "STALL_S", 0.05)
    monkeypatch.setattr(rebuilds, "STALLS_MAX", 600)


@pytest.fixture
async def admin(database: Database) -> Any:
    """Sees all rows."""
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.mark.rule("T-06c")
@pytest.mark.parametrize("team_id", [TEAM, None])
async def test_figures_that_were_spoilt_are_the_same_again(
    stats: Stats, admin: asyncpg.Connection[Any], team_id: UUID | None
) -> None:
    record_a_day(stats)
    await stats.settle()
    whole = await contents(admin, *FIGURES)
    await admin.execute("DELETE FROM stats.counter WHERE team_id = $1 AND metric < 10", TEAM)
    await admin.execute("UPDATE stats.total SET value = value + 7 WHERE team_id = $1", TEAM)
    await admin.execute("DELETE FROM stats.split_member; DELETE FROM stats.journey_click")
    found = await rebuild(stats, team_id)
    assert (found.state, found.error.message) == (operation_pb2.OPERATION_STATE_SUCCEEDED, "")
    assert found.team_id == found.resource_id == str(team_id or ALL)
    assert found.done_count == found.total_count == sum(position for _, _, position in whole["cursor"])
    assert await contents(admin, *FIGURES) == whole
    assert not any((await contents(admin, *LEFT)).values())


@pytest.mark.rule("T-06c")
async def test_what_is_counted_meanwhile_is_counted_once(
    stats: Stats, admin: asyncpg.Connection[Any]
) -> None:
    record_a_day(stats)
    await stats.settle()
    for feed in stats.feeds.values():
        feed.rows_max = 40
    started = await stats.stub.StartRebuild(
        pb.StartRebuildRequest(team_id=str(TEAM), request_id="r"), timeout=TIMEOUT_S
    )
    for hour in range(1, 4):
        record_a_day(stats, at_hour=hour)
        await asyncio.sleep(0)
    found = await ended(stats, started.operation)
    assert found.state == operation_pb2.OPERATION_STATE_SUCCEEDED
    await stats.settle()
    counted = await contents(admin, *FIGURES)
    assert (await stats.overview()).triggered_count == 4 * (2 * len(PEOPLE) + 1)
    await rebuild(stats)
    assert await contents(admin, *FIGURES) == counted


@pytest.mark.rule("T-06c")
async def test_one_that_is_broken_off_at_every_step_comes_to_the_same(
    stats: Stats, admin: asyncpg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    record_a_day(stats)
    await stats.settle()
    whole = await contents(admin, *FIGURES)
    for feed in stats.feeds.values():
        feed.rows_max = 20
    broken: list[str] = []

    def reach(point: str) -> None:
        if point in {"stats.rebuilding", "stats.rebuilt"} and broken.count(point) < 2:
            broken.append(point)
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    monkeypatch.setattr(crash, "reach", reach)
    monkeypatch.setattr("services.stats.worker.rebuilds.RETRY_S", 0.0)
    monkeypatch.setattr("services.stats.worker.rebuilds.POLL_S", 0.05)
    found = await rebuild(stats)
    assert found.state == operation_pb2.OPERATION_STATE_SUCCEEDED
    assert sorted(broken) == ["stats.rebuilding"] * 2 + ["stats.rebuilt"] * 2
    assert await contents(admin, *FIGURES) == whole


@pytest.mark.rule("T-06c")
async def test_another_process_goes_on_with_one_whose_process_was_killed(
    stats: Stats, admin: asyncpg.Connection[Any], start_stats: Callable[[], Awaitable[Stats]]
) -> None:
    record_a_day(stats)
    await stats.settle()
    whole = await contents(admin, *FIGURES)
    rebuild_id = new_id()
    await admin.execute(
        "INSERT INTO stats.rebuild (team_id, rebuild_id, state, tries, claim, claimed_until, created_at)"
        " VALUES ($1, $2, 2, 1, gen_random_uuid(), clock_timestamp() - interval '1 s', now())",
        TEAM,
        rebuild_id,
    )
    other = await start_stats()
    found = await ended(other, operation_pb2.Operation(team_id=str(TEAM), operation_id=str(rebuild_id)))
    assert found.state == operation_pb2.OPERATION_STATE_SUCCEEDED
    assert await contents(admin, *FIGURES) == whole


@pytest.mark.rule("T-02a", "T-06c")
async def test_orders_keep_the_window_that_they_were_counted_with(
    stats: Stats, admin: asyncpg.Connection[Any], start_stats: StartStats
) -> None:
    stats.feeds["channel_gateway"].record(opened(PEOPLE[0], NOON - 3 * HOUR))
    stats.feeds["segment"].record(bought(PEOPLE[0], "first", NOON))
    await stats.settle()
    whole = await contents(admin, *FIGURES)
    settings = team_pb2.TeamSettings(team_id=str(TEAM), time_zone="Asia/Kolkata", currency_code="INR")
    settings.attribution_window.FromTimedelta(HOUR)
    stats.feeds["segment"].answers["BatchGetTeamSettings"] = (
        customers_service_pb2.BatchGetTeamSettingsResponse(settings=[settings])
    )
    fresh = await start_stats()
    await rebuild(fresh)
    assert (await stats.overview()).order_count.value == 1
    assert await contents(admin, *FIGURES) == whole


async def test_what_is_set_aside_stays_so_and_is_counted_once_when_it_can_be(
    stats: Stats, admin: asyncpg.Connection[Any]
) -> None:
    record_a_day(stats)
    faulty = run_segment(PEOPLE[0], ENTERED, enrolled=True)
    body, faulty.body = faulty.body, b"\xc1"
    stats.feeds["journey"].record(faulty)
    await stats.settle()
    whole = await contents(admin, *FIGURES, "row_set_aside")
    faulty.body = body
    await rebuild(stats)
    assert await contents(admin, *FIGURES, "row_set_aside") == whole
    again = pb.RetryRowsSetAsideRequest(request_id="again")
    assert (await stats.stub.RetryRowsSetAside(again, timeout=TIMEOUT_S)).counted_count == 1
    assert (await stats.overview()).triggered_count == 2 * len(PEOPLE) + 2


async def test_rows_set_aside_are_not_counted_while_a_rebuild_waits(
    stats: Stats, admin: asyncpg.Connection[Any]
) -> None:
    faulty = run_segment(PEOPLE[0], ENTERED, enrolled=True)
    body, faulty.body = faulty.body, b"\xc1"
    stats.feeds["journey"].record(faulty)
    await stats.settle()
    faulty.body = body
    await admin.execute(
        "INSERT INTO stats.rebuild (team_id, rebuild_id, state, claim, claimed_until, created_at)"
        " VALUES ($1, gen_random_uuid(), 2, gen_random_uuid(), clock_timestamp() + interval '1 h', '2000-01-01')",
        OTHER_TEAM,
    )
    again = pb.RetryRowsSetAsideRequest(request_id="again")
    answer = await stats.stub.RetryRowsSetAside(again, timeout=TIMEOUT_S)
    assert (answer.counted_count, answer.left_count) == (0, 1)


async def test_a_row_that_cannot_be_read_any_more_fails_it_and_the_figures_stay(
    stats: Stats, admin: asyncpg.Connection[Any]
) -> None:
    record_a_day(stats)
    await stats.settle()
    whole = await contents(admin, *FIGURES)
    spoil_a_row(stats)
    found = await rebuild(stats)
    assert found.state == operation_pb2.OPERATION_STATE_FAILED
    assert "cannot be read" in found.error.message
    async with asyncio.timeout(TIMEOUT_S):
        while await contents(admin, *FIGURES) != whole or any((await contents(admin, *LEFT)).values()):
            await asyncio.sleep(0.05)


async def test_it_is_cancelled_repeated_listed_and_other_teams_have_none_of_it(
    stats: Stats, admin: asyncpg.Connection[Any]
) -> None:
    await admin.execute(
        "INSERT INTO stats.rebuild (team_id, rebuild_id, state, claim, claimed_until, created_at)"
        " VALUES ($1, gen_random_uuid(), 2, gen_random_uuid(), clock_timestamp() + interval '1 h', '2000-01-01')",
        OTHER_TEAM,
    )
    request = pb.StartRebuildRequest(team_id=str(TEAM), request_id="same")
    started = (await stats.stub.StartRebuild(request, timeout=TIMEOUT_S)).operation
    assert (await stats.stub.StartRebuild(request, timeout=TIMEOUT_S)).operation == started
    cancel = operations_service_pb2.CancelOperationRequest(
        team_id=str(TEAM), operation_id=started.operation_id, request_id="cancel"
    )
    answer = await stats.long_work.CancelOperation(cancel, timeout=TIMEOUT_S)
    assert answer.operation.state == operation_pb2.OPERATION_STATE_CANCELLED
    listed = operations_service_pb2.ListOperationsRequest(team_id=str(TEAM))
    (shown,) = (await stats.long_work.ListOperations(listed, timeout=TIMEOUT_S)).operations
    assert shown == answer.operation
    cancel.team_id = str(OTHER_TEAM)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stats.long_work.CancelOperation(cancel, timeout=TIMEOUT_S)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_too_many_wait(stats: Stats, admin: asyncpg.Connection[Any]) -> None:
    await admin.execute(
        "INSERT INTO stats.rebuild (team_id, rebuild_id, state, claim, claimed_until, created_at)"
        " SELECT $1, gen_random_uuid(), 2, gen_random_uuid(), clock_timestamp() + interval '1 h',"
        " '2000-01-01'::timestamptz FROM generate_series(1, 10)",
        OTHER_TEAM,
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rebuild(stats)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
