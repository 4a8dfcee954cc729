"""What events do to customers, and what they make known."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis

from libs.common.ids import new_id
from libs.common.mailbox import mail as letters
from omnijourney.common.v1 import error_reason_pb2
from omnijourney.segment.v1 import event_pb2
from tests.integration.segment.conftest import Segment, identity

ACCEPTED = event_pb2.EVENT_STATUS_ACCEPTED
DUPLICATE = event_pb2.EVENT_STATUS_DUPLICATE
REFUSED = event_pb2.EVENT_STATUS_REFUSED


@pytest.mark.rule("C-21c")
async def test_an_order_of_an_unknown_member_makes_a_customer(segment: Segment) -> None:
    who = {"member_id": "42", "phone": "+886912345678", "email": "Mei@example.com"}
    (result,) = await segment.record(
        segment.order("e1", "o1", 150, who=who, items=["T-shirt", "Cap"], customer_name="Mei")
    )
    assert (result.status, result.customer_created) == (ACCEPTED, True)
    customer = await segment.customer(result.customer_id)
    assert (customer.member_id, customer.name, customer.phone) == ("42", "Mei", "+886912345678")
    assert customer.times.checkout_time.ToDatetime(tzinfo=segment.clock.now().tzinfo) == segment.clock.now()
    (letter,) = await segment.mail(result.customer_id)
    assert isinstance(letter.body, letters.Checkout)
    assert (letter.number, letter.depth, letter.body.amount_micros) == (1, 0, 150_000_000)
    assert letter.body.items == ["T-shirt", "Cap"]
    assert letter.body.earns
    assert letter.body.has_phone
    assert not letter.body.test


@pytest.mark.rule("C-21a")
async def test_the_same_order_by_two_reporters_makes_one_checkout(segment: Segment) -> None:
    customer_id = await segment.create(member_id="42")
    first, second = await segment.record(
        segment.order("pixel", "o1", who={"member_id": "42"}),
        segment.order("webhook", "o1", who={"member_id": "42"}, items=["Tea"], order={"order_number": "#1"}),
    )
    assert (first.status, second.status) == (ACCEPTED, DUPLICATE)
    third, again = await segment.record(
        segment.order("late", "o1", 999, who={"member_id": "7"}),
        segment.order("pixel", "o1", who={"member_id": "42"}),
    )
    assert (third.status, third.customer_id) == (DUPLICATE, customer_id)
    assert (again.status, again.customer_id) == (DUPLICATE, customer_id)
    assert len(await segment.mail(customer_id)) == 1
    facts = [fact for fact in await segment.facts() if fact.WhichOneof("fact") == "order_amended"]
    assert [(f.order_amended.order_number, f.order_amended.items[0].name) for f in facts] == [("#1", "Tea")]


async def test_an_event_key_is_good_for_one_content(segment: Segment) -> None:
    await segment.record(segment.order("e1", "o1", who={"member_id": "1"}))
    (result,) = await segment.record(segment.order("e1", "o2", who={"member_id": "1"}))
    assert result.status == REFUSED
    assert result.reason == error_reason_pb2.ERROR_REASON_EVENT_KEY_REUSED


@pytest.mark.rule("C-21c")
async def test_an_anonymous_order_is_stored_and_triggers_nothing(segment: Segment) -> None:
    results = await segment.record(
        segment.order("e1", "o1"), segment.order("e2", "o2", -5), segment.refund("e3", "r1", 3)
    )
    assert [result.status for result in results] == [ACCEPTED] * 3
    assert [result.customer_id for result in results] == [""] * 3
    assert sorted(await segment.fact_kinds()) == ["order_stored", "order_stored", "refund_stored"]
    cursors = [fact.partition for fact in await segment.facts()]
    response = await segment.call("ListMail", partition={"partition": cursors[0]})
    assert list(response.mails) == []


async def test_an_anonymous_order_counts_once_somebody_is_named(segment: Segment) -> None:
    await segment.record(segment.order("e1", "o1", items=["Tea"]))
    (result,) = await segment.record(segment.order("e2", "o1", who={"email": "a@example.com"}))
    assert (result.status, result.customer_created) == (ACCEPTED, True)
    (letter,) = await segment.mail(result.customer_id)
    assert isinstance(letter.body, letters.Checkout)
    assert letter.body.items == ["Tea"]


@pytest.mark.rule("C-21b")
async def test_unsigned_orders_count_only_by_the_teams_settings(segment: Segment) -> None:
    customer_id = await segment.create(member_id="1")
    unsigned = segment.order("e1", "o1", who={"member_id": "1"}, order={"signed": False})
    (result,) = await segment.record(unsigned)
    assert (result.status, result.customer_id) == (ACCEPTED, customer_id)
    assert await segment.mail(customer_id) == []
    assert not (await segment.customer(customer_id)).times.HasField("checkout_time")

    (signed,) = await segment.record(segment.order("e2", "o1", who={"member_id": "1"}))
    assert signed.status == ACCEPTED
    assert len(await segment.mail(customer_id)) == 1

    await segment.call("UpdateTeam", team={"settings": {"unsigned_orders_count": True}})
    await segment.record(segment.order("e3", "o3", who={"member_id": "1"}, order={"signed": False}))
    assert len(await segment.mail(customer_id)) == 2
    anonymous = (await segment.record(segment.order("e4", "o4")))[0]
    assert (anonymous.status, anonymous.customer_id) == (ACCEPTED, "")
    by_token = {"browser_token": "bt", "member_id": "1"}
    again, known = await segment.record(
        segment.order("e5", "o3", who=by_token), segment.order("e6", "o6", who={"browser_token": "bt"})
    )
    assert (again.status, known.status) == (DUPLICATE, ACCEPTED)
    assert known.customer_id == customer_id


async def test_a_trial_order_does_nothing_but_is_stored(segment: Segment) -> None:
    customer_id = await segment.create(member_id="1")
    await segment.record(segment.order("e1", "o1", who={"member_id": "1"}, order={"test": True}))
    (unknown,) = await segment.record(segment.order("e2", "o2", who={"member_id": "9"}, order={"test": True}))
    assert unknown.customer_id == ""
    assert await segment.mail(customer_id) == []
    assert (await segment.fact_kinds()).count("order_stored") == 2


@pytest.mark.rule("C-21a")
async def test_a_refund_goes_to_the_customer_of_its_order(segment: Segment) -> None:
    customer_id = await segment.create(member_id="1")
    await segment.create(member_id="2")
    await segment.record(segment.order("e1", "o1", who={"member_id": "1"}, order={"order_number": "#7"}))
    first, again, named = await segment.record(
        segment.refund("e2", "r1", 40, refund={"order_id": "o1"}),
        segment.refund("e3", "r1", 40),
        segment.refund("e4", "r2", 5, refund={"order_id": "o1"}, who={"member_id": "2"}),
    )
    assert [first.status, again.status, named.status] == [ACCEPTED, DUPLICATE, ACCEPTED]
    assert {first.customer_id, again.customer_id, named.customer_id} == {customer_id}
    checkout, refund, _ = await segment.mail(customer_id)
    assert isinstance(checkout.body, letters.Checkout)
    assert isinstance(refund.body, letters.Refund)
    assert refund.body.order_key == checkout.body.order_key
    assert refund.body.amount_micros == 40_000_000
    assert (checkout.body.order_number, refund.body.order_number) == ("#7", "#7")


async def test_a_refund_that_names_no_order_goes_to_whom_it_names(segment: Segment) -> None:
    customer_id = await segment.create(phone="+886912345678")
    (result,) = await segment.record(segment.refund("e1", "r1", 7, who={"phone": "+886912345678"}))
    assert result.customer_id == customer_id
    (letter,) = await segment.mail(customer_id)
    assert isinstance(letter.body, letters.Refund)
    assert letter.body.order_key is None


@pytest.mark.rule("C-21c")
async def test_hints_are_tried_strongest_first(segment: Segment) -> None:
    by_member = await segment.create(member_id="M", phone="+886900000001")
    by_phone = await segment.create(phone="+886900000002", email="x@example.com")
    results = await segment.record(
        segment.order("e1", "o1", who={"member_id": "m", "phone": "+886900000002"}),
        segment.order("e2", "o2", who={"phone": "+886900000002", "browser_token": "bt"}),
        segment.order("e3", "o3", who={"email": "X@EXAMPLE.com"}),
        segment.order("e4", "o4", who={"browser_token": "bt"}),
        segment.order("e5", "o5", who={"phone": "+886900000001", "member_id": "other"}),
    )
    assert [r.customer_id for r in results[:4]] == [by_member, by_phone, by_phone, by_phone]
    # A shared phone does not make two members one.
    assert results[4].customer_created
    unknown = str(new_id())
    (refused,) = await segment.record(segment.order("e6", "o6", who={"customer_id": unknown}))
    assert refused.reason == error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND


async def test_a_batch_folds_in_order(segment: Segment) -> None:
    who = {"member_id": "1"}
    start = segment.clock.now()
    later = start + timedelta(minutes=4)
    segment.clock.advance(timedelta(minutes=5))
    results = await segment.record(
        segment.order("e1", "o1", 1, who=who, at=later),
        segment.order("e2", "o2", 2, who=who, at=start),
        segment.refund("e3", "r1", 1, refund={"order_id": "o1"}),
        segment.order("e2", "o2", 2, who=who, at=start),
    )
    assert [result.status for result in results] == [ACCEPTED, ACCEPTED, ACCEPTED, DUPLICATE]
    (customer_id,) = {result.customer_id for result in results}
    assert [result.customer_created for result in results] == [True, False, False, False]
    mail = await segment.mail(customer_id)
    assert [letter.number for letter in mail] == [1, 2, 3]
    assert [type(letter.body).__name__ for letter in mail] == ["Checkout", "Checkout", "Refund"]
    assert [letter.position for letter in mail] == sorted(letter.position for letter in mail)
    checkout_time = (await segment.customer(customer_id)).times.checkout_time
    assert checkout_time.ToDatetime(tzinfo=later.tzinfo) == later
    assert [letter.number for letter in await segment.mail(customer_id, after=2)] == [3]


async def test_contacts_join_leave_and_return(segment: Segment) -> None:
    me = identity("886912345678")
    joined, again = await segment.record(
        segment.event("e1", contact_added={"identity": me}, who={"phone": "+886912345678"}),
        segment.event("e2", message_received={"identity": me}),
    )
    assert (joined.customer_created, again.customer_id) == (True, joined.customer_id)
    (left,) = await segment.record(segment.event("e3", contact_blocked={"identity": me}))
    assert (await segment.customer(left.customer_id)).identities[0].blocked
    await segment.record(segment.event("e4", contact_added={"identity": me}))
    customer = await segment.customer(left.customer_id)
    assert not customer.identities[0].blocked
    bodies = [letter.body for letter in await segment.mail(joined.customer_id)]
    assert bodies[0] == letters.ContactAdded(me.channel, UUID(me.account_id))
    assert [type(each) for each in bodies[1:]] == [letters.ProfileChanged] * 3
    kinds = [kind for kind in await segment.fact_kinds() if kind != "customer_created"]
    assert kinds == ["contact_added", "message_received", "contact_blocked", "contact_unblocked"]
    (nobody,) = await segment.record(segment.event("e5", contact_blocked={"identity": identity("1")}))
    assert (nobody.status, nobody.customer_id) == (ACCEPTED, "")


async def test_interactions_move_their_times(segment: Segment) -> None:
    customer_id = await segment.create(member_id="1")
    at = segment.clock.now()
    await segment.record(
        segment.event("e1", customer_interacted={}, who={"member_id": "1"}, at=at),
        segment.event("e2", customer_interacted={}, who={"member_id": "1"}, at=at - timedelta(days=1)),
        segment.event("e3", team_interacted={}, who={"member_id": "1"}, at=at - timedelta(days=2)),
    )
    times = (await segment.customer(customer_id)).times
    assert times.customer_interact_time.ToDatetime(tzinfo=at.tzinfo) == at
    assert times.team_interact_time.ToDatetime(tzinfo=at.tzinfo) == at - timedelta(days=2)
    assert not times.HasField("checkout_time")


async def test_bad_events_are_refused_one_by_one(segment: Segment) -> None:
    good = segment.order("good", "o1", who={"member_id": "1"})
    no_time = event_pb2.CustomerEvent(
        team_id=str(segment.team_id), event_key="x", customer_interacted=event_pb2.CustomerInteracted()
    )
    results = await segment.record(
        segment.order("bad", "o2" * 101, who={"member_id": "1"}),
        good,
        no_time,
        segment.refund("negative", "r3", -1, who={"member_id": "1"}),
        segment.order("foreign", "o4", who={"member_id": "1"}, team_id=str(new_id())),
        segment.event("nobody", team_interacted={}),
        segment.event("nothing"),
    )
    assert [result.status for result in results] == [REFUSED, ACCEPTED, *[REFUSED] * 5]
    assert "order_id" in results[0].message
    assert "occur_time" in results[2].message
    assert results[4].reason == error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND


async def test_teams_do_not_see_each_other(segment: Segment) -> None:
    other = new_id()
    await segment.create_team(other)
    mine, theirs = await segment.record(
        segment.order("e1", "o1", who={"member_id": "1"}),
        segment.order("e1", "o1", who={"member_id": "1"}, team_id=str(other)),
    )
    assert mine.status == theirs.status == ACCEPTED
    assert mine.customer_id != theirs.customer_id


async def test_concurrent_callers_make_one_customer_and_one_checkout(segment: Segment) -> None:
    async def report(number: int) -> event_pb2.EventResult:
        order = segment.order(f"e{number}", f"o{number // 2}", who={"member_id": f"m{number % 5}"})
        return (await segment.record(order))[0]

    results = await asyncio.gather(*(report(number) for number in range(200)))
    assert len({result.customer_id for result in results}) == 5
    assert sum(result.customer_created for result in results) == 5
    assert sum(result.status == ACCEPTED for result in results) == 100
    for customer_id in {result.customer_id for result in results}:
        numbers = [letter.number for letter in await segment.mail(customer_id)]
        assert numbers == list(range(1, len(numbers) + 1))


async def _in_mailboxes(segment: Segment, redis: Redis) -> list[letters.Mail]:
    await segment.settled()
    keys = sorted([key async for key in redis.scan_iter(match="oj:*:m:*")])
    found: list[Any] = [await redis.xrange(key) for key in keys]
    entries = [entry for each in found for entry in each]
    return [letters.decode(next(iter(fields.values()))) for _, fields in entries]


async def test_what_was_written_before_the_block_and_comes_late_brings_nobody_back(segment: Segment) -> None:
    me, now = identity("886912345678"), segment.clock.now()
    (joined,) = await segment.record(
        segment.event("e1", contact_added={"identity": me}, at=now - timedelta(minutes=2))
    )
    await segment.record(segment.event("e2", contact_blocked={"identity": me}))
    early = segment.event("e3", message_received={"identity": me}, at=now - timedelta(minutes=1))
    await segment.record(early)
    assert (await segment.customer(joined.customer_id)).identities[0].blocked


@pytest.mark.rule("J-32")
async def test_what_is_known_of_the_customer_travels_with_the_mail(segment: Segment, redis: Redis) -> None:
    """Whether the event was usual or not; what is stored has none of it."""
    customer_id = await segment.create(member_id="1", name="Mei", phone="+886912345678")
    who = {"customer_id": customer_id}
    await segment.record(segment.event("e1", contact_added={"identity": identity("886912345678")}, who=who))
    await segment.record(segment.order("e2", "o2", who=who))
    await segment.record(
        segment.event("e3", contact_blocked={"identity": identity("886912345678")}),
        segment.order("e4", "o4", who={"member_id": "2"}),
    )
    known = {
        mail.event_id: mail.view for mail in await _in_mailboxes(segment, redis) if mail.view is not None
    }
    views = sorted(known.values(), key=lambda view: (view.whole, view.number))
    assert [(v.number, v.name, v.member_id, v.phone, v.whole) for v in views] == [
        *[(number, "Mei", "1", "+886912345678", False) for number in (1, 2, 3)],
        (1, "", "2", None, True),
    ]
    reached = [[(each.external_id, each.blocked) for each in view.identities] for view in views]
    assert reached == [[("886912345678", False)], [], [("886912345678", True)], []]
    assert {view.as_of for view in views} == {segment.clock.now()}
    assert [letter.view for letter in await segment.mail(customer_id)] == [None] * 3


async def test_mail_reaches_the_mailbox_in_order(segment: Segment, redis: Redis) -> None:
    who = {"member_id": "1"}
    (first, *_rest) = await segment.record(
        *(segment.order(f"e{number}", f"o{number}", who=who) for number in range(20))
    )
    await segment.settled()
    keys = [key async for key in redis.scan_iter(match="oj:*:m:*")]
    assert len(keys) == 1
    entries: Any = await redis.xrange(keys[0])
    numbers = [letters.decode(next(iter(fields.values()))).number for _, fields in entries]
    assert numbers == list(range(1, 21))
    assert [letter.number for letter in await segment.mail(first.customer_id)] == numbers
