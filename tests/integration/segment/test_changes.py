"""Effects of journeys and people's edits: what they change, and what they tell."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import combinations
from typing import Any

import grpc
import pytest

from libs.common.audience.expressions import AttributeType
from libs.common.ids import new_id
from libs.common.mailbox import mail as letters
from libs.common.rpc.errors import remote_error
from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import error_reason_pb2
from omnijourney.internal.v1 import change_pb2
from omnijourney.segment.v1 import customer_pb2
from tests.integration.segment.conftest import ACCOUNT, Segment, identity

APPLIED = change_pb2.CHANGE_STATUS_APPLIED
UNCHANGED = change_pb2.CHANGE_STATUS_UNCHANGED
REFUSED = change_pb2.CHANGE_STATUS_REFUSED


@pytest.mark.rule("J-22b", "J-33", "S-05b")
async def test_tags_tell_real_changes_only(segment: Segment) -> None:
    customer_id = await segment.create(tags=["Old"])
    first, second, third = await segment.apply(
        segment.change(customer_id, tags={"add": ["vip", "VIP"], "remove": ["old"]}, depth=3),
        segment.change(customer_id, tags={"add": ["Vip"], "remove": ["never"]}),
        segment.change(customer_id, tags={"remove": ["VIP"]}, depth=4),
    )
    assert [first.status, second.status, third.status] == [APPLIED, UNCHANGED, APPLIED]
    bodies = [(letter.depth, letter.body) for letter in await segment.mail(customer_id)]
    assert bodies == [
        (0, letters.TagApplied("Old")),
        (3, letters.TagApplied("vip")),
        (3, letters.TagRemoved("Old")),
        (4, letters.TagRemoved("vip")),
    ]
    assert list((await segment.customer(customer_id)).tags) == []


@pytest.mark.rule("J-26c")
async def test_who_is_made_quietly_is_told_with_mail_that_starts_nothing(segment: Segment) -> None:
    await segment.define("tier", "TEXT")
    brought: dict[str, Any] = {"tags": ["vip"], "attributes": {"tier": "gold"}}
    unasked = {"identities": [{"key": identity("1")}], **brought}
    quiet = (await segment.call("CreateCustomer", customer=unasked)).customer.customer_id
    heard = await segment.create(identities=[{"key": identity("2")}], **brought)
    assert [(each.number, each.body) for each in await segment.mail(quiet)] == [
        (number, letters.ProfileChanged()) for number in (1, 2, 3)
    ]
    assert {type(each.body) for each in await segment.mail(heard)} == {
        letters.TagApplied,
        letters.AttributeChanged,
        letters.ContactAdded,
    }
    await segment.apply(segment.change(quiet, tags={"add": ["new"]}))
    assert (await segment.mail(quiet))[-1].body == letters.TagApplied("new")


async def test_an_effect_is_applied_once(segment: Segment) -> None:
    customer_id = await segment.create()
    key = new_id()
    change = segment.change(customer_id, key, tags={"add": ["a"]})
    (first,) = await segment.apply(change)
    (again,) = await segment.apply(change)
    (other,) = await segment.apply(segment.change(customer_id, key, tags={"add": ["b"]}))
    assert (first.status, first.replayed) == (APPLIED, False)
    assert (again.status, again.replayed) == (APPLIED, True)
    assert other.reason == error_reason_pb2.ERROR_REASON_EFFECT_KEY_REUSED
    results = await asyncio.gather(
        *(segment.apply(segment.change(customer_id, key, tags={"add": ["a"]})) for _ in range(10))
    )
    assert {result[0].status for result in results} == {APPLIED}
    assert len(await segment.mail(customer_id)) == 1


@pytest.mark.rule("J-23b")
async def test_a_text_attribute_is_set_and_told(segment: Segment) -> None:
    await segment.define("tier", "TEXT")
    customer_id = await segment.create(attributes={"tier": "gold"})
    platinum = {"key": "tier", "text": "platinum"}
    first, again = await segment.apply(
        segment.change(customer_id, set_attribute=platinum, depth=2),
        segment.change(customer_id, set_attribute=platinum),
    )
    assert (first.status, again.status) == (APPLIED, UNCHANGED)
    told = [(letter.depth, letter.body) for letter in await segment.mail(customer_id)]
    assert told == [
        (0, letters.AttributeChanged("tier", AttributeType.TEXT, None, "gold")),
        (2, letters.AttributeChanged("tier", AttributeType.TEXT, "gold", "platinum")),
    ]


async def test_attributes_that_cannot_be_set_are_refused(segment: Segment) -> None:
    customer_id = await segment.create()
    await segment.define("age", "NUMBER")
    await segment.define("gone", "TEXT")
    await segment.call("ArchiveAttribute", key="gone")
    results = await segment.apply(
        *(
            segment.change(customer_id, set_attribute={"key": key, "text": "x"})
            for key in ("age", "gone", "missing")
        )
    )
    assert {result.status for result in results} == {REFUSED}
    assert {result.reason for result in results} == {error_reason_pb2.ERROR_REASON_ATTRIBUTE_UNAVAILABLE}
    unknown = segment.change(str(new_id()), tags={"add": ["a"]})
    both = segment.change(customer_id, tags={"add": ["a"], "remove": ["A"]})
    nobody, overlapping = await segment.apply(unknown, both)
    assert nobody.reason == error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND
    assert overlapping.reason == error_reason_pb2.ERROR_REASON_INVALID_FIELDS


async def test_marketed_only_moves_on(segment: Segment) -> None:
    customer_id = await segment.create()
    at = segment.clock.now()
    later, earlier = await segment.apply(
        segment.change(customer_id, mark_marketed={"at": timestamp(at)}),
        segment.change(customer_id, mark_marketed={"at": timestamp(at - timedelta(days=1))}),
    )
    assert (later.status, earlier.status) == (APPLIED, UNCHANGED)
    assert (await segment.customer(customer_id)).times.marketed_time.ToDatetime(tzinfo=at.tzinfo) == at


async def test_marks_may_come_again_in_any_order_and_from_all_sides(segment: Segment) -> None:
    customers = [await segment.create() for _ in range(3)]
    start = segment.clock.now()
    segment.clock.advance(timedelta(days=10))
    facts = len(await segment.facts())

    def marks(days: int) -> list[change_pb2.Change]:
        at = timestamp(start + timedelta(days=days))
        return [segment.change(each, mark_marketed={"at": at}) for each in (*customers, str(new_id()))]

    first = await segment.apply(*marks(0))
    again = await segment.apply(*marks(0))
    assert [each.status for each in first] == [APPLIED, APPLIED, APPLIED, REFUSED]
    assert [each.status for each in again] == [UNCHANGED, UNCHANGED, UNCHANGED, REFUSED]
    assert again[-1].reason == error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND
    tags = [segment.change(each, tags={"add": ["a"]}) for each in customers]
    await asyncio.gather(*(segment.apply(*marks(days), *tags[:1]) for days in (3, 1, 4, 1, 5, 2)))
    for each in customers:
        marketed = (await segment.customer(each)).times.marketed_time
        assert marketed.ToDatetime(tzinfo=start.tzinfo) == start + timedelta(days=5)
    assert len(await segment.facts()) == facts + 1


@pytest.mark.rule("S-01a")
async def test_a_change_of_a_definition_is_told_at_once(segment: Segment) -> None:
    await segment.define("tier", "TEXT")
    customer_id = await segment.create(attributes={"tier": "gold"})
    await segment.call("ArchiveAttribute", key="tier")
    await segment.call("ArchiveAttribute", key="tier")
    await segment.call("RestoreAttribute", key="tier")
    assert (await segment.customer(customer_id)).attributes["tier"] == "gold"
    await segment.call("UpdateAttribute", attribute={"key": "tier", "type": 2})
    told = [f.attribute_defined for f in await segment.facts() if f.WhichOneof("fact") == "attribute_defined"]
    assert [(t.key, t.type, t.state, t.old_type) for t in told] == [
        ("tier", 1, 1, 0),
        ("tier", 1, 2, 1),
        ("tier", 1, 1, 1),
        ("tier", 2, 1, 1),
    ]
    assert dict((await segment.customer(customer_id)).attributes) == {}
    answer = await segment.call(
        "BatchGetAttributes", items=[{"team_id": str(segment.team_id), "key": key} for key in ("tier", "no")]
    )
    assert [attribute.key for attribute in answer.attributes] == ["tier", ""]


@pytest.mark.rule("S-01a")
async def test_a_customer_holds_all_kinds_of_data(segment: Segment) -> None:
    for key, kind in {"t": "TEXT", "n": "NUMBER", "d": "DATE", "b": "BOOLEAN"}.items():
        await segment.define(key, kind)
    values = {"t": "Ｘ", "n": "007.50", "d": "2026-02-28", "b": "true"}
    customer_id = await segment.create(
        member_id="1", name="Mei", tags=["a"], attributes=values, identities=[{"key": identity("1")}]
    )
    customer = await segment.customer(customer_id)
    assert dict(customer.attributes) == {"t": "Ｘ", "n": "7.5", "d": "2026-02-28", "b": "true"}
    assert customer.identities[0].key.account_id == ACCOUNT
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await segment.call(
            "SetCustomerAttributes",
            customer_id=customer_id,
            values={"n": "many", "d": "2026-02-30", "b": "yes"},
        )
    faults = {violation.field for violation in remote_error(error.value).violations}
    assert faults == {"attributes[n]", "attributes[d]", "attributes[b]"}
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await segment.create(member_id="１")
    assert remote_error(error.value).reason == "DUPLICATE_VALUE"
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await segment.define("t", "NUMBER")
    assert error.value.code() == grpc.StatusCode.ALREADY_EXISTS
    cleared = await segment.call(
        "SetCustomerAttributes", customer_id=customer_id, values={"n": "8"}, clear=["t"]
    )
    assert dict(cleared.customer.attributes) == {"n": "8", "d": "2026-02-28", "b": "true"}


@pytest.mark.rule("S-05b")
async def test_every_write_tells_one_event_per_real_change(segment: Segment) -> None:
    await segment.define("tier", "TEXT")
    upserted = await segment.call(
        "UpsertCustomer",
        triggers=True,
        customer={
            "member_id": "1",
            "tags": ["a"],
            "attributes": {"tier": "x"},
            "identities": [{"key": identity("1")}],
        },
    )
    customer_id = upserted.customer.customer_id
    assert upserted.created
    before = await segment.mail(customer_id)
    assert [type(letter.body).__name__ for letter in before] == [
        "TagApplied",
        "AttributeChanged",
        "ContactAdded",
    ]
    again = await segment.call(
        "UpsertCustomer",
        triggers=True,
        customer={
            "member_id": "1",
            "name": "Mei",
            "tags": ["A"],
            "attributes": {"tier": "x"},
            "identities": [{"key": identity("1")}],
        },
    )
    assert (again.created, again.customer.name) == (False, "Mei")
    await segment.call("ChangeCustomerTags", customer_id=customer_id, add=["a"], remove=["none"])
    await segment.call("SetCustomerAttributes", customer_id=customer_id, values={"tier": "x"})
    bound = await segment.call("BindIdentity", customer_id=customer_id, identity=identity("1"))
    assert not bound.bound
    renamed = await segment.mail(customer_id)
    assert renamed[:-1] == before
    assert renamed[-1].body == letters.ProfileChanged()

    await segment.call("ChangeCustomerTags", customer_id=customer_id, add=["b"], remove=["a"])
    await segment.call("SetCustomerAttributes", customer_id=customer_id, clear=["tier"])
    await segment.call("UnbindIdentity", customer_id=customer_id, identity=identity("1"))
    await segment.call("BindIdentity", customer_id=customer_id, identity=identity("1"))
    after = [letter.body for letter in await segment.mail(customer_id, after=len(renamed))]
    assert [type(body).__name__ for body in after] == [
        "TagApplied",
        "TagRemoved",
        "AttributeChanged",
        "ProfileChanged",
        "ContactAdded",
    ]


async def test_an_identity_has_one_customer(segment: Segment) -> None:
    mine = await segment.create(identities=[{"key": identity("1")}])
    other = await segment.create()
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await segment.call("BindIdentity", customer_id=other, identity=identity("1"))
    told = remote_error(error.value)
    assert (told.reason, told.metadata["customer_id"]) == ("IDENTITY_TAKEN", mine)
    response = await segment.call(
        "BatchBindIdentities",
        bindings=[
            {"customer_id": other, "identity": identity("1")},
            {"customer_id": other, "identity": identity("2")},
            {"customer_id": str(new_id()), "identity": identity("3")},
        ],
    )
    assert [result.bound for result in response.results] == [False, True, False]
    assert response.results[0].reason == error_reason_pb2.ERROR_REASON_IDENTITY_TAKEN


async def test_a_faulty_item_of_a_batch_spoils_no_other(segment: Segment) -> None:
    invalid = error_reason_pb2.ERROR_REASON_INVALID_FIELDS
    customers = [{"name": "a\0b"}, {"member_id": "1"}, {"phone": "12", "attributes": {"x": "\0"}}]
    created = (await segment.call("BatchCreateCustomers", customers=customers)).results
    assert [(result.reason, bool(result.customer_id)) for result in created] == [
        (invalid, False),
        (0, True),
        (invalid, False),
    ]
    assert "customers[0].name" in created[0].message
    customer_id = created[1].customer_id
    bindings = [
        {"customer_id": "nobody", "identity": identity("1")},
        {"customer_id": customer_id, "identity": identity("a\0b")},
        {"customer_id": customer_id, "identity": {"channel": 99, "account_id": "1", "external_id": "2"}},
        {"customer_id": customer_id, "identity": identity("2")},
    ]
    bound = (await segment.call("BatchBindIdentities", bindings=bindings)).results
    assert [(result.bound, result.reason) for result in bound] == [(False, invalid)] * 3 + [(True, 0)]


@pytest.mark.parametrize("name", ["BatchCreateCustomers", "BatchBindIdentities"])
async def test_what_stands_beside_the_items_of_a_batch_is_checked(segment: Segment, name: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await segment.call(name, team_id="team", request_id="a\0b")
    violations = {violation.field for violation in remote_error(error.value).violations}
    assert violations == {"team_id", "request_id"}


async def test_customers_are_created_in_batches(segment: Segment) -> None:
    taken = await segment.create(member_id="2")
    request_id = segment.request_id()
    customers = [
        {"member_id": "1", "phone": "+447000000001"},
        {"member_id": "2"},
        {"attributes": {"no": "x"}},
    ]
    response = await segment.call("BatchCreateCustomers", customers=customers, request_id=request_id)
    created, duplicate, unknown = response.results
    assert created.customer_id
    assert created.reason == 0
    assert (duplicate.customer_id, duplicate.reason) == (taken, error_reason_pb2.ERROR_REASON_DUPLICATE_VALUE)
    assert unknown.reason == error_reason_pb2.ERROR_REASON_ATTRIBUTE_UNAVAILABLE
    again = await segment.call("BatchCreateCustomers", customers=customers, request_id=request_id)
    assert again == response


async def test_basic_data_changes_under_an_etag(segment: Segment) -> None:
    customer_id = await segment.create(member_id="1", name="Old", phone="+447000000001")
    etag = (await segment.customer(customer_id)).etag
    changed = await segment.call(
        "UpdateCustomer",
        customer={"customer_id": customer_id, "name": "New"},
        etag=etag,
    )
    assert (changed.customer.name, changed.customer.phone) == ("New", "+447000000001")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await segment.call(
            "UpdateCustomer", customer={"customer_id": customer_id, "name": "Newer"}, etag=etag
        )
    assert error.value.code() == grpc.StatusCode.ABORTED
    named = {"paths": ["name"]}
    cleared = await segment.call("UpdateCustomer", customer={"customer_id": customer_id}, update_mask=named)
    assert (cleared.customer.name, cleared.customer.member_id) == ("", "1")
    await segment.create(member_id="2")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await segment.call("UpdateCustomer", customer={"customer_id": customer_id, "member_id": "2"})
    assert remote_error(error.value).reason == "DUPLICATE_VALUE"
    found = await segment.call("FindCustomer", selector={"phone": "+447000000001"})
    assert found.customer.customer_id == customer_id


BASIC = ("member_id", "name", "phone", "email")


def basic(customer: customer_pb2.Customer) -> dict[str, str]:
    return {field: getattr(customer, field) for field in BASIC}


@pytest.mark.rule("S-05a")
async def test_each_write_changes_what_it_names_and_clears_nothing_else(segment: Segment) -> None:
    await segment.define("tier", "TEXT")
    await segment.define("size", "TEXT")
    expected = {"member_id": "M-0", "name": "Ann", "phone": "+886912000000", "email": "a0@example.com"}
    customer_id = await segment.create(**expected, tags=["a"], attributes={"tier": "x"})

    async def person() -> customer_pb2.Customer:
        return await segment.customer(customer_id)

    subsets = [each for size in range(len(BASIC) + 1) for each in combinations(BASIC, size)]
    for number, fields in enumerate(subsets, 1):
        new = {
            "member_id": f"M-{number}",
            "name": f"Ann {number}",
            "phone": f"+8869120000{number:02}",
            "email": f"a{number}@example.com",
        }
        sent = {field: new[field] for field in fields}
        await segment.call("UpdateCustomer", customer={"customer_id": customer_id, **sent})
        expected |= sent
        assert basic(await person()) == expected, fields
    for fields in subsets:
        sent = {field: f"{expected[field]}.tw" for field in fields if field in {"name", "email"}}
        await segment.call("UpsertCustomer", customer={"member_id": expected["member_id"], **sent})
        expected |= sent
        assert basic(await person()) == expected, fields
    cleared = {"customer": {"customer_id": customer_id}, "update_mask": {"paths": ["email"]}}
    await segment.call("UpdateCustomer", **cleared)
    assert basic(await person()) == {**expected, "email": ""}, (
        "what the mask names and nothing gives is cleared"
    )

    whole = {"tags": ["a"], "attributes": {"tier": "x"}, "identities": []}

    async def has(**changes: Any) -> None:
        nonlocal whole
        whole |= changes
        found = await person()
        assert {
            "tags": sorted(found.tags),
            "attributes": dict(found.attributes),
            "identities": [each.key.external_id for each in found.identities],
        } == whole

    await segment.call("ChangeCustomerTags", customer_id=customer_id, add=["b", "c"], remove=["none"])
    await has(tags=["a", "b", "c"])
    await segment.call("ChangeCustomerTags", customer_id=customer_id, remove=["A", "c"])
    await has(tags=["b"])
    await segment.call("SetCustomerAttributes", customer_id=customer_id, values={"size": "m"})
    await has(attributes={"tier": "x", "size": "m"})
    await segment.call("SetCustomerAttributes", customer_id=customer_id, values={"tier": "y"}, clear=["size"])
    await has(attributes={"tier": "y"})
    await segment.call("BindIdentity", customer_id=customer_id, identity=identity("1"))
    await has(identities=["1"])
    await segment.call(
        "UpsertCustomer",
        customer={"member_id": expected["member_id"], "tags": ["d"], "attributes": {"size": "l"}},
    )
    await has(tags=["b", "d"], attributes={"tier": "y", "size": "l"})
    await segment.call("UnbindIdentity", customer_id=customer_id, identity=identity("1"))
    await has(identities=[])
    assert basic(await person()) == {**expected, "email": ""}
