"""Bodies of shop platforms, read leniently and put into the form of our own shop events, whose rules judge them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from libs.common.hints import Reason
from libs.common.money import MoneyError, parse_micros
from services.channel_gateway.domain.json_faults import Fault
from services.channel_gateway.domain.json_items import without_broken_text
from services.channel_gateway.domain.shop_events import (
    EVENT_ID_LENGTH_MAX,
    TEXT_LENGTH_MAX_OF_ID,
    EventFaultError,
    ShopReport,
    judged,
)

Json = dict[str, Any]
REMEDY: Final = "send the body as the platform does"
DIGITS_MAX: Final = 6
"""Digits behind the point of an amount. A number that has more has them from its arithmetic, and is rounded."""
_NUMBER_LENGTH_MAX: Final = 60
_WHOLE_DIGITS_MAX: Final = 20
"""Before the point: more than any amount has, and few enough that a sum is exact."""
NAME_LENGTH_MAX: Final = 500
"""Of a line's name."""
_NUMBERED: Final = re.compile(r"[0-9]{1,6}", re.ASCII)
_PLACE: Final = re.compile(r"\[(\d+|\.\.\.)\]")


class Number(str):
    """A number as it was written: ids keep every digit, and amounts are no floats."""

    __slots__ = ()


class Said(NamedTuple):
    """What a platform says, in our form; None for what is not of our kind."""

    event: Json | None
    names: Mapping[str, str] = {}
    """Where the platform has what we name: paths of ours, with `[]` for any place, to those of the body."""
    event_id: str = ""
    """Of what is not of our kind."""
    fault: Fault | None = None
    """Of what is, and cannot be put into our form; its path is the platform's."""


def read_body(body: bytes) -> Any:
    """The JSON of a body, every number a `Number`. Raises EventFaultError."""
    try:
        text = without_broken_text(body).decode()
        return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise EventFaultError("the body is no JSON", REMEDY) from None


def read_object(body: bytes) -> Json:
    """The same, of a body that is one object. Raises EventFaultError."""
    read = read_body(body)
    if not isinstance(read, dict):
        raise EventFaultError("the body is no JSON object", REMEDY)
    return read


def report_of(said: Said) -> ShopReport:
    """What our rules make of it: faults and what is left out are told by the platform's own paths."""
    if said.event is None:
        return ShopReport(said.event_id[:EVENT_ID_LENGTH_MAX], None, said.fault)
    report = judged(json.dumps(said.event).encode())
    fault = report.fault and report.fault._replace(field=_theirs(report.fault.field, said.names))
    left_out = tuple(each._replace(field=_theirs(each.field, said.names)) for each in report.left_out)
    return report._replace(fault=fault, left_out=left_out)


def refused(event_id: str, field: str, message: str, remedy: str) -> ShopReport:
    """An item that cannot be put into our form."""
    return ShopReport(event_id[:EVENT_ID_LENGTH_MAX], None, Fault(field, Reason.MALFORMED, message, remedy))


def plain(value: Any) -> Any:
    """An amount or a quantity as plain decimal text; what is none stays, and is judged."""
    if not isinstance(value, Number):
        return value
    amount = _decimal(value)
    if amount is None:
        return str(value)
    text = f"{round(amount, DIGITS_MAX):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def micros_in(value: Any) -> int | None:
    """An amount that can be reckoned with, read as our own rules read it; None for what is none."""
    text = plain(value)
    try:
        return parse_micros(text) if isinstance(text, str) else None
    except MoneyError:
        return None


def currency_of(value: Any) -> Any:
    """A currency's code in capitals, as ISO 4217 has it; what is no text stays, and is judged."""
    return value.strip().upper() if isinstance(value, str) else value


def part_of(body: Any, *path: str) -> Any:
    """What stands at a path; None where there is nothing."""
    for key in path:
        body = body.get(key) if isinstance(body, dict) else None
    return body


def list_of(body: Any, key: str) -> Sequence[Any]:
    """A list; empty where there is none. PHP writes one with gaps as an object whose keys are the places."""
    found = part_of(body, key)
    if isinstance(found, dict) and found and all(map(_NUMBERED.fullmatch, found)):
        return list(found.values())
    return found if isinstance(found, list) else ()


def entries_of(body: Any, key: str) -> Sequence[Any]:
    """The same of what must not be passed over: what stands in the place of a list is its one entry."""
    found = part_of(body, key)
    return list_of(body, key) or (() if found in (None, [], {}) else (found,))


def first(*values: Any) -> Any:
    """The first that says something."""
    return next((value for value in values if value not in (None, "")), None)


def text_of(value: Any) -> Any:
    """An id as text; what is neither text nor number stays, and is judged."""
    return str(value) if isinstance(value, str) else value


def utc_of(time: Any) -> Any:
    """A time without a zone is one of UTC, whichever sign stands between day and hour; what is no text stays."""
    if not isinstance(time, str):
        return time
    day, _, clock = time.strip().replace(" ", "T", 1).partition("T")
    if not clock or clock[-1:] in "zZ" or "+" in clock or "-" in clock:
        return time
    return f"{day}T{clock}Z"


def short(value: Any) -> Any:
    """A text that an order can do without; none where it is longer than is kept, or no text."""
    text = text_of(value)
    return text if isinstance(text, str) and len(text) <= TEXT_LENGTH_MAX_OF_ID else None


def name_of(*given: Any) -> Any:
    """The first that is a text, as far as names of lines are kept."""
    found = first(*(each for each in given if isinstance(each, str)))
    return None if found is None else str(found)[:NAME_LENGTH_MAX]


def joined_name(person: Any, given: str, family: str) -> str:
    """A name from its two parts."""
    parts = (part_of(person, given), part_of(person, family))
    return " ".join(part for part in parts if isinstance(part, str) and part)


def noted(notes: Sequence[Any], key: str, *names: str) -> Any:
    """What was noted under one of the names in a list of `{key: …, "value": …}`."""
    found = (note.get("value") for note in notes if isinstance(note, dict) and note.get(key) in names)
    return next((value for value in found if isinstance(value, str) and value), None)


def event_id_of(*parts: Any) -> str:
    """An id made of what an event is about, as far as it is told, cut to the length that ids have."""
    text = ":".join(str(part) for part in parts if part is not None)
    if len(text) <= EVENT_ID_LENGTH_MAX:
        return text
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=32).hexdigest()


def without_gaps(event: Json) -> Json:
    """The same without what is not said."""
    return {key: value for key, value in event.items() if value is not None}


def _decimal(text: str) -> Decimal | None:
    if len(text) > _NUMBER_LENGTH_MAX:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount.adjusted() <= _WHOLE_DIGITS_MAX else None


def _theirs(path: str, names: Mapping[str, str]) -> str:
    """A path of ours as the platform has it; the nearest that it has."""
    places = iter(_PLACE.findall(path))
    ours = _PLACE.sub("[]", path)
    while ours and ours not in names:
        ours = ours.rpartition(".")[0]
    theirs = names.get(ours, "")
    return re.sub(r"\[\]", lambda _: f"[{next(places, '...')}]", theirs)


def _no_number(text: str) -> Any:
    raise ValueError(text)
