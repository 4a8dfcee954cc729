"""Reading the ledger: the report, the export, past balances, and the feed."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import timedelta
from uuid import UUID

import grpc
import pytest

from libs.common.feeds.reading import PackedHistory
from libs.common.feeds.rows import EntryRow
from libs.common.ids import PARTITIONS, new_id, partition_of
from libs.common.rpc.errors import remote_error
from omnijourney.common.v1 import history_pb2
from omnijourney.internal.v1 import history_service_pb2
from omnijourney.points.v1 import entry_pb2
from omnijourney.points.v1 import points_service_pb2 as pb
from tests.integration.points import build
from tests.integration.points.conftest import TIMEOUT_S, Neighboured, Points

DAY = timedelta(days=1)


async def report(points: Points, request: pb.ListEntriesRequest) -> tuple[list[entry_pb2.Entry], str]:
    request.team_id = str(points.team_id)
    answer = await points.stub.ListEntries(request, timeout=TIMEOUT_S)
    return [line.entry for line in answer.lines], answer.next_page_token


@pytest.mark.rule("P-11a", "P-11c")
async def test_the_report_shows_the_last_thirty_days_newest_first(points: Points) -> None:
    customer = new_id()
    for change in (1, 2, 4):
        await points.post(build.manual(points.team_id, customer, change))
        points.clock.advance(20 * DAY)
    entries, token = await report(points, pb.ListEntriesRequest())
    assert [(entry.delta_balance, entry.balance) for entry in entries] == [(4, 7)]
    assert token == ""
    request = pb.ListEntriesRequest()
    request.filter.start_time.FromDatetime(points.clock.now() - 90 * DAY)
    entries, _ = await report(points, request)
    assert [entry.delta_balance for entry in entries] == [4, 2, 1]
    # "The last 90 days" by the clock of a caller, which is behind ours, and of a page that is turned later.
    request.filter.start_time.FromDatetime(points.clock.now() - 90 * DAY - timedelta(minutes=20))
    request.page_size = 2
    entries, token = await report(points, request)
    points.clock.advance(timedelta(minutes=40))
    request.page_token = token
    later, _ = await report(points, request)
    assert [entry.delta_balance for entry in (*entries, *later)] == [4, 2, 1]
    request.page_token = ""
    points.clock.advance(timedelta(seconds=1))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await report(points, request)
    error = remote_error(caught.value)
    assert (error.reason, error.metadata) == ("SEARCH_RANGE_TOO_LONG", {"days": "91", "days_max": "90"})
    request.filter.end_time.FromDatetime(points.clock.now())
    request.filter.start_time.FromDatetime(points.clock.now() - 90 * DAY - timedelta(seconds=1))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await report(points, request)
    error = remote_error(caught.value)
    assert error.reason == "SEARCH_RANGE_TOO_LONG", "both ends are given"
    [violation] = error.violations
    assert (violation.field, violation.reason) == ("filter.start_time", error.reason)
    assert violation.description == "must be at most 90 days before the end, is 91: search a part at a time"


@pytest.mark.rule("P-11d")
async def test_an_order_and_its_refund_go_by_the_number_that_people_know(points: Points) -> None:
    await points.set_formula("1", "1")
    customer, order = new_id(), new_id()
    earned = build.earn(points.team_id, customer, 100_000_000, order_key=order)
    earned.earn.order_number = "#1001"
    back = build.refund(points.team_id, customer, 30_000_000, order_key=order)
    back.refund.order_id, back.refund.order_number = earned.earn.order_id, "#1001"
    unnumbered = build.refund(points.team_id, customer, 10_000_000, order_key=order)
    unnumbered.refund.order_id = "4711"
    of_none = build.refund(points.team_id, customer, 10_000_000)
    await points.post(earned, back, unnumbered, of_none)
    entries, _ = await report(points, pb.ListEntriesRequest())
    names = {entry.source_id: entry.source_name for entry in entries}
    assert names[earned.earn.order_id] == names[back.refund.refund_id] == "#1001"
    assert {each.refund.refund_id: names.get(each.refund.refund_id) for each in (unnumbered, of_none)} == {
        unnumbered.refund.refund_id: "4711",
        of_none.refund.refund_id: of_none.refund.refund_id,
    }


@pytest.mark.rule("P-11c")
async def test_pages_hold_every_entry_once(points: Points) -> None:
    customers = [new_id() for _ in range(7)]
    await points.post(
        *(build.manual(points.team_id, customer, n + 1) for n in range(5) for customer in customers)
    )
    request, seen = pb.ListEntriesRequest(page_size=4), []
    while True:
        entries, request.page_token = await report(points, request)
        seen += [(entry.customer_id, entry.sequence) for entry in entries]
        if not request.page_token:
            break
        await points.post(build.manual(points.team_id, customers[0], 100))
    assert len(seen) == len(set(seen)) == 35
    other = pb.ListEntriesRequest(page_size=4)
    _, token = await report(points, other)
    other.page_token = token
    other.filter.customer_id = str(customers[0])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await report(points, other)
    assert remote_error(caught.value).reason == "PAGE_TOKEN_INVALID"


@pytest.mark.rule("P-11c")
async def test_the_report_filters_by_source_and_customer(points: Points) -> None:
    ann, bob = new_id(), new_id()
    team = points.team_id
    await points.post(build.manual(team, ann, 5), build.journey(team, ann, 6), build.journey(team, bob, 7))
    request = pb.ListEntriesRequest(
        filter=pb.EntryFilter(sources=[entry_pb2.ENTRY_SOURCE_JOURNEY, entry_pb2.ENTRY_SOURCE_REFUND])
    )
    entries, _ = await report(points, request)
    assert sorted(entry.delta_balance for entry in entries) == [6, 7]
    assert {entry.source_name for entry in entries} == {"welcome"}
    request.filter.customer_id = str(ann)
    entries, _ = await report(points, request)
    assert [entry.delta_balance for entry in entries] == [6]


async def test_the_export_is_the_same_search_as_csv(neighboured: Neighboured) -> None:
    points = neighboured
    team, customer = points.team_id, new_id()
    posting = build.journey(team, customer, 6)
    posting.journey_add.journey_name = '=HYPERLINK("x"), twice'
    await points.post(build.manual(team, customer, 5), posting)
    request = pb.ExportEntriesRequest(team_id=str(team))
    pieces = [piece.csv async for piece in points.stub.ExportEntries(request, timeout=TIMEOUT_S)]
    rows = list(csv.DictReader(io.StringIO(b"".join(pieces).decode("utf-8-sig"))))
    assert [row["change"] for row in rows] == ["6", "5"]
    assert rows[0]["source_name"] == '\'=HYPERLINK("x"), twice'
    assert (rows[0]["balance_after"], rows[0]["cumulative_after"]) == ("11", "11")


async def test_a_past_balance_is_read(points: Points) -> None:
    team, customer = points.team_id, new_id()
    before = points.clock.now() - build.HOUR
    moments = []
    for change in (10, -4, 7):
        await points.post(build.manual(team, customer, change))
        moments.append(points.clock.now())
        points.clock.advance(build.HOUR)
    for at, expected in zip([before, *moments], [(0, 0), (10, 10), (6, 10), (13, 17)], strict=True):
        request = pb.GetBalanceRequest(team_id=str(team), customer_id=str(customer))
        request.at_time.FromDatetime(at)
        balance = (await points.stub.GetBalance(request, timeout=TIMEOUT_S)).balance
        assert (balance.balance, balance.cumulative) == expected


def everywhere() -> dict[int, int]:
    return dict.fromkeys(range(PARTITIONS), 0)


def feed(points: Points) -> PackedHistory[EntryRow]:
    return PackedHistory("points", points.internal.channel, EntryRow)


async def read_all(points: Points, page_size: int) -> list[EntryRow]:
    history, cursors = feed(points), everywhere()
    entries: list[EntryRow] = []
    while (page := await history.read(cursors, 0, page_size)).rows:
        entries += page.rows
        cursors = dict(page.cursors)
    return entries


async def test_the_feed_holds_every_entry_of_all_teams_without_gaps(points: Points) -> None:
    teams, customers = [points.team_id, new_id()], [new_id() for _ in range(50)]
    batches = [
        [build.manual(team, customer, n) for customer in customers for team in teams] for n in (1, 2, 3)
    ]
    await asyncio.gather(*(points.post(*batch) for batch in batches))
    await points.post(
        build.coupon(points.team_id, customers[0], 1_000), build.earn(teams[0], customers[1], 5)
    )
    entries = await read_all(points, 17)
    assert len(entries) == 300
    positions: dict[int, list[int]] = {}
    for entry in entries:
        assert entry.team is not None
        assert entry.partition == partition_of(UUID(bytes=entry.team), UUID(bytes=entry.customer))
        positions.setdefault(entry.partition, []).append(entry.position)
    for found in positions.values():
        assert sorted(found) == list(range(1, len(found) + 1))
    changes: dict[tuple[bytes | None, bytes], list[int]] = {}
    for entry in entries:
        changes.setdefault((entry.team, entry.customer), []).append(entry.delta_balance)
    assert all(sorted(found) == [1, 2, 3] for found in changes.values())


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize("at", ["4713-01-01 BC", "10000-01-01"])
async def test_an_entry_of_no_time_is_passed_on_by_its_place_and_hides_no_other(
    tampered: Points, at: str
) -> None:
    points = tampered
    customers = [new_id() for _ in range(9)]
    await points.post(*(build.manual(points.team_id, customer, 1) for customer in customers))
    await points.corrupt("ALTER TABLE points.entry DROP CONSTRAINT entry_times_readable")
    await points.corrupt(
        "UPDATE points.entry SET posted_at = $1::text::timestamptz WHERE customer_id = $2",
        at,
        customers[4],
    )
    entries = await read_all(points, 5)
    assert len(entries) == 9
    assert {entry.customer for entry in entries if entry.team is not None} == {
        customer.bytes for customer in customers if customer != customers[4]
    }
    (bare,) = [entry for entry in entries if entry.team is None]
    assert bare.partition == partition_of(points.team_id, customers[4])
    assert bare.position > 0


async def test_the_feed_waits_for_the_next_entry(points: Points) -> None:
    waiting = asyncio.ensure_future(feed(points).read(everywhere(), 20, 100))
    customer = new_id()
    await points.post(build.manual(points.team_id, customer, 5))
    page = await asyncio.wait_for(waiting, 10)
    assert [(row.customer, row.delta_balance) for row in page.rows] == [(customer.bytes, 5)]


async def test_bad_cursors_are_refused(points: Points) -> None:
    request = history_service_pb2.ListHistoryRequest(
        cursors=[
            history_pb2.HistoryCursor(partition=3),
            history_pb2.HistoryCursor(partition=3),
            history_pb2.HistoryCursor(partition=64, after_position=-1),
        ],
        page_size=9_999,
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await points.internal.history.ListHistory(request, timeout=TIMEOUT_S)
    assert [fault.field for fault in remote_error(caught.value).violations] == [
        "form",
        "cursors[1].partition",
        "cursors[2].partition",
        "cursors[2].after_position",
        "page_size",
    ]
