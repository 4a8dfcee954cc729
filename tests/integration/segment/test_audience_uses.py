"""Saved audiences seen from elsewhere: who is in them, what they name, how they read."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from libs.common.ids import new_id
from libs.common.rpc.errors import remote_error
from tests.integration.segment.conftest import Segment

VIP = {"tags": {"operator": 1, "tags": ["ＶＩＰ", "gold"]}}
TIER = {"attribute": {"key": "tier", "text": {"operator": 1, "values": ["Gold"]}}}
MAILED = {"basic": {"field": 3, "is_set": {}}}


async def save(segment: Segment, name: str, audience: dict[str, Any]) -> str:
    """Saves an audience and returns its id."""
    made = await segment.call("CreateSavedAudience", saved_audience={"name": name, "audience": audience})
    return str(made.saved_audience.saved_audience_id)


async def names(segment: Segment, call: str, size: int = 0, **asked: Any) -> list[str]:
    """Of the audiences on all pages, sorted: those of one millisecond stand in any order."""
    found: list[str] = []
    token = ""
    while True:
        page = await segment.call(call, page_size=size, page_token=token, **asked)
        found += [each.name for each in page.saved_audiences]
        assert len(page.saved_audiences) <= (size or 50)
        token = page.next_page_token
        if not token:
            return sorted(found)


async def refused(segment: Segment, call: str, **asked: Any) -> tuple[grpc.StatusCode, list[str]]:
    """With which code, and the fields that are named."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await segment.call(call, **asked)
    violations = remote_error(error.value).violations
    return error.value.code(), [each.field for each in violations]


async def test_audiences_of_a_customer_and_audiences_naming_a_thing(with_points: tuple[Segment, Any]) -> None:
    segment, _ = with_points
    await segment.define("tier", "TEXT")
    mei = await segment.create(tags=["vip"], attributes={"tier": "gold"}, email="mei@example.com")
    tom = await segment.create()
    await save(segment, "vips", VIP)
    await save(segment, "not vips", {"negation": VIP})
    await save(segment, "gold", {"all_of": {"items": [TIER, MAILED]}})
    await save(segment, "poor", {"points": {"figure": 1, "operator": 3, "value": 5}})
    for size in (0, 1, 3):
        assert await names(segment, "ListCustomerAudiences", size, customer_id=mei) == [
            "gold",
            "poor",
            "vips",
        ]
        assert await names(segment, "ListReferringAudiences", size, tag="Vip") == ["not vips", "vips"]
    assert await names(segment, "ListCustomerAudiences", customer_id=tom) == ["not vips", "poor"]
    assert await names(segment, "ListReferringAudiences", attribute_key="tier") == ["gold"]
    assert await names(segment, "ListReferringAudiences", attribute_key="Tier") == []
    assert await names(segment, "ListReferringAudiences", tag="tier") == []
    await segment.call("ArchiveAttribute", key="tier")
    assert await names(segment, "ListCustomerAudiences", customer_id=mei) == ["poor", "vips"]
    gone = str(new_id())
    for call, asked in (
        ("ListCustomerAudiences", {"customer_id": gone}),
        ("ListReferringAudiences", {"tag": "vip", "team_id": gone}),
        ("DescribeAudience", {"audience": VIP, "team_id": gone}),
    ):
        assert (await refused(segment, call, **asked))[0] == grpc.StatusCode.NOT_FOUND
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    for things in ({}, {"tag": "a", "attribute_key": "b"}):
        assert await refused(segment, "ListReferringAudiences", **things) == (invalid, ["attribute_key"])


@pytest.mark.rule("S-03c")
async def test_an_audience_is_described_in_both_languages(segment: Segment) -> None:
    described = await segment.call("DescribeAudience", audience={"all_of": {"items": [VIP, TIER]}})
    assert described.text == 'has the tag "ＶＩＰ" or "gold" and tier is "Gold"'
    chinese = await segment.call("DescribeAudience", audience=TIER, language_code="zh-TW")
    assert chinese.text == "tier是「Gold」"
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    faulty = {"tags": {"operator": 1}}
    assert await refused(segment, "DescribeAudience", audience=faulty) == (invalid, ["audience.tags.tags"])
    other = await refused(segment, "DescribeAudience", audience=VIP, language_code="fr")
    assert other == (invalid, ["language_code"])
