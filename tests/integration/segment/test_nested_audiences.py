"""Saved audiences in audiences: looked up whenever somebody is judged, bounded with all that they name, told of."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from libs.common.ids import new_id
from libs.common.rpc.errors import remote_error
from omnijourney.common.v1 import error_reason_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb
from tests.integration.segment.conftest import Segment
from tests.integration.segment.test_audience_uses import names, refused, save

VIP: dict[str, Any] = {"tags": {"operator": 1, "tags": ["vip"]}}
GOLD: dict[str, Any] = {"tags": {"operator": 1, "tags": ["gold"]}}
INVALID = grpc.StatusCode.INVALID_ARGUMENT


def within(audience_id: str, operator: int = 1) -> dict[str, Any]:
    """In a saved audience, or (2) not in it."""
    return {"saved_audience": {"operator": operator, "saved_audience_id": audience_id}}


async def verdict(segment: Segment, audience: dict[str, Any], customer: str) -> pb.Evaluation:
    """Of one customer."""
    items = [{"team_id": str(segment.team_id), "customer_id": customer}]
    answer = await segment.call("EvaluateCustomers", audiences=[audience], items=items)
    found: pb.Evaluation = answer.evaluations[0]
    return found


async def counted(segment: Segment, audience: dict[str, Any]) -> int:
    """How many are in it, counted and listed."""
    count = (await segment.call("CountAudience", audience=audience)).customer_count
    listed = await segment.call("ListAudienceCustomers", audience=audience)
    assert len(listed.customers) == count
    return int(count)


async def change(segment: Segment, audience_id: str, audience: dict[str, Any]) -> None:
    """Gives a saved audience another condition."""
    saved = {"saved_audience_id": audience_id, "audience": audience}
    await segment.call("UpdateSavedAudience", saved_audience=saved)


async def faults_of(segment: Segment, audience_id: str, audience: dict[str, Any]) -> list[tuple[str, str]]:
    """With which a change is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await change(segment, audience_id, audience)
    told = remote_error(error.value)
    assert told.reason == "AUDIENCE_INVALID"
    return [(each.field, each.description) for each in told.violations]


async def test_a_change_of_the_inner_audience_holds_at_once(segment: Segment) -> None:
    vip, gold = await segment.create(tags=["vip"]), await segment.create(tags=["gold"])
    inner = await save(segment, "inner", VIP)
    outer = await save(segment, "outer", {"any_of": {"items": [within(inner), within(inner, 2)]}})
    for audience, customers in ((within(inner), {vip}), (within(inner, 2), {gold})):
        for customer in (vip, gold):
            found = await verdict(segment, audience, customer)
            assert found.verdict == (pb.VERDICT_YES if customer in customers else pb.VERDICT_NO)
        assert await counted(segment, audience) == 1
    assert (await verdict(segment, within(inner), vip)).seen == "saved_audience.tags: vip"
    assert await counted(segment, within(outer)) == 2
    await change(segment, inner, GOLD)
    assert (await verdict(segment, within(inner), vip)).verdict == pb.VERDICT_NO
    assert (await verdict(segment, within(inner), gold)).verdict == pb.VERDICT_YES
    assert await names(segment, "ListCustomerAudiences", customer_id=gold) == ["inner", "outer"]
    english = await segment.call("DescribeAudience", audience=within(inner))
    assert english.text == 'in the audience "inner"'
    chinese = await segment.call("DescribeAudience", audience=within(inner, 2), language_code="zh-TW")
    assert chinese.text == "不屬於分眾「inner」"


@pytest.mark.rule("S-04")
async def test_no_audience_names_itself_nor_grows_beyond_the_bounds(segment: Segment) -> None:
    first = await save(segment, "first", VIP)
    second = await save(segment, "second", within(first))
    itself = "names a saved audience that names itself, be it through others"
    for loop in (within(first), within(second), {"negation": within(second)}):
        [(field, message)] = await faults_of(segment, first, loop)
        assert (field.rpartition(".")[2], message) == ("saved_audience_id", itself)
    # The bounds are of the whole: an inner audience may not grow so that an outer one breaks them.
    half = {"any_of": {"items": [VIP] * 50}}
    await change(segment, first, half)
    assert await refused(
        segment, "CreateSavedAudience",
        saved_audience={"name": "wide", "audience": {"any_of": {"items": [VIP, within(first), within(second)]}}},
    ) == (INVALID, ["audience"])  # fmt: skip
    await save(segment, "both", {"any_of": {"items": [within(first), within(second)]}})
    [(field, message)] = await faults_of(segment, first, {"any_of": {"items": [VIP] * 51}})
    assert field == "audience"
    assert message.startswith("the saved audience both, which names this one, has 102 predicates")
    deep: dict[str, Any] = VIP
    for _ in range(7):
        deep = {"negation": deep}
    told = await faults_of(segment, first, deep)
    assert ["nested 9 deep" in message or "nested 11 deep" in message for _, message in told] == [True] * 2
    assert await refused(
        segment, "CreateSavedAudience", saved_audience={"name": "gone", "audience": within(str(new_id()))}
    ) == (INVALID, ["audience.saved_audience"])
    assert await refused(
        segment, "CreateSavedAudience", saved_audience={"name": "none", "audience": within("first")}
    ) == (INVALID, ["audience.saved_audience.saved_audience_id"])


@pytest.mark.rule("S-04")
async def test_an_audience_tells_which_audiences_name_it(segment: Segment) -> None:
    """Which journeys do is told by journey; here it is away: nothing is deleted that might be in use."""
    customer = await segment.create(tags=["vip"])
    inner = await save(segment, "inner", VIP)
    outer = await save(segment, "outer", within(inner))
    await save(segment, "outermost", within(outer))
    assert await names(segment, "ListReferringAudiences", saved_audience_id=inner) == ["outer"]
    assert (await refused(segment, "DeleteSavedAudience", saved_audience_id=inner))[0] == (
        grpc.StatusCode.UNAVAILABLE
    )
    gone = await segment.call("DeleteSavedAudience", saved_audience_id=inner, force=True)
    assert [(each.saved_audience_id, each.name) for each in gone.users] == [(outer, "outer")]
    found = await verdict(segment, within(outer), customer)
    assert found.verdict == pb.VERDICT_IMPOSSIBLE
    assert found.reason == error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND
    assert await names(segment, "ListCustomerAudiences", customer_id=customer) == []
    described = await segment.call("DescribeAudience", audience=within(inner))
    assert described.text == "in the audience (deleted)"


async def test_an_audience_of_another_team_is_not_there(segment: Segment) -> None:
    other = new_id()
    await segment.create_team(other)
    made = await segment.call(
        "CreateSavedAudience", team_id=str(other), saved_audience={"name": "theirs", "audience": VIP}
    )
    theirs = made.saved_audience.saved_audience_id
    assert await refused(
        segment, "CreateSavedAudience", saved_audience={"name": "ours", "audience": within(theirs)}
    ) == (INVALID, ["audience.saved_audience"])
    customer = await segment.create(tags=["vip"])
    assert (await verdict(segment, within(theirs), customer)).verdict == pb.VERDICT_IMPOSSIBLE
