"""What decided a condition of a journey, in words: what the customer had, predicate by predicate."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import zip_longest
from typing import Final

from libs.common.rpc.values import timestamp
from libs.console.audiences.conditions import SUBJECTS
from libs.console.languages import noted
from libs.console.visits import Visit

_SUBJECTS: Final[Mapping[str, str]] = dict(SUBJECTS)
_TEXTS: Final[Mapping[str, str]] = {"MEMBER_ID": "member_id", "PHONE": "phone", "EMAIL": "email"}
_TIMES: Final[Mapping[str, str]] = {
    "CUSTOMER_INTERACTED": "customer_time",
    "TEAM_INTERACTED": "team_time",
    "MARKETED": "marketing_time",
    "CHECKOUT": "checkout_time",
}
_SAID: Final[Mapping[str, str]] = {
    "none of them": noted("none of them"),
    "is set": noted("has a value"),
    "is not set": noted("has no value"),
    "never": noted("never"),
    "bound": noted("is bound"),
    "not bound": noted("is not bound"),
}
"""What the service says of a customer, and how it reads."""
_PART: Final = re.compile(
    r"(?:^|; )(?:(?:all_of\.items\[\d+\]|any_of\.items\[\d+\]|negation|saved_audience)\.)*"
    r"(tags|attribute|basic|time|binding|points): "
)
"""Where what is said of the next predicate begins: by the path of the contract, since a value may have a semicolon."""


def decided(visit: Visit, seen: str, attributes: Mapping[str, str]) -> str:
    """`Step.seen` of a condition; `attributes` are names of attributes by key. What is not known stays as it is."""
    return "; ".join(_parts(visit, seen, attributes)) or seen


def _parts(visit: Visit, seen: str, attributes: Mapping[str, str]) -> Iterator[str]:
    found = list(_PART.finditer(seen))
    for part, following in zip_longest(found, found[1:]):
        end = following.start() if following is not None else len(seen)
        subject, value = _subject(visit, part[1], seen[part.end() : end], attributes)
        yield f"{subject}: {value}"


def _subject(visit: Visit, kind: str, said: str, attributes: Mapping[str, str]) -> tuple[str, str]:
    """What a predicate is about, and what the customer had there."""
    if kind == "attribute":
        key, equal, value = said.partition(" = ")
        if equal:
            return attributes.get(key, key), value
        key = said.removesuffix(" is not set")
        return attributes.get(key, key), _said(visit, said[len(key) :].strip())
    name, _, value = said.partition(" ")
    if kind == "basic" and name in _TEXTS:
        return visit.say(_SUBJECTS[_TEXTS[name]]), _said(visit, value)
    if kind == "time" and name in _TIMES:
        return visit.say(_SUBJECTS[_TIMES[name]]), _moment(visit, value)
    if kind == "points":
        return visit.say(noted("Points")), visit.formats.number(int(said)) if said.isdecimal() else said
    return visit.say(_SUBJECTS["tags" if kind == "tags" else "binding"]), _said(visit, said)


def _said(visit: Visit, said: str) -> str:
    return visit.say(_SAID[said]) if said in _SAID else said


def _moment(visit: Visit, said: str) -> str:
    try:
        return visit.formats.moment(timestamp(datetime.fromisoformat(said)))
    except ValueError:
        return _said(visit, said)
