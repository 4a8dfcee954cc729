"""The history report for people: keywords, names, days of the team's zone, and daily statements."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from libs.common.ids import new_id
from libs.common.rpc.errors import remote_error
from libs.common.rpc.values import timestamp
from omnijourney.internal.v1 import ledger_service_pb2
from omnijourney.points.v1 import entry_pb2
from omnijourney.points.v1 import points_service_pb2 as pb
from omnijourney.segment.v1 import customer_pb2, segment_service_pb2
from tests.integration.points import build
from tests.integration.points.conftest import TIMEOUT_S, Neighboured

HOUR = timedelta(hours=1)


async def lines(points: Neighboured, **given: object) -> list[entry_pb2.ReportLine]:
    request = pb.ListEntriesRequest(team_id=str(points.team_id), filter=pb.EntryFilter(**given))  # type: ignore[arg-type]
    return list((await points.stub.ListEntries(request, timeout=TIMEOUT_S)).lines)


async def named(points: Neighboured, name: str) -> None:
    """Waits until the report knows a name."""
    async with asyncio.timeout(2 * TIMEOUT_S):
        while not any(line.customer_name == name for line in await lines(points)):
            await asyncio.sleep(0.01)


async def changes_of(points: Neighboured, keyword: str, **given: object) -> list[int]:
    return [line.entry.delta_balance for line in await lines(points, keyword=keyword, **given)]


@pytest.mark.rule("P-11b")
async def test_customers_are_found_by_any_part_of_what_they_are_known_by(neighboured: Neighboured) -> None:
    points, team = neighboured, neighboured.team_id
    ann = await points.customer(
        name="Ann ＣＨＡＮ 100%", member_id="VIP-0042", email="Ann.Chan@example.com", phone="+85291234567"
    )
    bob = await points.customer(name="王小明", member_id="vip_0043", phone="+85298765432")
    unknown = new_id()
    postings = [build.manual(team, each, 1 + n) for n, each in enumerate((ann, bob, unknown))]
    await points.post(*postings)
    await named(points, "Ann ＣＨＡＮ 100%")
    await named(points, "王小明")
    everything = await lines(points)
    assert {(line.customer_name, line.member_id) for line in everything} == {
        ("Ann ＣＨＡＮ 100%", "VIP-0042"),
        ("王小明", "vip_0043"),
        ("", ""),
    }
    for keyword in ("chan", "CHAN", "ｃｈａｎ", "0042", "ANN.chan@", "9123", "+852912", " n c ", "100%", "l"):
        assert await changes_of(points, keyword) == [1], keyword
    for keyword in ("小", "王小明", "vip_", "98765432"):
        assert await changes_of(points, keyword) == [2], keyword
    for keyword in (" +852 9123 4567", "(852) 9123-4567"):
        assert await changes_of(points, keyword) == [1], keyword
        assert await changes_of(points, keyword, customer_id=str(ann)) == [1], keyword
        assert await changes_of(points, keyword, customer_id=str(bob)) == [], keyword
    assert sorted(await changes_of(points, "vip")) == [1, 2]
    assert sorted(await changes_of(points, " \u3000")) == [1, 2, 3], "nothing but blanks is no keyword"
    for keyword in ("100_", "%", "n%c", "chanvip", "nobody", "\\"):
        assert await changes_of(points, keyword) == ([1] if keyword == "%" else []), keyword
    assert await changes_of(points, "chan", customer_id=str(ann)) == [1]
    assert await changes_of(points, "chan", customer_id=str(bob)) == []
    assert await changes_of(points, "chan", sources=[entry_pb2.ENTRY_SOURCE_JOURNEY]) == []


async def test_another_teams_customers_are_not_found(neighboured: Neighboured) -> None:
    points = neighboured
    ann = await points.customer(name="Ann")
    await points.post(build.manual(points.team_id, ann, 1))
    await named(points, "Ann")
    points.team_id = new_id()
    assert await changes_of(points, "ann") == []


async def test_a_changed_name_is_found_by_the_new_one(neighboured: Neighboured) -> None:
    points, team = neighboured, neighboured.team_id
    ann = await points.customer(name="Ann Before")
    await points.post(build.manual(team, ann, 1))
    await named(points, "Ann Before")
    request = segment_service_pb2.UpdateCustomerRequest(
        team_id=str(team),
        request_id="rename",
        customer=customer_pb2.Customer(customer_id=str(ann), name="Ann After"),
    )
    request.update_mask.paths.append("name")
    await points.segment.UpdateCustomer(request, timeout=TIMEOUT_S)
    await named(points, "Ann After")
    assert (await changes_of(points, "before"), await changes_of(points, "after")) == ([], [1])


@pytest.mark.rule("P-11b")
async def test_a_keyword_that_finds_many_gives_the_same_pages_as_one_that_finds_few(
    neighboured: Neighboured, monkeypatch: pytest.MonkeyPatch
) -> None:
    points, team = neighboured, neighboured.team_id
    customers = [await points.customer(name=f"Member {n}") for n in range(6)]
    for n in range(3):
        await points.post(*(build.manual(team, each, 1 + n) for each in customers))
        points.clock.advance(HOUR)
    await named(points, "Member 5")

    async def pages() -> list[tuple[str, int]]:
        request = pb.ListEntriesRequest(
            team_id=str(team), page_size=5, filter=pb.EntryFilter(keyword="member")
        )
        found: list[tuple[str, int]] = []
        while True:
            answer = await points.stub.ListEntries(request, timeout=TIMEOUT_S)
            found += [(line.entry.customer_id, line.entry.sequence) for line in answer.lines]
            request.page_token = answer.next_page_token
            if not request.page_token:
                return found

    few = await pages()
    assert len(set(few)) == len(few) == 18
    monkeypatch.setattr("services.points.store.reports.NARROW_MAX", 3)
    assert await pages() == few


@pytest.mark.rule("P-11d")
async def test_the_export_is_for_spreadsheets_names_customers_and_keeps_the_keyword(
    neighboured: Neighboured,
) -> None:
    points, team = neighboured, neighboured.team_id
    points.clock.set(datetime(2026, 6, 1, 16, 30, tzinfo=UTC))  # past midnight in Hong Kong
    ann = await points.customer(name="=Ann", member_id="M1")
    await points.post(build.manual(team, ann, 5), build.manual(team, new_id(), 6))
    await named(points, "=Ann")
    request = pb.ExportEntriesRequest(team_id=str(team), filter=pb.EntryFilter(keyword="ann"))
    pieces = [piece.csv async for piece in points.stub.ExportEntries(request, timeout=TIMEOUT_S)]
    file = b"".join(pieces)
    assert file.startswith("\ufefftime,".encode())
    (row,) = csv.DictReader(io.StringIO(file.decode("utf-8-sig")))
    assert row["time"] == "2026-06-02 00:30:00"
    assert (row["customer"], row["member_id"], row["change"]) == ("'=Ann", "M1", "5")
    assert (row["source"], row["balance_after"], row["cumulative_after"]) == ("MANUAL", "5", "5")


async def days(points: Neighboured, start: str, end: str) -> list[int]:
    return [line.entry.delta_balance for line in await lines(points, start_date=start, end_date=end)]


@pytest.mark.rule("X-06")
async def test_days_are_those_of_the_teams_zone(neighboured: Neighboured) -> None:
    points, customer = neighboured, new_id()
    points.clock.set(datetime(2026, 6, 1, 15, 59, 59, tzinfo=UTC))  # a second before midnight in Hong Kong
    await points.post(build.manual(points.team_id, customer, 1))
    points.clock.advance(timedelta(seconds=1))
    await points.post(build.manual(points.team_id, customer, 2))
    points.clock.advance(timedelta(days=1))
    await points.post(build.manual(points.team_id, customer, 4))
    assert await days(points, "2026-06-01", "2026-06-01") == [1]
    assert await days(points, "2026-06-02", "2026-06-02") == [2]
    assert await days(points, "2026-06-02", "2026-06-03") == [4, 2]
    assert await days(points, "2026-06-02", "") == [4, 2]
    assert await days(points, "", "2026-06-01") == [1]
    assert await days(points, "", "2026-07-01") == [4, 2]
    assert await days(points, "", "2026-06-30") == [4, 2, 1]


@pytest.mark.parametrize(
    ("given", "reason", "field"),
    [
        (
            {"start_date": "2026-03-01", "end_date": "2026-05-30"},
            "SEARCH_RANGE_TOO_LONG",
            "filter.start_date",
        ),
        ({"start_date": "2026-03-02", "end_date": "2026-03-01"}, "INVALID_FIELDS", "filter.start_date"),
        ({"start_date": "2026-02-30"}, "INVALID_FIELDS", "filter.start_date"),
        ({"end_date": "1.3.2026"}, "INVALID_FIELDS", "filter.end_date"),
        ({"keyword": "x" * 101}, "INVALID_FIELDS", "filter.keyword"),
        ({"keyword": "a\x00"}, "INVALID_FIELDS", "filter.keyword"),
    ],
)
async def test_what_cannot_be_searched_is_refused(
    neighboured: Neighboured, given: dict[str, object], reason: str, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await lines(neighboured, **given)
    error = remote_error(caught.value)
    assert error.reason == reason
    assert [violation.field for violation in error.violations] == [field]
    assert await lines(neighboured, start_date="2026-03-01", end_date="2026-05-29") == []


async def test_a_statement_of_each_day_adds_up(neighboured: Neighboured) -> None:
    points, team = neighboured, neighboured.team_id
    await points.set_formula("1", "1")
    points.clock.set(datetime(2026, 6, 1, 4, tzinfo=UTC))
    ann, bob, order = new_id(), new_id(), new_id()
    await points.post(build.earn(team, ann, 100_000_000, order_key=order), build.journey(team, bob, 7))
    points.clock.advance(timedelta(days=2))
    await points.post(
        build.refund(team, ann, 30_000_000, order_key=order),
        build.coupon(team, ann, 5),
        build.journey(team, ann, -3),
        build.import_row(team, bob, 20),
        build.manual(team, bob, -2),
        build.merge(team, bob, ann),
    )
    points.clock.advance(timedelta(days=1))
    await points.post(build.manual(team, ann, 1000))
    request = pb.ListDailyStatementsRequest(team_id=str(team), start_date="2026-06-01", end_date="2026-06-03")
    first, second, third = (await points.stub.ListDailyStatements(request, timeout=TIMEOUT_S)).statements
    assert (first.opening, first.earned, first.journeys, first.closing) == (0, 100, 7, 107)
    assert first.start_time.ToDatetime(UTC) == datetime(2026, 5, 31, 16, tzinfo=UTC)
    assert (second.date, second.opening, second.closing) == ("2026-06-02", 107, 107)
    assert (third.refunded, third.redeemed, third.journeys, third.imported, third.manual, third.merged) == (
        (-30, -5, -3, 20, -2, 0)
    )
    assert (third.opening, third.closing) == (107, 87)
    request = pb.ListDailyStatementsRequest(team_id=str(team))
    by_default = (await points.stub.ListDailyStatements(request, timeout=TIMEOUT_S)).statements
    assert (len(by_default), by_default[-1].date) == (30, "2026-06-04")
    assert (by_default[-1].opening, by_default[-1].closing) == (87, 1087)
    request.start_date = "2026-01-01"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await points.stub.ListDailyStatements(request, timeout=TIMEOUT_S)
    error = remote_error(caught.value)
    assert error.reason == "SEARCH_RANGE_TOO_LONG"
    assert [violation.field for violation in error.violations] == ["start_date"]


@pytest.mark.rule("J-40c")
async def test_what_changed_points_is_told_by_customer_with_the_figures_after_it(
    neighboured: Neighboured,
) -> None:
    points, team = neighboured, neighboured.team_id
    ann, bob, nobody = new_id(), new_id(), new_id()
    await points.post(build.manual(team, ann, 5))
    points.clock.advance(HOUR)
    start = points.clock.now()
    await points.post(build.manual(team, ann, 7), build.manual(team, bob, 2))
    await points.post(build.manual(team, ann, -4))
    request = ledger_service_pb2.BatchListPointChangesRequest(
        team_id=str(team), customer_ids=map(str, (bob, nobody, ann)), start_time=timestamp(start)
    )
    answer = await points.internal.ledger.BatchListPointChanges(request, timeout=TIMEOUT_S)
    told = [
        (each.balance, each.cumulative, [(c.delta_balance, c.delta_cumulative) for c in each.changes])
        for each in answer.customers
    ]
    assert told == [(2, 2, [(2, 2)]), (0, 0, []), (8, 12, [(7, 7), (-4, 0)])]
    request.team_id = str(new_id())
    strangers = await points.internal.ledger.BatchListPointChanges(request, timeout=TIMEOUT_S)
    assert [len(each.changes) for each in strangers.customers] == [0, 0, 0]
    del request.customer_ids[:]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await points.internal.ledger.BatchListPointChanges(request, timeout=TIMEOUT_S)
    assert remote_error(caught.value).reason == "INVALID_FIELDS"
