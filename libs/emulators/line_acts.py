"""What people do on LINE, as the platform tells it: https://developers.line.biz/en/reference/messaging-api/#webhooks"""

from collections.abc import Callable, Iterable
from typing import Any

from libs.emulators.base import parse_time
from libs.emulators.journal import Record
from libs.emulators.line_insight import day_of

Act = dict[str, Any]
"""`{"kind", "user_id", "text"?, "data"?, "unblocked"?, "timestamp"?}`, the time in milliseconds."""


def event_of(act: Act, number: int, now_ms: int) -> dict[str, Any]:
    """The event of an act; `number` is new with each. Raises ValueError for an act that there is not."""
    own = _OWN.get(act["kind"])
    if own is None:
        raise ValueError(f"kind is one of {', '.join(_OWN)}")
    event: dict[str, Any] = {
        "type": act["kind"],
        "mode": "active",
        "timestamp": int(act.get("timestamp", now_ms)),
        "source": {"type": "user", "userId": str(act["user_id"])},
        "webhookEventId": f"01{number:024d}",
        "deliveryContext": {"isRedelivery": False},
    }
    if act["kind"] != "unfollow":
        event["replyToken"] = f"reply{number:032d}"
    return event | own(act, number)


def again(payload: dict[str, Any]) -> dict[str, Any]:
    """The same webhook, as it is sent again."""
    events = [{**event, "deliveryContext": {"isRedelivery": True}} for event in payload["events"]]
    return {**payload, "events": events}


def _message(act: Act, number: int) -> dict[str, Any]:
    text = {"id": str(number), "type": "text", "quoteToken": f"q{number}", "text": str(act.get("text", "hi"))}
    return {"message": text}


_OWN: dict[str, Callable[[Act, int], dict[str, Any]]] = {
    "follow": lambda act, _: {"follow": {"isUnblocked": bool(act.get("unblocked", False))}},
    "unfollow": lambda _act, _: {},
    "message": _message,
    "postback": lambda act, _: {"postback": {"data": str(act.get("data", ""))}},
}
"""What each kind of event has of its own."""


def seen_by(
    people: set[str], records: Iterable[Record], url: str
) -> list[tuple[str, str, str, str, int, str]]:
    """What people see of accepted messages: channel, unit, day, person, count of bubbles, and an address that they
    open. Who is no friend sees nothing."""
    return [
        (
            record["account"],
            unit,
            day_of(parse_time(record["accepted_at"])).isoformat(),
            record["recipient"],
            len(record["body"]["messages"]),
            url,
        )
        for record in records
        if record["recipient"] in people and record["billed"]
        for unit in record["body"].get("customAggregationUnits", ())
    ]
