"""Every predicate of an audience on its whole path: judged, counted and listed for customers made by calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest

from libs.common.ids import new_id
from libs.common.mailbox.mail import Outcome
from libs.testing.feeds import FeedServer
from libs.testing.fixtures import Database, Servers
from omnijourney.points.v1 import points_service_pb2
from omnijourney.points.v1.points_service_pb2_grpc import PointsServiceStub
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.points.app import app as points_app
from services.points.config import Settings as PointsSettings
from tests.integration.segment.conftest import ACCOUNT, START, TIMEOUT_S, Segment, identity, serving_segment
from tests.integration.segment.test_audience_uses import refused, save
from tests.integration.segment.test_marketed import record

Form = dict[str, Any]
OTHER = "018f0000-0000-7000-8000-000000000002"


@pytest.fixture
async def segment(servers: Servers, database: Database, redis: object) -> AsyncIterator[Segment]:
    """Segment with points and the gateway's history; the team has points."""
    async with (
        FeedServer("channel_gateway").serving() as gateway,
        points_app(servers.settings(PointsSettings, database)) as points,
        servers.channel(points.port) as to_points,
        serving_segment(
            servers,
            database,
            channel_gateway_target=f"127.0.0.1:{gateway.port}",
            points_target=f"127.0.0.1:{points.port}",
        ) as segment,
    ):
        await segment.call("UpdateTeam", team={"settings": {"modules": [2]}})
        await _furnish(segment, gateway, PointsServiceStub(to_points))
        yield segment


async def _furnish(segment: Segment, gateway: FeedServer, points: Any) -> None:
    """Ann has everything, Ben some of it and otherwise, Cid nothing."""
    for key, kind in (("tier", "TEXT"), ("age", "NUMBER"), ("born", "DATE"), ("news", "BOOLEAN")):
        await segment.define(key, kind)
    ann = await segment.create(
        name="Ann", member_id="Mem1", phone="+886912345678", email="ann@example.com", tags=["VIP", "gold"],
        attributes={"tier": "Gold plus", "age": "30", "born": "1996-02-29", "news": "true"},
        identities=[{"key": identity("1")}],
    )  # fmt: skip
    ben = await segment.create(
        name="Ben", member_id="Xem2", phone="+886987654321", email="ben@example.org", tags=["gold"],
        attributes={"tier": "silver", "age": "41.5", "born": "1985-07-01", "news": "false"},
        identities=[{"key": identity(f"U{2:032x}", channel=1, account_id=OTHER)}],
    )  # fmt: skip
    await segment.create(name="Cid")
    now = segment.clock.now()
    reports = [
        segment.order("o1", "o1", who={"member_id": "Mem1"}, at=now - timedelta(days=1)),
        segment.order("o2", "o2", who={"member_id": "Xem2"}, at=now - timedelta(days=40)),
        *(
            segment.event(f"{what}{who}", at=now - timedelta(days=days), who={"member_id": who}, **{what: {}})
            for what in ("team_interacted", "customer_interacted")
            for who, days in (("Mem1", 1), ("Xem2", 40))
        ),
    ]
    assert {each.reason for each in await segment.record(*reports)} == {0}
    for who, days in ((ann, 1), (ben, 40)):
        gateway.record(record(segment.team_id, now - timedelta(days=days), [(UUID(who), Outcome.SENT)]))
    for who, amount in ((ann, 40), (ben, 7)):
        adjust = points_service_pb2.AdjustBalanceRequest(
            team_id=str(segment.team_id),
            customer_id=who,
            request_id=str(new_id()),
            points=amount,
            note="gift",
        )
        await points.AdjustBalance(adjust, timeout=TIMEOUT_S)
        less = points_service_pb2.AdjustBalanceRequest(
            team_id=str(segment.team_id), customer_id=who, request_id=str(new_id()), points=-5, note="slip"
        )
        await points.AdjustBalance(less, timeout=TIMEOUT_S)


def _number(operator: int, value: str, upper: str = "") -> Form:
    return {"attribute": {"key": "age", "number": {"operator": operator, "value": value, "upper": upper}}}


def _date(operator: int, value: str, upper: str = "") -> Form:
    return {"attribute": {"key": "born", "date": {"operator": operator, "value": value, "upper": upper}}}


def _text(where: Form, operator: int, *values: str) -> Form:
    return {**where, "text": {"operator": operator, "values": values}}


def _points(figure: int, operator: int, value: int, upper: int = 0) -> Form:
    return {"points": {"figure": figure, "operator": operator, "value": value, "upper": upper}}


def _texts(predicate: str, where: Form, ann: str, ben: str) -> list[tuple[Form, str]]:
    """The tests of a text that Ann and Ben have; `ann` and `ben` are what theirs begin with."""
    whole = {"tier": "gold PLUS", "Mem1": "mem1", "+886912": "+886912345678", "ann": "ANN@example.com"}
    equals = whole["tier" if where.get("key") == "tier" else ann]
    return [
        ({predicate: {**where, "is_set": {}}}, "AB"),
        ({predicate: _text(where, 1, equals, "nothing")}, "A"),
        ({predicate: _text(where, 2, equals)}, "B"),
        ({predicate: _text(where, 3, ann[1:])}, "A"),
        ({predicate: _text(where, 4, ann[1:])}, "B"),
        ({predicate: _text(where, 5, ann)}, "A"),
        ({predicate: _text(where, 5, ben)}, "B"),
    ]


def _times(field: int) -> list[tuple[Form, str]]:
    """Ann's was yesterday, Ben's 40 days ago, Cid's never."""
    week_ago = START - timedelta(days=7)
    long_ago = START - timedelta(days=100)
    between = {"start": {"instant": long_ago}, "end": {"instant": week_ago}}
    return [
        ({"time": {"field": field, "within_last_days": 7}}, "A"),
        ({"time": {"field": field, "before": {"instant": week_ago}}}, "B"),
        ({"time": {"field": field, "before": {"date": "2026-02-22"}}}, "B"),
        ({"time": {"field": field, "between": between}}, "B"),
        ({"time": {"field": field, "never": {}}}, "C"),
    ]


PREDICATES: list[tuple[Form, str]] = [
    ({"tags": {"operator": 1, "tags": ["vip", "none"]}}, "A"),
    ({"tags": {"operator": 2, "tags": ["ｖｉｐ", "GOLD"]}}, "A"),
    ({"tags": {"operator": 3, "tags": ["vip"]}}, "BC"),
    *_texts("attribute", {"key": "tier"}, "gold", "silv"),
    *_texts("basic", {"field": 1}, "Mem1", "xe"),
    *_texts("basic", {"field": 2}, "+886912", "+8869876"),
    *_texts("basic", {"field": 3}, "ann", "BEN@"),
    ({"basic": _text({"field": 1}, 1, " mem1\u200b")}, "A"),
    ({"basic": _text({"field": 2}, 1, "0912-345-678")}, "A"),
    ({"basic": _text({"field": 2}, 2, "0912345678")}, "B"),
    ({"basic": _text({"field": 2}, 3, "0912 345 678")}, "A"),
    ({"basic": _text({"field": 2}, 5, "0987")}, "B"),
    ({"basic": _text({"field": 3}, 1, "<Ann＠example.com>")}, "A"),
    *((_number(operator, "30"), who) for operator, who in enumerate(("A", "B", "", "A", "B", "AB"), 1)),
    (_number(7, "30.5", "41.5"), "B"),
    *((_date(operator, "1996-02-29"), who) for operator, who in enumerate(("A", "B", "B", "AB", "", "A"), 1)),
    (_date(7, "1985-07-01", "1990-01-01"), "B"),
    ({"attribute": {"key": "news", "boolean": {"value": True}}}, "A"),
    ({"attribute": {"key": "news", "boolean": {"value": False}}}, "B"),
    *(each for field in (1, 2, 3, 4) for each in _times(field)),
    ({"binding": {"operator": 1, "channel": 1}}, "B"),
    ({"binding": {"operator": 2, "channel": 1}}, "AC"),
    ({"binding": {"operator": 1, "channel": 2, "account_id": ACCOUNT}}, "A"),
    ({"binding": {"operator": 1, "channel": 2, "account_id": OTHER}}, ""),
    ({"binding": {"operator": 2, "channel": 1, "account_id": OTHER}}, "AC"),
    *((_points(1, operator, 35), who) for operator, who in enumerate(("A", "BC", "BC", "ABC", "", "A"), 1)),
    (_points(1, 7, 1, 34), "B"),
    *((_points(2, operator, 7), who) for operator, who in enumerate(("B", "AC", "C", "BC", "A", "AB"), 1)),
    (_points(2, 7, 0, 7), "BC"),
]


@pytest.mark.rule("S-02")
async def test_every_predicate_finds_whom_it_describes(segment: Segment) -> None:
    """Alone, negated, joined by AND and OR, and in or not in a saved audience."""
    vips = await save(segment, "vips", {"tags": {"operator": 1, "tags": ["vip"]}})
    saved = {"saved_audience_id": vips}
    asked = [
        *PREDICATES,
        ({"saved_audience": {"operator": 1, **saved}}, "A"),
        ({"saved_audience": {"operator": 2, **saved}}, "BC"),
        ({"all_of": {"items": [{"tags": {"operator": 1, "tags": ["gold"]}}, _number(5, "30")]}}, "B"),
        ({"any_of": {"items": [_number(5, "30"), {"saved_audience": {"operator": 1, **saved}}]}}, "AB"),
    ]
    people = {each.name[0]: each.customer_id for each in (await segment.call("ListCustomers")).customers}
    assert sorted(people) == ["A", "B", "C"]
    written: dict[str, str] = {}
    for form, who in asked:
        for audience, wanted in ((form, who), ({"negation": form}, "".join(sorted(set("ABC") - set(who))))):
            items = [{"team_id": str(segment.team_id), "customer_id": people[each]} for each in "ABC"]
            judged = await segment.call("EvaluateCustomers", audiences=[audience], items=items)
            verdicts = [pb.VERDICT_YES if each in wanted else pb.VERDICT_NO for each in "ABC"]
            assert [each.verdict for each in judged.evaluations] == verdicts, (audience, wanted)
            assert (await segment.call("CountAudience", audience=audience)).customer_count == len(wanted)
            listed = (await segment.call("ListAudienceCustomers", audience=audience)).customers
            assert sorted(each.name[0] for each in listed) == list(wanted), audience
            written[await save(segment, f"audience {len(written)}", audience)] = wanted
    # Judged without telling why, as the audiences of one customer are.
    for each, customer_id in people.items():
        theirs = await segment.call("ListCustomerAudiences", customer_id=customer_id, page_size=500)
        found = {audience.saved_audience_id for audience in theirs.saved_audiences} & written.keys()
        wrong = [audience for audience in written if (each in written[audience]) != (audience in found)]
        assert wrong == [], (each, wrong)


@pytest.mark.rule("S-02")
async def test_points_need_the_module_when_an_audience_is_saved(segment: Segment) -> None:
    settings = (await segment.call("GetTeam")).team.settings
    settings.ClearField("modules")
    await segment.call("UpdateTeam", team={"settings": settings}, update_mask={"paths": ["settings.modules"]})
    faulty = {"any_of": {"items": [_points(1, 6, 5), {"tags": {"operator": 1, "tags": ["vip"]}}]}}
    assert await refused(
        segment, "CreateSavedAudience", saved_audience={"name": "rich", "audience": faulty}
    ) == (grpc.StatusCode.INVALID_ARGUMENT, ["audience.any_of.items[0].points"])
