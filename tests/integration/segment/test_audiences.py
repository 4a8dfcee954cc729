"""Audiences through the running service, with balances from the running points service."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict

from libs.common.ids import new_id
from libs.common.rpc.errors import remote_error
from omnijourney.common.v1 import error_reason_pb2
from omnijourney.points.v1 import points_service_pb2
from omnijourney.segment.v1 import customer_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.usecases import evaluator
from tests.integration.segment.conftest import TIMEOUT_S, Segment, identity

YES, NO, IMPOSSIBLE = pb.VERDICT_YES, pb.VERDICT_NO, pb.VERDICT_IMPOSSIBLE


async def verdicts(segment: Segment, audience: dict[str, Any], *customers: str) -> list[int]:
    """Evaluates customers by one audience."""
    items = [{"team_id": str(segment.team_id), "customer_id": customer} for customer in customers]
    response = await segment.call("EvaluateCustomers", audiences=[audience], items=items)
    return [evaluation.verdict for evaluation in response.evaluations]


@pytest.mark.rule("X-06")
async def test_customers_are_judged_as_they_are_now(segment: Segment) -> None:
    await segment.define("tier", "TEXT")
    gold = await segment.create(member_id="G", tags=["VIP"], attributes={"tier": "Gold"})
    plain = await segment.create(identities=[{"key": identity("1")}])
    assert await verdicts(segment, {"tags": {"operator": 1, "tags": ["vip"]}}, gold, plain) == [YES, NO]
    is_gold = {"attribute": {"key": "tier", "text": {"operator": 1, "values": ["ＧＯＬＤ"]}}}
    assert await verdicts(segment, is_gold, gold, plain) == [YES, NO]
    assert await verdicts(segment, {"negation": is_gold}, gold, plain) == [NO, YES]
    assert await verdicts(segment, {"binding": {"operator": 1, "channel": 2}}, gold, plain) == [NO, YES]
    recent = {"time": {"field": 4, "within_last_days": 1}}
    await segment.record(segment.order("e", "o", who={"member_id": "G"}))
    assert await verdicts(segment, recent, gold, plain) == [YES, NO]
    segment.clock.advance(timedelta(days=1, seconds=1))
    assert await verdicts(segment, recent, gold) == [NO]
    assert await verdicts(segment, recent, str(new_id())) == [IMPOSSIBLE]


async def test_a_verdict_tells_whether_there_is_a_phone(segment: Segment) -> None:
    reachable = await segment.create(phone="+886912345678")
    other = await segment.create(tags=["vip"])
    items = [
        {"team_id": str(segment.team_id), "customer_id": customer, "audience_index": index}
        for customer in (reachable, other, str(new_id()))
        for index in (0, 1)
    ]
    gone = {"attribute": {"key": "tier", "is_set": {}}}
    audiences = [{"tags": {"operator": 1, "tags": ["vip"]}}, gone]
    response = await segment.call("EvaluateCustomers", audiences=audiences, items=items)
    assert [(each.verdict, each.has_phone) for each in response.evaluations] == [
        (NO, True),
        (IMPOSSIBLE, True),
        (YES, False),
        (IMPOSSIBLE, False),
        (IMPOSSIBLE, False),
        (IMPOSSIBLE, False),
    ]


async def test_an_audience_of_a_gone_attribute_cannot_be_judged(segment: Segment) -> None:
    await segment.define("tier", "TEXT")
    customer = await segment.create()
    audience = {"attribute": {"key": "tier", "is_set": {}}}
    await segment.call("ArchiveAttribute", key="tier")
    items = [{"team_id": str(segment.team_id), "customer_id": customer}]
    response = await segment.call("EvaluateCustomers", audiences=[audience], items=items)
    assert response.evaluations[0].reason == error_reason_pb2.ERROR_REASON_ATTRIBUTE_UNAVAILABLE


@pytest.mark.rule("S-04")
async def test_every_fault_is_told_when_an_audience_is_saved(segment: Segment) -> None:
    await segment.define("age", "NUMBER")
    await segment.define("old", "TEXT")
    await segment.call("ArchiveAttribute", key="old")
    wrong = {
        "all_of": {
            "items": [
                {"attribute": {"key": "age", "text": {"operator": 1, "values": ["x"]}}},
                {"attribute": {"key": "old", "is_set": {}}},
                {"attribute": {"key": "none", "is_set": {}}},
                {"points": {"figure": 1, "operator": 6, "value": 5}},
            ]
        }
    }
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await segment.call("CreateSavedAudience", saved_audience={"name": "A", "audience": wrong})
    told = remote_error(error.value)
    assert told.reason == "AUDIENCE_INVALID"
    assert {violation.field for violation in told.violations} == {
        "audience.all_of.items[0].attribute",
        "audience.all_of.items[1].attribute.key",
        "audience.all_of.items[2].attribute.key",
        "audience.all_of.items[3].points",
    }
    deep: dict[str, Any] = {"attribute": {"key": "age", "is_set": {}}}
    for _ in range(8):
        deep = {"negation": deep}
    wide = {"any_of": {"items": [{"attribute": {"key": "age", "is_set": {}}}] * 101}}
    malformed = {"attribute": {"key": "age", "number": {"operator": 7, "value": "5", "upper": "4"}}}
    checks = (await segment.call("CheckAudiences", audiences=[deep, wide, malformed, {}])).checks
    assert [len(check.faults) for check in checks] == [1, 1, 1, 1]
    assert "deeper" in checks[0].faults[0].message
    assert "101" in checks[1].faults[0].message
    assert checks[2].faults[0].path == "attribute.number.upper"
    # Faults of form hide no others.
    several = [
        {"tags": {"operator": 1}},
        {"attribute": {"key": "none", "number": {"operator": 1, "value": "much"}}},
        {"attribute": {"key": "age", "date": {"value": "2026-01-31"}}},
        {"attribute": {"key": "1st", "is_set": {}}},
        {"points": {"operator": 6, "value": 5}},
        {"attribute": {"key": "gone"}},
        {"saved_audience": {"operator": 1, "saved_audience_id": str(segment.team_id)}},
    ]
    (check,) = (await segment.call("CheckAudiences", audiences=[{"any_of": {"items": several}}])).checks
    assert sorted(fault.path.removeprefix("any_of.items") for fault in check.faults) == [
        "[0].tags.tags",
        "[1].attribute.key",
        "[1].attribute.number.value",
        "[2].attribute",
        "[2].attribute.date.operator",
        "[3].attribute.key",
        "[4].points",
        "[4].points.figure",
        "[5].attribute",
        "[5].attribute.key",
        "[6].saved_audience",
    ]


@pytest.mark.rule("S-03a")
async def test_saved_audiences_are_kept_judged_counted_listed_and_streamed(segment: Segment) -> None:
    vips = sorted([await segment.create(name="Mei", tags=["vip"]) for _ in range(7)])
    for _ in range(5):
        await segment.create()
    audience = {"tags": {"operator": 1, "tags": ["VIP"]}}
    saved = (
        await segment.call("CreateSavedAudience", saved_audience={"name": "Vips", "audience": audience})
    ).saved_audience
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await segment.call("CreateSavedAudience", saved_audience={"name": "VIPS", "audience": audience})
    assert remote_error(error.value).reason == "DUPLICATE_VALUE"
    assert (
        await segment.call("CountAudience", saved_audience_id=saved.saved_audience_id)
    ).customer_count == 7
    assert (await segment.call("CountAudience", audience={"negation": audience})).customer_count == 5
    assert await verdicts(segment, audience, vips[0]) == [YES]
    plain = await segment.create()
    assert await verdicts(segment, audience, *vips, plain) == [YES] * 7 + [NO]
    found: list[str] = []
    token = ""
    while True:
        page = await segment.call(
            "ListAudienceCustomers", saved_audience_id=saved.saved_audience_id, page_size=3, page_token=token
        )
        found += [customer.customer_id for customer in page.customers]
        token = page.next_page_token
        if not token:
            break
    assert found == vips
    request = pb.StreamAudienceCustomersRequest(
        team_id=str(segment.team_id), saved_audience_id=saved.saved_audience_id
    )
    streamed = [
        customer
        async for part in segment.stub.StreamAudienceCustomers(request, timeout=TIMEOUT_S)
        for customer in part.customer_ids
    ]
    assert streamed == vips
    request.after_customer_id = vips[2]
    resumed = [
        customer
        async for part in segment.stub.StreamAudienceCustomers(request, timeout=TIMEOUT_S)
        for customer in part.customer_ids
    ]
    assert resumed == vips[3:]
    request.after_customer_id = ""
    request.parts.extend([customer_pb2.CUSTOMER_PART_BASICS, customer_pb2.CUSTOMER_PART_TAGS])
    with_parts = [part async for part in segment.stub.StreamAudienceCustomers(request, timeout=TIMEOUT_S)]
    assert [each.customer_id for part in with_parts for each in part.customers] == vips
    assert {(each.name, *each.tags) for part in with_parts for each in part.customers} == {("Mei", "vip")}
    assert not any(each.identities for part in with_parts for each in part.customers)
    update = {"saved_audience_id": saved.saved_audience_id, "audience": {"negation": audience}}
    changed = await segment.call("UpdateSavedAudience", saved_audience=update, etag=saved.etag)
    assert changed.saved_audience.name == "Vips"
    assert changed.saved_audience.audience.HasField("negation")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await segment.call("UpdateSavedAudience", saved_audience=update, etag=saved.etag)
    assert error.value.code() == grpc.StatusCode.ABORTED
    listed = await segment.call("ListSavedAudiences")
    assert [each.saved_audience_id for each in listed.saved_audiences] == [saved.saved_audience_id]
    await segment.call("DeleteSavedAudience", saved_audience_id=saved.saved_audience_id, force=True)
    for name in ("GetSavedAudience", "DeleteSavedAudience"):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await segment.call(name, saved_audience_id=saved.saved_audience_id)
        assert error.value.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.rule("S-03a")
@pytest.mark.parametrize("belongs", [True, False])
async def test_a_stream_of_many_statements_and_pages_is_whole_and_resumed_anywhere(
    segment: Segment, monkeypatch: pytest.MonkeyPatch, belongs: bool
) -> None:
    monkeypatch.setattr(evaluator, "SPAN", 4)
    monkeypatch.setattr(evaluator, "PAGE", 2)
    tags = [["vip"]] * 5 + [[]] * 9 + [["vip"]] * 4
    everybody = sorted([(await segment.create(tags=each), bool(each)) for each in tags])
    tagged = {"tags": {"operator": 1, "tags": ["vip"]}}
    audience = tagged if belongs else {"negation": tagged}
    members = [customer for customer, is_vip in everybody if is_vip is belongs]
    request = ParseDict(
        {"team_id": str(segment.team_id), "audience": audience}, pb.StreamAudienceCustomersRequest()
    )

    async def parts() -> list[pb.StreamAudienceCustomersResponse]:
        return [part async for part in segment.stub.StreamAudienceCustomers(request, timeout=TIMEOUT_S)]

    whole = await parts()
    assert [customer for part in whole for customer in part.customer_ids] == members
    assert max(len(part.customer_ids) for part in whole) == 2
    for place, part in enumerate(whole):
        request.after_customer_id = part.through_customer_id
        rest = [customer for later in whole[place + 1 :] for customer in later.customer_ids]
        assert [customer for later in await parts() for customer in later.customer_ids] == rest


async def test_points_are_asked_for_when_an_audience_names_them(with_points: tuple[Segment, Any]) -> None:
    segment, points = with_points
    rich = await segment.create(phone="+447000000001")
    poor = await segment.create()
    adjust = points_service_pb2.AdjustBalanceRequest(
        team_id=str(segment.team_id), customer_id=rich, request_id=str(new_id()), points=40, note="gift"
    )
    await points.AdjustBalance(adjust, timeout=TIMEOUT_S)
    at_least = {"points": {"figure": 2, "operator": 6, "value": 40}}
    assert await verdicts(segment, at_least, rich, poor) == [YES, NO]
    assert await verdicts(segment, {"points": {"figure": 1, "operator": 5, "value": 40}}, rich) == [NO]
    assert (await segment.call("CountAudience", audience=at_least)).customer_count == 1
