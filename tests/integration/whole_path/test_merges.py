"""Two customers who are one: points, enrolments, orders and coupons go on with the one who stays (S-05c)."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import grpc
import pytest

from libs.common.errors import Unavailable
from libs.common.ids import new_id
from libs.common.rpc.errors import remote_error
from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import money_pb2, operation_pb2
from omnijourney.journey.v1 import enrolment_pb2
from omnijourney.points.v1 import coupon_pb2, entry_pb2, points_service_pb2
from omnijourney.segment.v1 import audience_pb2, consent_pb2, customer_pb2, event_pb2
from omnijourney.segment.v1 import operation_pb2 as merge_pb2
from services.segment.clients.merges import GrpcMergeParts
from tests.integration.journey.whole_site import LINE, WHATSAPP
from tests.integration.whole_path.stage import Stage, says, until, waits

pytestmark = pytest.mark.asyncio(loop_scope="package")

DELAYED = enrolment_pb2.WAIT_REASON_DELAY


async def merged(stage: Stage, survivor: str, loser: str) -> merge_pb2.CustomerMerge:
    """A merge, when it is done."""
    started = await stage.call("MergeCustomers", survivor_id=survivor, loser_id=loser)
    return await done(stage, started.customer_merge.customer_merge_id)


async def done(stage: Stage, merge_id: str) -> merge_pb2.CustomerMerge:
    """The same, of one that was started."""

    async def found() -> merge_pb2.CustomerMerge:
        asked = await stage.call("GetCustomerMerge", customer_merge_id=merge_id)
        merge: merge_pb2.CustomerMerge = asked.customer_merge
        return merge

    async def is_done() -> bool:
        return (await found()).operation.state == operation_pb2.OPERATION_STATE_SUCCEEDED

    await until(is_done)
    return await found()


def hints(**who: Any) -> customer_pb2.CustomerSelector:
    """Hints at a customer."""
    return customer_pb2.CustomerSelector(**who)


async def recorded(stage: Stage, who: customer_pb2.CustomerSelector, amount: int = 100) -> str:
    """Who a signed order is of."""
    order = event_pb2.OrderCompleted(
        shop_id="shop",
        order_id=str(new_id()),
        amount=money_pb2.Money(currency_code="TWD", amount_micros=amount * 1_000_000),
        signed=True,
    )
    event = event_pb2.CustomerEvent(
        team_id=stage.site.team_id,
        event_key=str(new_id()),
        occur_time=timestamp(await stage.site.now()),
        customer=who,
        order_completed=order,
    )
    (result,) = (await stage.call("RecordEvents", events=[event])).results
    assert result.status == event_pb2.EVENT_STATUS_ACCEPTED, result
    return str(result.customer_id)


async def until_balance(stage: Stage, customer_id: str, figures: tuple[int, int]) -> None:
    """Waits for balance and cumulative figure."""

    async def has_it() -> bool:
        return await stage.balance(customer_id) == figures

    await until(has_it)


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    """How a call is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    told = remote_error(caught.value)
    return told.code, told.reason


class LostAnswers:
    """Each part of each step is done, and its answer lost, once: as when segment is killed before it is noted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lost: list[tuple[str, int]] = []
        asked = GrpcMergeParts._ask

        async def ask(parts: GrpcMergeParts, service: str, request: Any) -> str:
            waits_for = await asked(parts, service, request)
            if not waits_for and (service, request.step) not in self.lost:
                self.lost.append((service, request.step))
                raise Unavailable.dependency(service)
            return waits_for

        monkeypatch.setattr(GrpcMergeParts, "_ask", ask)


@pytest.mark.rule("S-05c", "P-05", "J-13a")
async def test_two_customers_are_one_though_the_answer_of_every_step_is_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = LostAnswers(monkeypatch)
    await stage.at_hour(12)
    await stage.call("SetEarningFormula", amount="100", points="1")
    module = await stage.module("Hello")
    later = await stage.live(
        waits("wait", "hello", hours=1), says("hello", module), enrolments_per_customer_max=1
    )
    survivor = await stage.customer(tags=["vip"], name="Ann")
    loser = await stage.customer(tags=["new"], member_id="M-2", email="b@example.com")
    before = {each: await stage.person(each) for each in (survivor, loser)}
    coupon = coupon_pb2.Coupon(
        name="Mug",
        type=coupon_pb2.COUPON_TYPE_MARKETING,
        points_redemption=coupon_pb2.PointsRedemption(cost=2, insufficient_text="no"),
        claims_per_customer_max=1,
    )
    coupon_id = (await stage.call("CreateCoupon", coupon=coupon)).coupon.coupon_id
    await stage.order(survivor, 500)
    await stage.order(loser, 700)
    await until_balance(stage, survivor, (5, 5))
    await until_balance(stage, loser, (7, 7))
    await stage.call("ClaimCoupon", coupon_id=coupon_id, customer_id=loser)
    await stage.trigger(later, loser)
    await stage.until_waiting(later, DELAYED)
    (enrolled,) = await stage.enrolments(later)

    merge = await merged(stage, survivor, loser)

    assert (merge.step, merge.survivor_id, merge.loser_id) == (merge_pb2.MERGE_STEP_DONE, survivor, loser)
    assert [step for _, step in lost.lost] == [2, 3, 4, 5, 5]
    assert await stage.balance(survivor) == (10, 12)
    assert await stage.balance(loser) == (0, 0)
    checked = [each async for each in stage.site.stubs["points"].CheckLedger(check(stage), timeout=30)]
    assert [each.WhichOneof("item") for each in checked] == ["summary"]
    pair = await stage.call("ListEntries", filter={"sources": [entry_pb2.ENTRY_SOURCE_MERGE]})
    entries = [line.entry for line in pair.lines]
    assert {(each.customer_id, each.delta_balance) for each in entries} == {(loser, -5), (survivor, 5)}
    assert {each.key for each in entries} == {merge.customer_merge_id}

    rich = audience_pb2.PointsPredicate(
        figure=audience_pb2.POINTS_FIGURE_BALANCE, operator=audience_pb2.COMPARE_OPERATOR_LESS, value=1_000
    )
    counted = await stage.call("CountAudience", audience=audience_pb2.Audience(points=rich))
    assert counted.customer_count == 1

    person = await stage.person(survivor)
    assert (set(person.tags), person.name, person.member_id) == ({"vip", "new"}, "Ann", "M-2")
    assert person.phone == before[survivor].phone
    assert person.email == "b@example.com"
    assert {each.key.external_id for each in person.identities} == {
        each.key.external_id for known in before.values() for each in known.identities
    }
    assert (await stage.person(loser)).merged_into == survivor
    orders = (await stage.call("ListOrders", customer_id=survivor)).orders
    assert len(orders) == 2
    claims = (await stage.call("ListCouponClaims", customer_id=survivor)).claims
    assert [each.customer_id for each in claims] == [loser]
    asked = stage.call("ClaimCoupon", coupon_id=coupon_id, customer_id=survivor)
    assert await refused(asked) == (grpc.StatusCode.FAILED_PRECONDITION, "COUPON_NOT_CLAIMABLE")

    # A later word of the one who went is the other's, who was once in the journey.
    assert await recorded(stage, hints(phone=before[loser].phone)) == survivor
    assert await recorded(stage, hints(customer_id=loser)) == survivor
    await until_balance(stage, survivor, (12, 14))
    await stage.trigger(later, survivor)
    await stage.trigger(later, loser)
    await until(lambda: has_refusals(stage, later, 2))
    (moved,) = await stage.enrolments(later)
    assert (moved.enrolment_id, moved.customer_id) == (enrolled.enrolment_id, survivor)
    await stage.site.advance(hours=1.1)
    await stage.until_done(later)
    own = before[survivor].identities[0].key.external_id
    assert [each["recipient"] for each in await stage.accepted(LINE, survivor)] == [own]
    explained = await stage.call("ExplainEnrolment", enrolment_id=moved.enrolment_id)
    assert [each.node_id for each in explained.steps][:2] == ["wait", "wait"]
    deliveries = (await stage.call("ListDeliveries", customer_id=survivor)).deliveries
    assert len(deliveries) == 1


async def test_the_stricter_consent_holds_of_each_channel(stage: Stage) -> None:
    withdrawn, given = consent_pb2.CONSENT_STATE_WITHDRAWN, consent_pb2.CONSENT_STATE_GIVEN
    survivor, loser = await stage.customer(), await stage.customer()
    await stage.call("SetConsent", customer_id=loser, channel=LINE, state=withdrawn, note="by phone")
    await stage.call("SetConsent", customer_id=survivor, channel=WHATSAPP, state=withdrawn)
    await stage.call("SetConsent", customer_id=loser, channel=WHATSAPP, state=given)
    await merged(stage, survivor, loser)
    held = (await stage.call("ListConsents", customer_id=survivor)).consents
    assert [(each.channel, each.state) for each in held] == [(LINE, withdrawn), (WHATSAPP, withdrawn)]
    changes = (await stage.call("ListConsentChanges", customer_id=survivor)).consent_changes
    assert len(changes) == 4
    assert "by phone" in [each.note for each in changes]
    # It is once a merge: what people say afterwards holds.
    await stage.call("SetConsent", customer_id=survivor, state=given)
    held = (await stage.call("ListConsents", customer_id=survivor)).consents
    assert {each.state for each in held} == {given}


async def test_events_that_come_while_customers_are_merged_are_somebodys(stage: Stage) -> None:
    await stage.call("SetEarningFormula", amount="100", points="1")
    people = [await stage.customer() for _ in range(4)]
    phones = [(await stage.person(each)).phone for each in people]
    orders = [asyncio.create_task(recorded(stage, hints(phone=phone))) for phone in phones * 5]
    chain = []
    for loser, survivor in itertools.pairwise(people):
        started = await stage.call("MergeCustomers", survivor_id=survivor, loser_id=loser)
        chain.append(started.customer_merge.customer_merge_id)
        orders += [asyncio.create_task(recorded(stage, hints(phone=phone))) for phone in phones * 2]
        await asyncio.sleep(0)
    assert set(await asyncio.gather(*orders)) <= set(people)
    for merge_id in chain:
        await done(stage, merge_id)
    last = people[-1]
    await until_balance(stage, last, (len(orders), len(orders)))
    listed = (await stage.call("ListOrders", customer_id=last, page_size=500)).orders
    assert len(listed) == len(orders)
    checked = [each async for each in stage.site.stubs["points"].CheckLedger(check(stage), timeout=30)]
    assert [each.WhichOneof("item") for each in checked] == ["summary"]


async def has_refusals(stage: Stage, journey_id: str, count: int) -> bool:
    return len(await stage.refusals(journey_id)) == count


def check(stage: Stage) -> points_service_pb2.CheckLedgerRequest:
    return points_service_pb2.CheckLedgerRequest(team_id=stage.site.team_id)


async def test_who_is_gone_cannot_be_written_nor_merged(stage: Stage) -> None:
    first, second, third = [await stage.customer() for _ in range(3)]
    asked = stage.call("MergeCustomers", survivor_id=first, loser_id=first)
    assert await refused(asked) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELDS")
    asked = stage.call("MergeCustomers", survivor_id=first, loser_id=str(new_id()))
    assert await refused(asked) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
    phone = (await stage.person(first)).phone
    # Two that cross: one of them comes first, and a chain ends with the last of it, whichever step the first was at.
    crossing = await asyncio.gather(
        stage.call("MergeCustomers", survivor_id=second, loser_id=first),
        stage.call("MergeCustomers", survivor_id=first, loser_id=second),
        return_exceptions=True,
    )
    (won,) = [each.customer_merge for each in crossing if not isinstance(each, BaseException)]
    (error,) = [each for each in crossing if isinstance(each, grpc.aio.AioRpcError)]
    assert remote_error(error).reason == "CUSTOMER_MERGED"
    assert remote_error(error).metadata == {"merged_into": won.survivor_id}
    last = (await stage.call("MergeCustomers", survivor_id=third, loser_id=won.survivor_id)).customer_merge
    for merge in (won, last):
        await done(stage, merge.customer_merge_id)
    assert (await stage.person(won.loser_id)).merged_into == third
    assert await recorded(stage, hints(phone=phone)) == third
    writes: dict[str, dict[str, Any]] = {
        "UpdateCustomer": {"customer": {"customer_id": first, "name": "X"}},
        "ChangeCustomerTags": {"customer_id": first, "add": ["t"]},
        "SetConsent": {"customer_id": first, "state": 2},
        "MergeCustomers": {"survivor_id": first, "loser_id": third},
    }
    for name, fields in writes.items():
        code, reason = await refused(stage.call(name, **fields))
        assert (name, code, reason) == (name, grpc.StatusCode.FAILED_PRECONDITION, "CUSTOMER_MERGED")
    listed = (await stage.call("ListCustomerMerges", customer_id=first)).customer_merges
    assert won.customer_merge_id in [each.customer_merge_id for each in listed]
    everybody = (await stage.call("ListCustomers")).customers
    assert [each.customer_id for each in everybody] == [third]
