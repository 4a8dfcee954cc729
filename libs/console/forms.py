"""Forms: what they sent, and what is said where a service refuses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import grpc

from libs.console.faults import STATUSES, Faults, sentence_of
from libs.console.visits import Visit
from omnijourney.client import CallError

_PAGES_OF_THEIR_OWN: Final = frozenset(
    {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED}
)


async def texts_of(visit: Visit) -> dict[str, str]:
    """The fields of a form, files left out; the first where a name stands several times. With the `request_id` of the
    page that showed it, so that a form that is sent twice is done once."""
    given: dict[str, str] = {}
    for name, value in (await visit.form()).items():
        if isinstance(value, str):
            given.setdefault(name, value)
    given["request_id"] = given.get("request_id") or visit.request_id
    return given


def refusal(visit: Visit, error: CallError, names: Mapping[str, str]) -> Faults:
    """The faults of a form that was refused, `names` as in `Faults.of`. Raises the error where it is not the form's."""
    if error.code in _PAGES_OF_THEIR_OWN:
        raise error
    whole = "" if error.violations else visit.say(sentence_of(error))
    return Faults.of(error, names, say=visit.say, whole=whole)


def status_of(error: CallError) -> int:
    """How a refused form is answered."""
    return STATUSES.get(error.code, 500)


def number_of(text: str) -> int:
    """A whole number of a form, up to 18 digits; 0 for what is none, which the contracts refuse where one is needed."""
    text = text.strip()
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else 0
