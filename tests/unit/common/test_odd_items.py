"""Odd values in any field of an item of a batch that is judged by item: that item is refused, and nothing raises."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from google.protobuf.descriptor import Descriptor

from libs.common.ids import new_id
from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import money_pb2
from omnijourney.internal.v1 import change_pb2, postings_pb2, send_pb2, sends_service_pb2
from omnijourney.segment.v1 import event_pb2
from services.channel_gateway.convert.deliveries import sends_of
from services.channel_gateway.domain.model import Send
from services.points.convert.ledger import postings
from services.points.domain.model import Posting
from services.segment.convert.events import read_change, read_event
from services.segment.domain.model import Change, Event
from tests.unit.common.test_odd_requests import Setter, leaves

NOW: Final = timestamp(datetime(2026, 3, 4, 12, tzinfo=UTC))
MONEY: Final = money_pb2.Money(currency_code="TWD", amount_micros=1)


def _event() -> event_pb2.CustomerEvent:
    event = event_pb2.CustomerEvent(team_id=str(new_id()), event_key="e", occur_time=NOW)
    event.order_completed.MergeFrom(event_pb2.OrderCompleted(shop_id="s", order_id="o", amount=MONEY))
    event.customer.member_id = "42"
    return event


def _change() -> change_pb2.Change:
    ids: dict[str, Any] = {name: str(new_id()) for name in ("effect_key", "team_id", "customer_id")}
    return change_pb2.Change(**ids, occur_time=NOW, tags=change_pb2.TagChange(add=["a"]))


def _posting() -> postings_pb2.Posting:
    ids: dict[str, Any] = {name: str(new_id()) for name in ("key", "team_id", "customer_id")}
    earn = postings_pb2.EarnPosting(order_key=str(new_id()), shop_id="s", order_id="o", amount=MONEY)
    return postings_pb2.Posting(**ids, occur_time=NOW, earn=earn)


def _send() -> send_pb2.Send:
    names = ("effect_key", "team_id", "customer_id", "enrolment_id", "journey_id", "bot_module_id")
    ids: dict[str, Any] = {name: str(new_id()) for name in names}
    return send_pb2.Send(**ids, node_id="n", channel=1, not_after=NOW)  # type: ignore[arg-type]


ITEMS: Final[dict[str, tuple[Callable[[], Any], Callable[[Any], bool]]]] = {
    "RecordEvents": (_event, lambda item: isinstance(read_event(item, {}).event, Event)),
    "ApplyChanges": (_change, lambda item: isinstance(read_change(item), Change)),
    "PostEntries": (_posting, lambda item: isinstance(postings([item])[0], Posting)),
    "SendMessages": (
        _send,
        lambda item: isinstance(sends_of(sends_service_pb2.SendMessagesRequest(sends=[item]))[0], Send),
    ),
}
"""A sound item, and whether one is taken."""
LEFT_OUT: Final = frozenset(
    {
        *("customer_name", "customer.phone", "customer.email", "customer.member_id"),
        *("customer.browser_token", "order_completed.click_id"),
    }
)
"""Of an event: a hint that cannot be used is left out, and the rest is taken."""


def _fields() -> list[tuple[str, str, Setter]]:
    found = []
    for name, (make, _) in ITEMS.items():
        form: Descriptor = make().DESCRIPTOR
        found += [(name, path, make_odd) for path, make_odd in leaves(form) if path not in LEFT_OUT]
    return found


@pytest.mark.rule("X-01d", "C-20d")
@pytest.mark.parametrize(("name", "path", "make_odd"), _fields())
def test_an_odd_item_is_refused_by_itself(name: str, path: str, make_odd: Setter) -> None:
    make, is_taken = ITEMS[name]
    item = make()
    assert is_taken(item)
    make_odd(item)
    assert not is_taken(item), path
