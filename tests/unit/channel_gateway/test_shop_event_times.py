"""Times of shops' events: dates that another language left unset are refused by field, never taken."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.hints import Reason
from libs.common.ids import new_id
from services.channel_gateway.convert.events import customer_events
from services.channel_gateway.domain.inbox import InboxSource, StoredWebhook
from services.channel_gateway.domain.shop_events import parse


def body(occurred_at: str) -> bytes:
    event = {
        "event": "order.completed",
        "event_id": "1",
        "occurred_at": occurred_at,
        "order": {"id": "1", "currency": "TWD", "total": "1"},
    }
    return json.dumps([event]).encode()


@pytest.mark.parametrize(
    "occurred_at",
    [
        "0001-01-01T00:00:00+08:00",
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59-12:00",
        "9999-01-01T00:00:00Z",
    ],
)
def test_a_time_that_no_event_has_is_refused_by_its_field(occurred_at: str) -> None:
    ((_, event, fault, _),) = parse(body(occurred_at))[0]
    assert event is None
    assert fault is not None
    assert (fault.field, fault.reason) == ("occurred_at", Reason.OUT_OF_RANGE)
    assert "1970" in fault.message


@pytest.mark.parametrize("occurred_at", ["1970-01-01T00:00:00Z", "9998-12-31T23:59:59Z"])
def test_the_bounds_are_taken(occurred_at: str) -> None:
    (report,) = parse(body(occurred_at))[0]
    assert report.event is not None


def test_a_stored_body_with_such_a_time_is_set_aside_with_its_reason() -> None:
    # A release before this one stored such bodies.
    stored = StoredWebhook(
        1,
        new_id(),
        InboxSource.SHOP,
        "demo",
        "w-1",
        body("0001-01-01T00:00:00+08:00"),
        datetime(2026, 1, 1, tzinfo=UTC),
    )
    converted = customer_events(stored, timedelta(minutes=5))
    assert converted.events == []
    assert "occurred_at" in converted.fault
