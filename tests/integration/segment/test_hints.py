"""What is said of a customer, at every door of segment: read as it was meant, or left out and told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
import pytest

from omnijourney.common.v1 import channel_pb2, error_reason_pb2
from omnijourney.segment.v1 import audience_pb2, customer_pb2, event_pb2, team_pb2
from tests.integration.segment.conftest import Segment, identity

ACCEPTED, REFUSED = event_pb2.EVENT_STATUS_ACCEPTED, event_pb2.EVENT_STATUS_REFUSED
LINE_USER = f"U{1:032x}"
PHONE = "+886912345678"
WRITTEN = [
    "0912-345-678",
    "+886 912 345 678",
    "00886912345678",
    "886912345678",
    "０９１２３４５６７８",
    "+8860912345678",
]


async def updated(segment: Segment, **settings: Any) -> team_pb2.TeamSettings:
    """The team's settings after a change of them."""
    team = team_pb2.Team(team_id=str(segment.team_id), settings=team_pb2.TeamSettings(**settings))
    mask = {"paths": [f"settings.{name}" for name in settings]}
    answer = await segment.call("UpdateTeam", team=team, update_mask=mask)
    return answer.team.settings  # type: ignore[no-any-return]


@pytest.mark.rule("S-01c")
@pytest.mark.parametrize("written", WRITTEN)
async def test_a_phone_in_any_form_of_the_teams_country_is_one_person_at_every_door(
    segment: Segment, written: str
) -> None:
    (result,) = await segment.record(segment.order("e1", "o1", who={"phone": written}))
    assert (result.status, list(result.left_out)) == (ACCEPTED, [])
    found = await segment.call("FindCustomer", selector=customer_pb2.CustomerSelector(phone=written))
    assert (found.customer.customer_id, found.customer.phone) == (result.customer_id, PHONE)
    listed = await segment.call("BatchFindCustomers", items=[{"phone": written}])
    assert listed.found[0].customer_id == result.customer_id
    created = await segment.create(member_id="7", phone=written)
    assert (await segment.customer(created)).phone == PHONE
    upserted = customer_pb2.Customer(member_id="8", phone=written)
    assert (await segment.call("UpsertCustomer", customer=upserted)).customer.phone == PHONE
    changed = customer_pb2.Customer(customer_id=created, phone=written)
    assert (await segment.call("UpdateCustomer", customer=changed)).customer.phone == PHONE
    batch = await segment.call("BatchCreateCustomers", customers=[{"member_id": "9", "phone": written}])
    assert (await segment.customer(batch.results[0].customer_id)).phone == PHONE
    normalized = (await segment.call("NormalizePhones", phones=[written, "12"])).phones
    assert [(each.written, each.phone) for each in normalized] == [(written, PHONE), ("12", "")]
    assert normalized[1].reason == error_reason_pb2.ERROR_REASON_INVALID_FIELDS


async def test_the_country_is_that_of_the_zone_unless_one_is_set(segment: Segment) -> None:
    assert (await segment.call("GetTeam")).team.settings.country_code == "TW"
    moved = await updated(segment, time_zone="Asia/Hong_Kong")
    assert moved.country_code == "HK", "a default follows the zone"
    assert (await updated(segment, country_code="JP")).country_code == "JP"
    assert (await updated(segment, time_zone="Asia/Taipei")).country_code == "JP"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await updated(segment, country_code="Taiwan")
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await updated(segment, country_code="XX")
    assert "country_code" in (refused.value.details() or "")
    (result,) = await segment.record(segment.order("e1", "o1", who={"phone": "090-1234-5678"}))
    assert (await segment.customer(result.customer_id)).phone == "+819012345678"


async def test_blanks_and_marks_around_a_tag_make_no_other_tag(segment: Segment) -> None:
    customer = await segment.create(member_id="1", tags=[" VIP\u200b"])
    await segment.call("ChangeCustomerTags", customer_id=customer, add=["VIP\u00a0", "\u3000new"])
    assert sorted((await segment.customer(customer)).tags) == ["VIP", "new"]
    tags = audience_pb2.TagPredicate(operator=audience_pb2.TAG_OPERATOR_ANY_OF, tags=["V\u200bIP "])
    counted = await segment.call("CountAudience", audience=audience_pb2.Audience(tags=tags))
    assert counted.customer_count == 1
    await segment.call("ChangeCustomerTags", customer_id=customer, remove=[" v\u2060ip "])
    assert list((await segment.customer(customer)).tags) == ["new"]
    for unseen in ("\u200b\u200d", " \u2060"):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await segment.call("ChangeCustomerTags", customer_id=customer, add=[unseen])
        assert "add[0]" in (refused.value.details() or "")


@pytest.mark.rule("S-01c")
async def test_marks_within_a_member_id_or_an_address_make_no_other_person(segment: Segment) -> None:
    """At each door: they come with what was copied from a chat or a page."""
    plain = await segment.create(member_id="M-1", email="ann@example.com", name="陳怡君")
    await segment.call("BindIdentity", customer_id=plain, identity=identity(LINE_USER, channel=1))
    hints: list[dict[str, Any]] = [
        {"member_id": "m\u200b-1"},
        {"member_id": "\u202aM-1\u202c"},
        {"email": "ann@\u2060example.com"},
        {"email": "ａｎｎ＠example．com"},
        {"identity": identity(f"\u2066{LINE_USER}\u2069 ", channel=1)},
    ]
    for number, who in enumerate(hints):
        (result,) = await segment.record(segment.order(f"e{number}", f"o{number}", who=who))
        assert (result.customer_id, list(result.left_out)) == (plain, []), who
        found = await segment.call("FindCustomer", selector=customer_pb2.CustomerSelector(**who))
        assert found.customer.customer_id == plain
    upserted = customer_pb2.Customer(member_id="M-\u200b1", name="陳\u200b怡君")
    known = (await segment.call("UpsertCustomer", customer=upserted)).customer
    assert (known.customer_id, known.name, known.member_id) == (plain, "陳怡君", "M-1")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await segment.call("BindIdentity", customer_id=plain, identity=identity("\u200b", channel=1))
    assert "external_id" in (refused.value.details() or "")


@pytest.mark.rule("S-01c")
@pytest.mark.parametrize(
    ("who", "fields"),
    [
        ({"phone": "0912"}, ["customer.phone"]),
        ({"email": "mei.example.com"}, ["customer.email"]),
        ({"phone": "call me", "email": "@"}, ["customer.phone", "customer.email"]),
        ({"browser_token": "a\tb"}, ["customer.browser_token"]),
    ],
)
async def test_a_hint_that_cannot_be_used_is_left_out_and_told_and_the_order_counts(
    segment: Segment, who: dict[str, str], fields: list[str]
) -> None:
    (result,) = await segment.record(segment.order("e1", "o1", who={"member_id": "42", **who}))
    assert result.status == ACCEPTED
    assert [each.field for each in result.left_out] == fields
    assert all(each.message for each in result.left_out)
    assert (await segment.customer(result.customer_id)).member_id == "42"
    (alone,) = await segment.record(segment.order("e2", "o2", who=who))
    assert (alone.status, alone.customer_id) == (ACCEPTED, ""), "it is an order of nobody"
    (again,) = await segment.record(segment.order("e1", "o1", who={"member_id": "42", **who}))
    assert again.status == event_pb2.EVENT_STATUS_DUPLICATE


async def test_a_name_that_is_too_long_is_left_out(segment: Segment) -> None:
    event = segment.order("e1", "o1", who={"member_id": "42"}, customer_name="n" * 201)
    (result,) = await segment.record(event)
    assert [each.field for each in result.left_out] == ["customer_name"]
    assert (await segment.customer(result.customer_id)).name == ""


@pytest.mark.parametrize(
    "written", [" mei@example.com", "mei@example.com\u00a0", "\u200bMEI@example.com\u3000"]
)
async def test_blanks_around_an_address_make_nobody_else(segment: Segment, written: str) -> None:
    (first,) = await segment.record(segment.order("e1", "o1", who={"email": "Mei@example.com"}))
    (second,) = await segment.record(segment.order("e2", "o2", who={"email": written}))
    assert second.customer_id == first.customer_id
    found = await segment.call("FindCustomer", selector=customer_pb2.CustomerSelector(email=written))
    assert found.customer.customer_id == first.customer_id


@pytest.mark.parametrize(
    "written",
    [
        "+886 912 000 001",
        "00886912000001",
        "0912000001",
        "0912-000-001",
        "８８６９１２０００００１",
        "０９１２０００００１",
    ],
)
async def test_a_whatsapp_number_is_one_identity_however_it_is_written(
    segment: Segment, written: str
) -> None:
    def key(number: str) -> customer_pb2.IdentityKey:
        return customer_pb2.IdentityKey(
            channel=channel_pb2.CHANNEL_WHATSAPP, account_id=str(segment.team_id), external_id=number
        )

    customer_id = await segment.create(member_id="1")
    bound = await segment.call("BindIdentity", customer_id=customer_id, identity=key(written))
    assert bound.customer.identities[0].key.external_id == "886912000001"
    results = await segment.record(
        segment.event("e1", contact_blocked={"identity": key("886912000001")}),
        segment.event("e2", contact_added={"identity": key(written)}),
        segment.event("e3", message_received={"identity": key(written), "text": "hello"}),
        segment.order("e4", "o1", who={"identity": key(written)}),
    )
    assert {(each.status, each.customer_id) for each in results} == {(ACCEPTED, customer_id)}
    selector = customer_pb2.CustomerSelector(identity=key(written))
    assert (await segment.call("FindCustomer", selector=selector)).customer.customer_id == customer_id
    other = customer_pb2.Customer(member_id="1", identities=[customer_pb2.Identity(key=key(written))])
    upserted = await segment.call("UpsertCustomer", customer=other)
    assert [each.key.external_id for each in upserted.customer.identities] == ["886912000001"]
    unbound = await segment.call("UnbindIdentity", customer_id=customer_id, identity=key(written))
    assert not unbound.customer.identities


async def test_a_whatsapp_number_that_nobody_can_read_is_told(segment: Segment) -> None:
    key = customer_pb2.IdentityKey(
        channel=channel_pb2.CHANNEL_WHATSAPP, account_id=str(segment.team_id), external_id="012"
    )
    (result,) = await segment.record(segment.event("e1", contact_added={"identity": key}))
    assert result.status == event_pb2.EVENT_STATUS_REFUSED
    assert "contact_added.identity.external_id must be a phone number with its country" in result.message


@pytest.mark.parametrize("ahead", [timedelta(days=3650), timedelta(days=2)])
async def test_what_is_said_to_lie_ahead_happens_when_it_is_received(
    segment: Segment, ahead: timedelta
) -> None:
    now = segment.clock.now()
    event = segment.order("e1", "o1", who={"member_id": "42"}, at=now + ahead)
    (result,) = await segment.record(event)
    times = (await segment.customer(result.customer_id)).times
    assert abs(times.checkout_time.ToDatetime(now.tzinfo) - now) < timedelta(minutes=5)
    (again,) = await segment.record(event)
    assert again.status == event_pb2.EVENT_STATUS_DUPLICATE


async def test_an_order_below_zero_of_a_known_customer_is_taken(segment: Segment) -> None:
    event = segment.order("e1", "o1", -100, who={"member_id": "42"})
    event.order_completed.items.add(name="Candy", quantity="-1")
    (result,) = await segment.record(event)
    assert result.status == ACCEPTED
    (order,) = [
        fact for fact in (await segment.call("ListFacts")).facts if fact.HasField("checkout_completed")
    ]
    assert order.checkout_completed.amount.amount_micros == -100_000_000


@pytest.mark.rule("S-01e")
async def test_a_known_customer_gains_what_they_lack_and_keeps_what_they_have(segment: Segment) -> None:
    joined = segment.event("e1", contact_added={"identity": identity(LINE_USER, channel=1)})
    (first,) = await segment.record(joined)
    said = segment.event(
        "e2",
        message_received={"identity": identity(LINE_USER, channel=1), "text": "hello"},
        who={"phone": "0912-345-678", "email": "mei@example.com"},
        customer_name="Mei",
    )
    (second,) = await segment.record(said)
    assert second.customer_id == first.customer_id
    known = await segment.customer(first.customer_id)
    assert (known.name, known.phone, known.email) == ("Mei", PHONE, "mei@example.com")
    other = {"phone": "0987-654-321", "email": "other@example.com", "member_id": "42"}
    again = segment.event(
        "e3",
        message_received={"identity": identity(LINE_USER, channel=1)},
        who=other,
        customer_name="Somebody else",
    )
    await segment.record(again)
    known = await segment.customer(first.customer_id)
    assert (known.name, known.phone, known.email, known.member_id) == ("Mei", PHONE, "mei@example.com", "42")


@pytest.mark.rule("S-01e")
async def test_later_reports_of_an_order_or_refund_that_counts_tell_more_of_its_customer(
    segment: Segment,
) -> None:
    (first,) = await segment.record(segment.order("e1", "o1", who={"member_id": "42"}))
    more = {"member_id": "42", "phone": PHONE}
    (again,) = await segment.record(segment.order("e2", "o1", who=more, customer_name="Mei"))
    assert (again.status, again.customer_id) == (event_pb2.EVENT_STATUS_DUPLICATE, first.customer_id)
    back = segment.refund("e3", "r1", 10, refund={"order_id": "o1"}, who={"email": "mei@example.com"})
    await segment.record(back)
    known = await segment.customer(first.customer_id)
    assert (known.name, known.phone, known.email) == ("Mei", PHONE, "mei@example.com")
    stranger = segment.order("e4", "o1", who={"member_id": "43", "email": "x@example.com"})
    await segment.record(stranger)
    unsigned = segment.order("e5", "o2", who={"member_id": "50"}, order={"signed": False})
    await segment.record(unsigned)
    assert (await segment.customer(first.customer_id)).email == "mei@example.com"


@pytest.mark.rule("S-01d")
async def test_five_hundred_tags_are_the_most_on_every_way_in(segment: Segment) -> None:
    customer_id = await segment.create(member_id="1", tags=[f"t{number}" for number in range(500)])
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await segment.call("ChangeCustomerTags", customer_id=customer_id, add=["one more"])
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    customer = customer_pb2.Customer(member_id="1", tags=["one more"])
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await segment.call("UpsertCustomer", customer=customer)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    change = segment.change(customer_id, tags={"add": ["one more"]})
    (result,) = await segment.apply(change)
    assert error_reason_pb2.ErrorReason.Name(result.reason) == "ERROR_REASON_CUSTOMER_LIMIT_REACHED"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await segment.create(member_id="2", tags=[f"t{number}" for number in range(501)])
    assert refused.value.code() in {grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT}
    assert len((await segment.customer(customer_id)).tags) == 500
