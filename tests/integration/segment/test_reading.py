"""Lists, profiles, history, and what is not served yet."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest

from libs.common.ids import new_id
from libs.common.mailbox.mail import decode
from libs.common.rpc.errors import remote_error
from libs.common.rpc.values import duration, timestamp
from omnijourney.common.v1 import history_pb2
from omnijourney.internal.v1 import profile_pb2
from omnijourney.segment.v1 import attribute_pb2, team_pb2
from omnijourney.segment.v1 import history_pb2 as facts_pb2
from tests.integration.segment.conftest import Segment, identity


async def test_settings_come_in_order_with_defaults(segment: Segment) -> None:
    other = new_id()
    rates = [{"currency_code": "HKD", "rate": "4.10"}]
    await segment.create_team(
        other, modules=[1, 2], attribution_window=duration(timedelta(days=1)), currency_rates=rates
    )
    missing = str(new_id())
    response = await segment.call(
        "BatchGetTeamSettings", team_ids=[str(other), missing, str(segment.team_id)]
    )
    first, absent, mine = response.settings
    assert (first.team_id, list(first.modules)) == (
        str(other),
        [team_pb2.MODULE_JOURNEYS, team_pb2.MODULE_POINTS],
    )
    assert first.currency_rates[0].rate == "4.1"
    assert absent.team_id == ""
    assert mine.attribution_window.ToTimedelta() == timedelta(days=7)
    assert list(mine.points_channels) == [2]
    teams = await segment.call("ListTeams")
    assert {team.team_id for team in teams.teams} == {str(other), str(segment.team_id)}


async def test_a_team_is_checked_and_changed_by_parts(segment: Segment) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await segment.call("CreateTeam", team={"settings": {"modules": [1, 9]}})
    (unknown,) = remote_error(error.value).violations
    assert unknown.field == "team.settings.modules[1]"
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await segment.call(
            "CreateTeam",
            team={
                "team_id": str(UUID(int=0)),
                "name": " ",
                "settings": {"time_zone": "Mars", "currency_code": "x", "modules": [1, 1]},
            },
        )
    assert {violation.field for violation in remote_error(error.value).violations} == {
        "team.team_id",
        "team.name",
        "team.settings.time_zone",
        "team.settings.currency_code",
        "team.settings.modules[1]",
    }
    team = {"settings": {"modules": [2]}}
    changed = await segment.call("UpdateTeam", team=team, etag="1")
    assert changed.team.settings.time_zone == "Asia/Taipei"
    assert list(changed.team.settings.modules) == [2]
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await segment.call("UpdateTeam", team=team, etag="1")
    assert remote_error(error.value).reason == "ETAG_MISMATCH"
    cleared = await segment.call("UpdateTeam", update_mask={"paths": ["settings.modules"]})
    assert list(cleared.team.settings.modules) == []
    assert cleared.team.name == "Team"


async def test_customers_are_listed_by_pages_and_keyword(segment: Segment) -> None:
    ids = [await segment.create(member_id=f"m{number}", name=f"Customer {number}") for number in range(5)]
    found: list[str] = []
    token = ""
    while True:
        page = await segment.call("ListCustomers", page_size=2, page_token=token)
        found += [customer.customer_id for customer in page.customers]
        token = page.next_page_token
        if not token:
            break
    assert found == sorted(ids)
    page = await segment.call("ListCustomers", keyword="CUSTOMER 3")
    assert [customer.customer_id for customer in page.customers] == [ids[3]]
    page = await segment.call("ListCustomers", keyword=" \u200bcustomer 3\u3000")
    assert [customer.customer_id for customer in page.customers] == [ids[3]]
    blank = await segment.call("ListCustomers", keyword="\u3000")
    assert len(blank.customers) == len(ids)
    first = await segment.call("ListCustomers", page_size=2)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await segment.call("ListCustomers", page_size=2, keyword="x", page_token=first.next_page_token)
    assert remote_error(error.value).reason == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize("written", ["0912-345-678", "０９１２３４５６７８", "+886 912 345 678", "912345678"])
async def test_a_phone_number_is_found_as_people_of_the_country_write_it(
    segment: Segment, written: str
) -> None:
    one = await segment.create(member_id="m", phone="+886912345678")
    other = await segment.create(member_id="0912345678" if written.startswith("０") else "n")
    found = (await segment.call("ListCustomers", keyword=written)).customers
    wanted = {one, other} if written.startswith("０") else {one}
    assert {each.customer_id for each in found} == wanted, "a member id that reads the same is found as well"


@pytest.mark.parametrize("newest_first", [False, True])
async def test_a_customers_facts_are_listed_from_either_end_and_by_pages(
    segment: Segment, newest_first: bool
) -> None:
    """Facts that are no mail (who became known) among them; those of others are not passed by."""
    one, other = [await segment.create(member_id=text) for text in "ab"]
    for number in range(4):
        segment.clock.advance(timedelta(hours=1))
        for customer_id in (one, other):
            await segment.call("ChangeCustomerTags", customer_id=customer_id, add=[str(number)])
    # Told late: what happened first is not what was recorded first.
    early = segment.order("e", "o", who={"customer_id": one}, at=segment.clock.now() - timedelta(hours=2))
    await segment.record(early)
    whole = await segment.facts()
    for customer_id in (one, ""):
        wanted = sorted(
            (fact for fact in whole if fact.customer_id == one or not customer_id),
            key=lambda fact: (fact.occur_time.ToNanoseconds(), fact.partition, fact.position),
            reverse=newest_first,
        )
        found: list[Any] = []
        token = ""
        while True:
            page = await segment.call(
                "ListFacts",
                customer_id=customer_id,
                page_size=2,
                page_token=token,
                newest_first=newest_first,
            )
            assert len(page.facts) <= 2
            found += page.facts
            if not (token := page.next_page_token):
                break
        assert found == wanted
        kinds = [fact.WhichOneof("fact") for fact in found if fact.customer_id == one]
        assert sorted(set(kinds)) == ["checkout_completed", "customer_created", "tag_applied"]
    first = await segment.call("ListFacts", customer_id=one, page_size=2, newest_first=newest_first)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await segment.call(
            "ListFacts", customer_id=one, page_token=first.next_page_token, newest_first=not newest_first
        )
    assert remote_error(refused.value).reason == "PAGE_TOKEN_INVALID"


async def test_profiles_come_in_order(segment: Segment) -> None:
    await segment.define("tier", "TEXT")
    customer_id = await segment.create(
        name="Mei", tags=["b", "a"], attributes={"tier": "gold"}, identities=[{"key": identity("1")}]
    )
    items = [{"team_id": str(segment.team_id), "customer_id": each} for each in (str(new_id()), customer_id)]
    missing, mei = (await segment.call("BatchGetProfiles", items=items)).profiles
    assert not missing.found
    assert (mei.found, mei.name, mei.attributes["tier"], mei.identities[0].key.external_id) == (
        True,
        "Mei",
        "gold",
        "1",
    )
    tags = await segment.call("ListTags")
    assert [(tag.tag, tag.customer_count) for tag in tags.tags] == [("a", 1), ("b", 1)]


async def test_profiles_hold_the_parts_that_are_asked_for(segment: Segment) -> None:
    await segment.define("tier", "TEXT")
    customer_id = await segment.create(
        name="Mei",
        phone="+886912345678",
        tags=["a"],
        attributes={"tier": "gold"},
        identities=[{"key": identity("1")}],
    )
    await segment.apply(segment.change(customer_id, mark_marketed={"at": timestamp(segment.clock.now())}))
    items = [{"team_id": str(segment.team_id), "customer_id": customer_id}]

    async def told(*parts: int) -> set[str]:
        (profile,) = (await segment.call("BatchGetProfiles", items=items, parts=parts)).profiles
        return {field.name for field, _ in profile.ListFields()} - {"found", "team_id", "customer_id"}

    assert await told(profile_pb2.PROFILE_PART_BASICS) == {"name", "phone"}
    assert await told(profile_pb2.PROFILE_PART_TAGS) == {"tags"}
    assert await told(profile_pb2.PROFILE_PART_ATTRIBUTES) == {"attributes"}
    assert await told(profile_pb2.PROFILE_PART_IDENTITIES) == {"identities"}
    assert await told(profile_pb2.PROFILE_PART_TIMES) == {"times"}
    assert await told() == {"name", "phone", "tags", "attributes", "identities", "times"}
    with pytest.raises(grpc.aio.AioRpcError):
        await told(99)


async def test_a_feed_of_some_kinds_moves_beyond_all_others(segment: Segment) -> None:
    reports = [segment.order(f"e{n}", f"o{n}", who={"member_id": f"m{n}"}) for n in range(20)]
    reports += [segment.order(f"a{n}", f"a{n}") for n in range(5)]  # nobody knows whose
    await segment.record(*reports, segment.order("more", "o0", who={"member_id": "m0"}, items=["Tea"]))
    kinds = [facts_pb2.FACT_KIND_ORDER_AMENDED, facts_pb2.FACT_KIND_ORDER_STORED]
    page = await segment.feed(kinds=kinds, page_size=2)
    found: list[int] = []
    while True:
        found += [row.kind for row in page.rows]
        following = await segment.feed(page.cursors, kinds=kinds, page_size=2)
        if following.cursors == page.cursors:
            break
        page = following
    assert Counter(found) == {
        facts_pb2.FACT_KIND_ORDER_AMENDED: 1,
        facts_pb2.FACT_KIND_ORDER_STORED: 5,
    }
    everything = await segment.facts()
    heads = {fact.partition: fact.position for fact in everything}
    assert {partition: at for partition, at in page.cursors.items() if at} == heads
    waiting = asyncio.create_task(
        segment.feed(
            page.cursors, kinds=[facts_pb2.FACT_KIND_TAG_APPLIED], wait=duration(timedelta(seconds=20))
        )
    )
    await asyncio.sleep(0.15)
    customer_id = await segment.create(tags=["a"])
    told = await asyncio.wait_for(waiting, 20)
    assert [(row.customer, row.kind) for row in told.rows] == [
        (UUID(customer_id).bytes, facts_pb2.FACT_KIND_TAG_APPLIED)
    ]


async def test_what_became_of_an_attribute_is_told(segment: Segment) -> None:
    await segment.define("size", "TEXT")
    changed = attribute_pb2.Attribute(key="size", type=attribute_pb2.ATTRIBUTE_TYPE_NUMBER)
    await segment.call("UpdateAttribute", attribute=changed, update_mask={"paths": ["type"]})
    await segment.call("ArchiveAttribute", key="size")
    await segment.call("RestoreAttribute", key="size")
    page = await segment.feed(kinds=[facts_pb2.FACT_KIND_ATTRIBUTE_DEFINED])
    assert [(row.attribute, row.archived, row.retyped) for row in page.rows] == [
        ("size", False, False),
        ("size", False, True),
        ("size", True, False),
        ("size", False, False),
    ]


async def test_the_history_is_read_by_cursors_and_waits_for_news(segment: Segment) -> None:
    await segment.record(*(segment.order(f"e{n}", f"o{n}", who={"member_id": f"m{n}"}) for n in range(30)))
    seen = 0
    page = await segment.feed(page_size=7)
    while page.rows:
        seen += len(page.rows)
        page = await segment.feed(page.cursors, page_size=7)
    assert seen == 60
    waiting = asyncio.create_task(segment.feed(page.cursors, wait=duration(timedelta(seconds=20))))
    await asyncio.sleep(0.05)
    await segment.record(segment.order("late", "late"))
    page = await asyncio.wait_for(waiting, 20)
    assert [row.kind for row in page.rows] == [facts_pb2.FACT_KIND_ORDER_STORED]


async def test_facts_of_a_team_are_listed_by_time(segment: Segment) -> None:
    start = segment.clock.now()
    reports = [
        segment.order(f"e{n}", f"o{n}", n, at=start - timedelta(hours=n), who={"member_id": "1"})
        for n in range(6)
    ]
    (result, *_rest) = await segment.record(*reports)
    found: list[int] = []
    token = ""
    while True:
        page = await segment.call(
            "ListFacts",
            customer_id=result.customer_id,
            start_time=timestamp(start - timedelta(hours=4)),
            end_time=timestamp(start),
            page_size=3,
            page_token=token,
        )
        found += [fact.checkout_completed.amount.amount_micros // 1_000_000 for fact in page.facts]
        token = page.next_page_token
        if not token:
            break
    assert found == [4, 3, 2, 1]


async def test_requests_are_answered_once(segment: Segment) -> None:
    request_id = segment.request_id()
    first = await segment.call("CreateCustomer", customer={"member_id": "1"}, request_id=request_id)
    again = await segment.call("CreateCustomer", customer={"member_id": "1"}, request_id=request_id)
    assert again == first
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await segment.call("CreateCustomer", customer={"member_id": "2"}, request_id=request_id)
    assert remote_error(error.value).reason == "REQUEST_ID_REUSED"


async def test_mail_of_a_partition_is_found_behind_other_facts(segment: Segment) -> None:
    """Facts that are no mail neither end a page nor hide what comes after them."""
    (first,) = await segment.record(segment.order("e0", "o0", who={"member_id": "1"}))
    (partition,) = {fact.partition for fact in await segment.facts()}
    unsigned = [
        segment.order(f"u{number}", f"u{number}", who={"member_id": "1"}, order={"signed": False})
        for number in range(20)
    ]
    await segment.record(*unsigned, segment.order("e1", "o1", who={"member_id": "1"}))
    numbers: list[int] = []
    position = 0
    while True:
        cursor = history_pb2.HistoryCursor(partition=partition, after_position=position)
        response = await segment.call("ListMail", partition=cursor, page_size=2)
        numbers += [decode(mail).number for mail in response.mails]
        if len(response.mails) < 2:
            break
        position = decode(response.mails[-1]).position
    assert numbers == [letter.number for letter in await segment.mail(first.customer_id)] == [1, 2]
