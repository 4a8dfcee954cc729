"""Customers as lists name them, and what is told when their basic data change."""

from __future__ import annotations

from omnijourney.common.v1 import channel_pb2
from omnijourney.segment.v1 import customer_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb
from tests.integration.segment.conftest import ACCOUNT, Segment


async def found(segment: Segment, *hints: pb.CustomerHints) -> list[pb.FoundCustomer]:
    return list((await segment.call("BatchFindCustomers", items=hints)).found)


async def test_a_line_is_found_by_member_id_then_email_then_phone(segment: Segment) -> None:
    member = await segment.create(member_id="M-1", email="one@example.com", phone="+886900000001")
    mailed = await segment.create(email="Two@Example.com", phone="+886900000002")
    key = customer_pb2.IdentityKey(
        channel=channel_pb2.CHANNEL_WHATSAPP, account_id=ACCOUNT, external_id="886900000002"
    )
    await segment.call("BindIdentity", customer_id=mailed, identity=key)
    answers = await found(
        segment,
        pb.CustomerHints(member_id="m-1", email="two@example.com"),
        pb.CustomerHints(member_id="m-9", email="two@EXAMPLE.com", phone="+886900000001"),
        pb.CustomerHints(member_id="m-9", email="one@example.com"),
        pb.CustomerHints(phone="+886900000001"),
        pb.CustomerHints(phone="0900000001"),
        pb.CustomerHints(member_id="\x00"),
        pb.CustomerHints(),
    )
    assert [answer.customer_id for answer in answers] == [member, mailed, "", member, member, "", ""]
    assert [list(answer.channels) for answer in answers[:2]] == [[], [channel_pb2.CHANNEL_WHATSAPP]]
    assert not any(answer.ambiguous for answer in answers)


async def test_a_line_that_several_share_is_ambiguous(segment: Segment) -> None:
    for _ in range(3):
        await segment.create(phone="+886900000003", email="family@example.com")
    member = await segment.create(phone="+886900000003", member_id="M-3")
    answers = await found(
        segment,
        pb.CustomerHints(phone="+886900000003"),
        pb.CustomerHints(email="family@example.com"),
        pb.CustomerHints(member_id="M-3", phone="+886900000003"),
    )
    assert [(answer.customer_id, answer.ambiguous) for answer in answers] == [
        ("", True),
        ("", True),
        (member, False),
    ]


async def test_changed_basic_data_are_told_without_their_values(segment: Segment) -> None:
    customer = await segment.create(name="Ann", phone="+886900000004")
    changed = customer_pb2.Customer(customer_id=customer, name="Anna", phone="+886900000004", email="a@b.c")
    await segment.call("UpdateCustomer", customer=changed)
    await segment.call("UpdateCustomer", customer=changed)
    told = [fact for fact in await segment.facts() if fact.WhichOneof("fact") == "customer_changed"]
    assert [list(fact.customer_changed.fields) for fact in told] == [["name", "email"]]
