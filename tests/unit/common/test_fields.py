"""Checks of a request's fields."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from libs.common.errors import InvalidArgument
from libs.common.rpc.fields import FieldCheck
from omnijourney.channel_gateway.v1.channel_gateway_service_pb2 import (
    ListDeliveriesRequest,
    ListMessageChargesRequest,
)
from omnijourney.common.v1 import installation_service_pb2 as pb
from omnijourney.points.v1.points_service_pb2 import CheckLedgerRequest
from omnijourney.segment.v1.segment_service_pb2 import ListAuditEntriesRequest


def test_sound_fields_are_read() -> None:
    check = FieldCheck()
    team = UUID(int=5)
    request = pb.SetClockRequest()
    request.domain_time.FromDatetime(datetime(2017, 12, 1, tzinfo=UTC))
    assert check.uuid("team_id", str(team)) == team
    assert check.optional_uuid("shop_id", "") is None
    assert check.text("name", "x" * 10, length_max=10) == "x" * 10
    assert check.text("note", "", length_max=10, length_min=0) == ""
    assert check.whole("points", 1, least=1, most=1) == 1
    assert check.time("domain_time", request, "domain_time") == datetime(2017, 12, 1, tzinfo=UTC)
    check.count("events", [1], most=1)
    check.done()


def test_every_fault_is_told_at_once() -> None:
    check = FieldCheck()
    request = pb.SetClockRequest()
    check.time("absent", request, "domain_time")
    request.domain_time.seconds = 1 << 62
    check.time("beyond", request, "domain_time")
    request.domain_time.seconds = -1
    check.time("before 1970", request, "domain_time")
    request.domain_time.FromJsonString("9999-01-01T00:00:00Z")
    check.time("after 9998", request, "domain_time")
    check.uuid("team_id", "")
    check.uuid("customer_id", "x")
    check.text("name", " ", length_max=5)
    check.text("long", "123456", length_max=5)
    check.text("short", "1", length_max=5, length_min=2)
    check.whole("points", 0, least=1, most=9)
    check.count("events", [1, 2], most=1)
    with pytest.raises(InvalidArgument) as caught:
        check.done()
    assert caught.value.reason == "INVALID_FIELDS"
    assert {violation.field: violation.description for violation in caught.value.violations} == {
        "absent": "is required",
        "beyond": "must be a time in the years 1970 to 9998",
        "before 1970": "must be a time in the years 1970 to 9998",
        "after 9998": "must be a time in the years 1970 to 9998",
        "team_id": "is required",
        "customer_id": "must be a UUID",
        "name": "is required",
        "long": "must have at most 5 characters",
        "short": "must have at least 2 characters",
        "points": "must be 1 to 9",
        "events": "must have 0 to 1 items, has 2",
    }


@pytest.mark.rule("X-06")
@pytest.mark.parametrize(
    ("given", "kept"), [("Spring", "Spring"), ("  Spring ", "Spring"), ("Spr\u200bing\ufeff", "Spring")]
)
def test_a_name_is_kept_as_it_is_seen(given: str, kept: str) -> None:
    check = FieldCheck()
    assert check.name("name", given, length_max=6) == kept
    check.done()


@pytest.mark.parametrize(
    ("odd", "fault"),
    [
        ("", "is required"),
        (" \u200b", "is required"),
        ("\u3164", "is required"),
        ("\u2800\u202e", "is required"),
        ("a\nb", "must not hold control characters"),
        ("\x1b[31m", "must not hold control characters"),
        ("longer", "must have at most 5 characters"),
    ],
)
def test_a_name_that_breaks_lists_or_shows_nothing_is_refused(odd: str, fault: str) -> None:
    check = FieldCheck()
    check.name("name", odd, length_max=5)
    assert [(each.field, each.description) for each in check.violations] == [("name", fault)]


def test_a_text_of_which_nothing_is_seen_is_none() -> None:
    check = FieldCheck()
    check.text("text", "\u200b\u2060", length_max=10)
    check.text("note", "\u200b", length_max=10, length_min=0)
    assert [each.field for each in check.violations] == ["text"]


@pytest.mark.rule("X-01d")
@pytest.mark.parametrize(
    "form", [ListDeliveriesRequest, ListMessageChargesRequest, ListAuditEntriesRequest, CheckLedgerRequest]
)
def test_a_range_that_holds_nothing_is_refused(form: Callable[[], Any]) -> None:
    begin, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
    for start_at, end_at in ((end, begin), (begin, begin)):
        request, check = form(), FieldCheck()
        request.start_time.FromDatetime(start_at)
        request.end_time.FromDatetime(end_at)
        check.range(request)
        assert [(each.field, each.description) for each in check.violations] == [
            ("end_time", "must be after start_time")
        ]
    request, check = form(), FieldCheck()
    assert check.range(request) == (None, None)
    request.end_time.FromDatetime(end)
    assert check.range(request) == (None, end)
    request.start_time.FromDatetime(begin)
    assert check.range(request) == (begin, end)
    check.done()
