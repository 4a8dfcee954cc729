"""Events that name two customers: the strongest hint wins, and the pair is listed once, whichever way it went."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
import pytest

from libs.common.ids import new_id
from omnijourney.segment.v1 import event_pb2, identity_conflict_pb2
from tests.integration.segment.conftest import Segment, identity
from tests.integration.segment.test_contact_imports import ended, faults

PHONE, OTHER_PHONE = "+886912345678", "+886912345679"
ACCEPTED = event_pb2.EVENT_STATUS_ACCEPTED


async def listed(segment: Segment, **asked: Any) -> list[identity_conflict_pb2.IdentityConflict]:
    """The pairs of the team, newest first."""
    return list((await segment.call("ListIdentityConflicts", **asked)).identity_conflicts)


async def told(segment: Segment, key: str, **who: Any) -> str:
    """Who an order is of."""
    (result,) = await segment.record(segment.order(key, f"order {key}", who=who))
    assert result.status == ACCEPTED
    return str(result.customer_id)


@pytest.mark.rule("S-05e")
async def test_the_strongest_hint_wins_and_the_pair_is_listed(segment: Segment) -> None:
    member = await segment.create(member_id="M-1", phone=OTHER_PHONE)
    caller = await segment.create(phone=PHONE)
    writer = await segment.create(member_id="M-3", email="a@example.com")
    assert await told(segment, "e1", member_id="M-1", phone=PHONE) == member
    assert await told(segment, "e2", member_id="M-1", phone=PHONE) == member
    assert await told(segment, "e3", phone=PHONE, email="A@example.com") == caller
    assert await told(segment, "e4", email="a@example.com", phone=PHONE) == caller
    assert await told(segment, "e5", customer_id=writer, phone=PHONE) == writer
    found = {
        (each.customer_id, each.other_customer_id, each.matched_field, each.other_matched_field)
        for each in await listed(segment)
    }
    assert found == {(caller, writer, "phone", "email"), (member, caller, "member_id", "phone")}
    assert len(await listed(segment)) == 2


async def test_who_is_named_by_id_by_an_identity_or_by_a_browser_is_named(segment: Segment) -> None:
    caller, other = (
        await segment.create(phone=PHONE),
        await segment.create(member_id="M-1", phone=OTHER_PHONE),
    )
    added = event_pb2.ContactAdded(identity=identity("1"))
    await segment.record(segment.event("e1", contact_added=added, who={"customer_id": other, "phone": PHONE}))
    pairs = [(each.matched_field, each.other_matched_field) for each in await listed(segment)]
    assert pairs == [("customer_id", "phone")]
    third = await told(segment, "e2", member_id="M-2", browser_token="t")
    received = event_pb2.MessageReceived(identity=identity("1"))
    await segment.record(segment.event("e3", message_received=received, who={"member_id": "M-2"}))
    assert {(each.customer_id, each.other_customer_id) for each in await listed(segment)} == {
        (other, caller),
        (other, third),
    }
    # Many people share a browser: a weaker word than an address or a phone.
    fourth = await told(segment, "e4", member_id="M-4", browser_token="t")
    assert fourth not in {third, other}
    assert len(await listed(segment)) == 2


async def test_a_pair_that_is_two_people_stays_settled(segment: Segment) -> None:
    await segment.create(member_id="M-1", phone=OTHER_PHONE)
    await segment.create(phone=PHONE)
    await told(segment, "e1", member_id="M-1", phone=PHONE)
    (conflict,) = await listed(segment)
    assert not conflict.resolved
    asked = {"identity_conflict_id": conflict.identity_conflict_id, "request_id": "once"}
    for _ in range(2):
        settled = await segment.call("ResolveIdentityConflict", **asked)
        assert settled.identity_conflict.resolved
    await told(segment, "e2", member_id="M-1", phone=PHONE)
    assert [each.resolved for each in await listed(segment)] == [True]


async def test_pairs_are_of_one_team_and_come_in_pages(segment: Segment) -> None:
    for number in range(3):
        await segment.create(member_id=f"M-{number}")
        await segment.create(phone=f"+88691234560{number}")
        await told(segment, f"e{number}", member_id=f"M-{number}", phone=f"+88691234560{number}")
    seen, token = [], ""
    for _ in range(3):
        page = await segment.call("ListIdentityConflicts", page_size=1, page_token=token)
        seen += [each.identity_conflict_id for each in page.identity_conflicts]
        token = page.next_page_token
    assert token == ""
    assert seen == [each.identity_conflict_id for each in await listed(segment)]
    other = new_id()
    await segment.create_team(other)
    assert await listed(segment, team_id=str(other)) == []
    for asked in (
        {"identity_conflict_id": seen[0], "team_id": str(other)},
        {"identity_conflict_id": str(new_id())},
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await segment.call("ResolveIdentityConflict", **asked)
        assert refused.value.code() == grpc.StatusCode.NOT_FOUND


async def test_a_line_of_an_import_that_names_two_is_listed_as_an_event_is(segment: Segment) -> None:
    caller = await segment.create(phone=PHONE)
    segment.clock.advance(timedelta(seconds=1))
    # Whose phone becomes the same one; of several with a phone the oldest is found by it.
    member = await segment.create(member_id="M-1", phone=OTHER_PHONE)
    writer = await segment.create(email="a@example.com")
    lines = "M-1,0912-345-678,\nM-1,0912-345-678,\n,0912-345-678,A@example.com\nM-2,,b@example.com\n,,b@example.com\n"
    started = await segment.call(
        "StartContactImport", csv=f"Member ID,Phone,Email\n{lines}".encode(), file_name="people.csv"
    )
    done = await ended(segment, started.contact_import.contact_import_id)
    assert done.operation.refused_count == 0, await faults(segment, done)
    found = [
        (each.customer_id, each.other_customer_id, each.matched_field, each.other_matched_field)
        for each in await listed(segment)
    ]
    assert sorted(found) == sorted(
        [
            (member, caller, "member_id", "phone"),
            (caller, writer, "phone", "email"),
        ]
    )
