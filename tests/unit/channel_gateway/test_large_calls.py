"""Events that are large together go in several calls; none is lost and the order stays."""

from omnijourney.segment.v1 import event_pb2
from services.channel_gateway.clients.services import CALL_BYTES_MAX, _calls


def event(key: str, size: int) -> event_pb2.CustomerEvent:
    return event_pb2.CustomerEvent(event_key=key, customer_name="x" * size)


def test_forty_large_orders_go_in_calls_that_fit() -> None:
    events = [event(str(number), 900_000) for number in range(40)]
    calls = list(_calls(events))
    assert [each for call in calls for each in call] == events
    assert all(sum(each.ByteSize() for each in call) <= CALL_BYTES_MAX for call in calls)
    assert len(calls) == 10


def test_an_event_larger_than_a_call_goes_alone() -> None:
    events = [event("small", 1), event("huge", CALL_BYTES_MAX), event("next", 1)]
    assert [[each.event_key for each in call] for call in _calls(events)] == [["small"], ["huge"], ["next"]]


def test_small_events_share_a_call_and_none_make_none() -> None:
    assert len(list(_calls([event(str(number), 10) for number in range(500)]))) == 1
    assert list(_calls([])) == []
