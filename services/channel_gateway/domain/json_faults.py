"""What a JSON decoder says in one line, taken apart for people."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import msgspec

from libs.common.hints import Reason

_AT: Final = re.compile(r" - at `([^`]*)`$")
_EXPECTED: Final = re.compile(r"Expected `([^`]+)`")
_FIELD: Final = re.compile(r"Object missing required field `([^`]+)`")


class Fault(NamedTuple):
    """What an event is refused for."""

    field: str
    """Path within the event; empty for the event as a whole."""
    reason: Reason
    message: str
    remedy: str


def fault_of(error: Exception) -> Fault:
    """Of a `DecodeError`, a `UnicodeDecodeError` or a `RecursionError`."""
    if isinstance(error, msgspec.ValidationError):
        return _invalid(str(error))
    if isinstance(error, RecursionError):
        return Fault("", Reason.MALFORMED, "is nested too deep", "send the event as described")
    return Fault("", Reason.MALFORMED, "is no JSON in UTF-8", "send UTF-8 encoded JSON")


def _invalid(text: str) -> Fault:
    path = _AT.search(text)
    field = path[1].removeprefix("$").removeprefix(".") if path else ""
    message = _AT.sub("", text)
    missing = _FIELD.match(message)
    if missing:
        return Fault(_joined(field, missing[1]), Reason.MISSING, "is required", "send the field")
    expected = _EXPECTED.search(message)
    if expected is None:
        remedy = "see the webhook's description for the field"
        return Fault(field, Reason.MALFORMED, message, remedy)
    return Fault(field, _reason(message), message, f"send a value of the kind {expected[1]}")


def _reason(message: str) -> Reason:
    if "of length" not in message:
        return Reason.WRONG_TYPE
    return Reason.TOO_LONG if "<=" in message else Reason.MISSING


def _joined(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field
