"""Times of changes and events: a date left unset is refused with the item, which holds back no other."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from libs.common.ids import new_id
from libs.common.rpc.values import timestamp
from omnijourney.internal.v1 import change_pb2
from omnijourney.segment.v1 import event_pb2
from services.segment.convert.events import read_change, read_event
from services.segment.domain.model import Change
from services.segment.domain.results import ChangeResult, ChangeStatus, EventResult

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
UNSET = Timestamp(seconds=-62_135_596_800)
"""Year 1: what Go and .NET send for a time that nobody set."""


def mark(at: Timestamp, occurred: Timestamp) -> change_pb2.Change:
    return change_pb2.Change(
        team_id=str(new_id()),
        customer_id=str(new_id()),
        effect_key=str(new_id()),
        occur_time=occurred,
        mark_marketed=change_pb2.MarketedChange(at=at),
    )


def test_a_change_of_an_unset_time_is_refused() -> None:
    now = timestamp(NOW)
    assert isinstance(read_change(mark(now, now)), Change)
    for message in (mark(UNSET, now), mark(now, UNSET)):
        result = read_change(message)
        assert isinstance(result, ChangeResult)
        assert result.status is ChangeStatus.REFUSED


def test_an_event_of_an_unset_time_is_refused_by_field() -> None:
    message = event_pb2.CustomerEvent(team_id=str(new_id()), event_key="e", occur_time=UNSET)
    message.customer.member_id = "42"
    message.customer_interacted.SetInParent()
    result, _ = read_event(message, {})
    assert isinstance(result, EventResult)
    assert "occur_time" in result.message
