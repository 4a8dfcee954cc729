"""Customers who are merged, as segment alone sees it: from the first moment whatever names the one is the other's."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import grpc
import pytest

from libs.common import crash
from libs.common.db.pool import open_pool
from libs.common.ids import new_id
from libs.common.mailbox.mail import ProfileChanged, TagRemoved
from libs.common.rpc.errors import remote_error
from omnijourney.common.v1 import operation_pb2
from omnijourney.internal.v1 import change_pb2
from omnijourney.segment.v1 import customer_pb2, event_pb2
from omnijourney.segment.v1 import operation_pb2 as merge_pb2
from services.segment.domain.facts import CustomerMerged
from services.segment.domain.merging import Merge, MergeStep
from services.segment.store.merges import MergeStore
from services.segment.worker import merges as worker
from tests.integration.segment.conftest import Segment, identity

ACCEPTED, DUPLICATE = event_pb2.EVENT_STATUS_ACCEPTED, event_pb2.EVENT_STATUS_DUPLICATE
PHONE, OTHER_PHONE = "+886912345678", "+886912345679"


async def merge(segment: Segment, survivor: str, loser: str) -> merge_pb2.CustomerMerge:
    """A merge as it is accepted; the other services are away, so it goes no further."""
    started = await segment.call("MergeCustomers", survivor_id=survivor, loser_id=loser)
    accepted: merge_pb2.CustomerMerge = started.customer_merge
    assert accepted.step == merge_pb2.MERGE_STEP_DRAIN_MAILBOX
    assert accepted.operation.kind == operation_pb2.OPERATION_KIND_CUSTOMER_MERGE
    return accepted


async def refused(call: Any) -> str:
    """The reason of a refusal."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return remote_error(caught.value).reason


@pytest.mark.rule("S-05c")
async def test_the_survivor_keeps_the_union_and_what_is_theirs_wins(segment: Segment) -> None:
    for key in ("city", "size"):
        await segment.define(key, "TEXT")
    survivor = await segment.create(
        phone=PHONE,
        name="Ann",
        tags=["VIP"],
        attributes={"city": "Taipei"},
        identities=[{"key": identity("1")}],
    )
    segment.clock.advance(timedelta(hours=1))
    loser = await segment.create(
        member_id="M-2",
        phone=OTHER_PHONE,
        name="Bob",
        email="b@example.com",
        tags=["vip", "new"],
        attributes={"city": "Tainan", "size": "L"},
        identities=[{"key": identity("2")}],
    )
    await segment.record(segment.order("e1", "o1", who={"customer_id": loser}))
    seen = (await segment.customer(loser)).times
    mails = len(await segment.mail(survivor))
    await merge(segment, survivor, loser)
    found = await segment.customer(survivor)
    assert (found.name, found.phone, found.member_id, found.email) == ("Ann", PHONE, "M-2", "b@example.com")
    assert (sorted(found.tags), dict(found.attributes)) == (["VIP", "new"], {"city": "Taipei", "size": "L"})
    assert [each.key.external_id for each in found.identities] == ["1", "2"]
    assert found.times.checkout_time == seen.checkout_time
    gone = await segment.customer(loser)
    assert (gone.merged_into, gone.phone) == (survivor, OTHER_PHONE)
    assert [each.customer_id for each in (await segment.call("ListCustomers")).customers] == [survivor]
    # The actor of the one who stays hears of it, and no journey is started by it.
    new = (await segment.mail(survivor))[mails:]
    assert new
    assert {type(letter.body) for letter in new} <= {ProfileChanged, TagRemoved}, new


@pytest.mark.rule("S-01d")
async def test_two_who_have_too_many_tags_together_are_not_merged(segment: Segment) -> None:
    survivor, loser = [
        await segment.create(tags=[f"{letter}{number}" for number in range(251)]) for letter in "ab"
    ]
    asked = segment.call("MergeCustomers", survivor_id=survivor, loser_id=loser)
    assert await refused(asked) == "CUSTOMER_LIMIT_REACHED"
    await segment.call("ChangeCustomerTags", customer_id=loser, remove=["b0", "b1"])
    await merge(segment, survivor, loser)
    assert len((await segment.customer(survivor)).tags) == 500


@pytest.mark.rule("S-08b")
async def test_who_is_being_erased_is_merged_with_nobody(segment: Segment) -> None:
    erased, other = await segment.create(phone=PHONE), await segment.create(name="other")
    # The gateway is away: the erasure waits at its first step, the customer is there still.
    await segment.call("StartErasure", customer_id=erased)
    for survivor, loser in ((other, erased), (erased, other)):
        asked = segment.call("MergeCustomers", survivor_id=survivor, loser_id=loser)
        assert await refused(asked) == "CUSTOMER_ERASED"
    assert (await segment.customer(other)).phone == ""
    # Asked for at once, one of the two is refused, whichever comes first.
    third = await segment.create(name="third")
    answers = await asyncio.gather(
        segment.call("MergeCustomers", survivor_id=other, loser_id=third),
        segment.call("StartErasure", customer_id=third),
        return_exceptions=True,
    )
    (fault,) = [remote_error(each) for each in answers if isinstance(each, grpc.aio.AioRpcError)]
    assert fault.reason in {"CUSTOMER_MERGED", "CUSTOMER_ERASED"}


@pytest.mark.rule("S-05c")
async def test_whatever_leads_to_the_one_who_went_leads_to_the_survivor(segment: Segment) -> None:
    survivor = await segment.create(phone=PHONE, member_id="M-1")
    loser = await segment.create(phone=OTHER_PHONE, member_id="M-2", email="b@example.com")
    who = {"customer_id": loser, "browser_token": "t"}
    await segment.record(
        segment.order("e1", "o1", 300, who=who), segment.event("e2", team_interacted={}, who=who)
    )
    await merge(segment, survivor, loser)
    hints: list[dict[str, Any]] = [
        {"customer_id": loser},
        {"phone": OTHER_PHONE},
        {"member_id": "m-2"},
        {"email": "B@example.com"},
        {"browser_token": "t"},
        {"member_id": "M-2", "phone": PHONE},
    ]
    for number, hint in enumerate(hints):
        selector = customer_pb2.CustomerSelector(**hint)
        found = (await segment.call("FindCustomer", selector=selector)).customer
        assert (hint, found.customer_id) == (hint, survivor)
        (result,) = await segment.record(segment.order(f"later {number}", f"later {number}", who=hint))
        assert (hint, result.status, result.customer_id) == (hint, ACCEPTED, survivor)
    # Their order is listed, and its refund, its repetition and its gaps are the survivor's.
    refund = segment.refund("r1", "r1", 100, refund={"order_id": "o1"})
    again = segment.order("e1", "o1", 300, who=who)
    pixel = segment.order("e3", "o1", 300, who={"phone": PHONE}, items=["Tea"])
    results = await segment.record(refund, again, pixel)
    assert [each.status for each in results] == [ACCEPTED, DUPLICATE, DUPLICATE]
    assert results[0].customer_id == survivor
    orders = (await segment.call("ListOrders", customer_id=survivor, page_size=50)).orders
    assert "o1" in [each.order_id for each in orders]
    (line,) = (await segment.call("BatchFindCustomers", items=[{"phone": OTHER_PHONE}])).found
    assert line.customer_id == survivor
    # What journeys did for them, or do still, is done to the survivor, once.
    key = new_id()
    changes = [segment.change(loser, key, tags={"add": ["late"]}) for _ in range(2)]
    applied = await segment.apply(*changes)
    assert [each.status for each in applied] == [change_pb2.CHANGE_STATUS_APPLIED] * 2
    assert list((await segment.customer(survivor)).tags) == ["late"]
    ref = {"team_id": str(segment.team_id), "customer_id": loser}
    (profile,) = (await segment.call("BatchGetProfiles", items=[ref])).profiles
    assert (profile.found, profile.customer_id, profile.phone) == (True, loser, PHONE)
    upserted = await segment.call("UpsertCustomer", customer={"member_id": "M-2", "name": "Bob"})
    assert (upserted.customer.customer_id, upserted.created) == (survivor, False)


async def test_who_is_gone_cannot_be_written_or_come_back(segment: Segment) -> None:
    survivor, loser = (
        await segment.create(member_id="M-1"),
        await segment.create(member_id="M-2", phone=PHONE),
    )
    await segment.record(segment.order("e1", "o1", who={"member_id": "M-1", "phone": PHONE}))
    started = await merge(segment, survivor, loser)
    (conflict,) = (await segment.call("ListIdentityConflicts")).identity_conflicts
    assert conflict.resolved
    bind = {"customer_id": loser, "identity": identity("1")}
    for name, fields in (
        ("UpdateCustomer", {"customer": customer_pb2.Customer(customer_id=loser, name="X")}),
        ("ChangeCustomerTags", {"customer_id": loser, "add": ["t"]}),
        ("BindIdentity", bind),
        ("MergeCustomers", {"survivor_id": survivor, "loser_id": loser}),
        ("MergeCustomers", {"survivor_id": loser, "loser_id": survivor}),
    ):
        assert (name, await refused(segment.call(name, **fields))) == (name, "CUSTOMER_MERGED")
    bound = (await segment.call("BatchBindIdentities", bindings=[bind])).results
    assert [each.reason for each in bound] == [403]
    for taken in (customer_pb2.Customer(customer_id=loser), customer_pb2.Customer(member_id="M-2")):
        assert await refused(segment.call("CreateCustomer", customer=taken)) == "DUPLICATE_VALUE"
    other = new_id()
    await segment.create_team(other)
    asked = {"team_id": str(other), "customer_merge_id": started.customer_merge_id}
    assert await refused(segment.call("GetCustomerMerge", **asked)) == "RESOURCE_NOT_FOUND"
    assert (await segment.call("ListCustomerMerges", team_id=str(other))).customer_merges == []
    listed = (await segment.call("ListCustomerMerges", customer_id=loser)).customer_merges
    assert [each.customer_merge_id for each in listed] == [started.customer_merge_id]


async def test_a_merge_that_would_break_a_limit_is_refused_whole(segment: Segment) -> None:
    survivor = await segment.create(tags=[f"a{number}" for number in range(300)])
    loser = await segment.create(tags=[f"b{number}" for number in range(201)], phone=PHONE)
    asked = segment.call("MergeCustomers", survivor_id=survivor, loser_id=loser)
    assert await refused(asked) == "CUSTOMER_LIMIT_REACHED"
    assert (await segment.customer(loser)).merged_into == ""
    (result,) = await segment.record(segment.order("e1", "o1", who={"phone": PHONE}))
    assert result.customer_id == loser


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.rule("S-05c")
async def test_killed_at_every_step_a_merge_goes_on(
    segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    survivor, loser = await segment.create(), await segment.create()
    asked: list[MergeStep] = []
    died: set[tuple[str, MergeStep]] = set()
    now: list[MergeStep] = []

    class Parts:
        """Each step is killed before the services have done it, and once after."""

        async def take(self, merge: Merge, step: MergeStep) -> str:
            now[:] = [step]
            die("before")
            asked.append(step)
            return ""

    def die(where: str) -> None:
        if (where, now[0]) not in died:
            died.add((where, now[0]))
            raise Killed

    monkeypatch.setattr(worker, "CLAIM_S", 0.0)
    monkeypatch.setattr(crash, "reach", lambda point: die(point) if "merge" in point else None)
    published: list[Any] = []
    publisher: Any = SimpleNamespace(publish=published.extend)
    async with await open_pool(segment.dsn, name="merges") as pool:
        merging = worker.Merging(MergeStore(pool), Parts(), publisher, segment.clock)
        step = worker.Merging.step

        async def ours(each: worker.Merging) -> float:
            return await step(each) if each is merging else worker.POLL_S

        # The service's own loop, which runs already, asks the services that are away: it is held off.
        monkeypatch.setattr(worker.Merging, "step", ours)
        started = await merge(segment, survivor, loser)
        key = (segment.team_id, UUID(started.customer_merge_id))
        store = MergeStore(pool)
        while (found := await store.read(key)).end_time is None:
            try:
                await merging.step()
            except Killed:
                continue
    assert found.step == MergeStep.DONE
    steps = [
        MergeStep.DRAIN_MAILBOX,
        MergeStep.MOVE_POINTS,
        MergeStep.MOVE_ENROLMENTS,
        MergeStep.UNITE_PROFILES,
    ]
    assert [each for each in steps for _ in range(2)] == asked
    assert [fact.body for fact in published] == [CustomerMerged(UUID(survivor))]
    told = [each for each in await segment.facts() if each.WhichOneof("fact") == "customer_merged"]
    assert [(each.customer_id, each.customer_merged.survivor_id) for each in told] == [(loser, survivor)]


@pytest.mark.rule("S-01b")
async def test_the_four_times_are_of_the_last_of_each_kind_and_never_ahead(segment: Segment) -> None:
    customer_id = await segment.create(phone=PHONE, identities=[{"key": identity("1")}])
    who = {"customer_id": customer_id}
    start = segment.clock.now()
    assert not any(field for field, _ in (await segment.customer(customer_id)).times.ListFields())
    segment.clock.advance(timedelta(days=10))
    ahead = segment.clock.now() + timedelta(minutes=4)
    early = start + timedelta(days=1)
    for number, at in enumerate((early, ahead, early)):
        received = {"identity": identity("1")}
        await segment.record(segment.event(f"w{number}", message_received=received, who=who, at=at))
        await segment.record(segment.event(f"t{number}", team_interacted={}, who=who, at=at))
        await segment.record(segment.order(f"o{number}", f"o{number}", who=who, at=at))
        await segment.apply(segment.change(customer_id, mark_marketed={"at": at}))
        times = (await segment.customer(customer_id)).times
        found = {
            name: getattr(times, name).ToDatetime(tzinfo=start.tzinfo)
            for name in (
                "customer_interact_time",
                "team_interact_time",
                "marketed_time",
                "checkout_time",
            )
        }
        assert found == dict.fromkeys(found, early if number == 0 else segment.clock.now()), (number, found)
