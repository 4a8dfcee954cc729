"""What a JSON decoder says in one line, taken apart for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from libs.common.hints import Reason

_AT: Final = re.compile(r" - at `([^`]*)`$")
_EXPECTED: Final = re.compile(r"Expected `([^`]+)`(?:, got `(\w+)`)?(?: of length (<=|>=) (\d+))?")
_FIELD: Final = re.compile(r"Object missing required field `([^`]+)`")
_BYTE: Final = re.compile(r"\(byte (\d+)\)$")
_INDEX: Final = re.compile(r"\[(\d+|\.\.\.)\]")
_KINDS: Final = {
    "str": "a string",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "datetime": "a time as a string",
    "null": "null",
}


class Fault(NamedTuple):
    """What an event is refused for."""

    field: str
    """Path within the event; empty for the event as a whole."""
    reason: Reason
    message: str
    remedy: str


def fault_of(error: Exception, forms: Mapping[str, str]) -> Fault:
    """Of a `DecodeError`, a `UnicodeDecodeError` or a `RecursionError`. `forms` has what to send instead, by path,
    `[]` for any place of a list."""
    if isinstance(error, msgspec.ValidationError):
        return _invalid(str(error), forms)
    if isinstance(error, RecursionError):
        return Fault("", Reason.MALFORMED, "is nested too deep", "leave out what is nested so deep")
    byte = _BYTE.search(str(error))
    message = f"is no JSON at its byte {byte[1]}" if byte else "is no JSON"
    return Fault("", Reason.MALFORMED, message, forms[""])


def _invalid(text: str, forms: Mapping[str, str]) -> Fault:
    path = _AT.search(text)
    field = path[1].removeprefix("$").removeprefix(".") if path else ""
    message = _AT.sub("", text)
    missing = _FIELD.match(message)
    if missing:
        field = _joined(field, missing[1])
        return Fault(field, Reason.MISSING, Reason.MISSING.value, _form(field, forms))
    return Fault(field, *_said(message), _form(field, forms))


def _form(field: str, forms: Mapping[str, str]) -> str:
    return forms[_INDEX.sub("[]", field)]


def _said(message: str) -> tuple[Reason, str]:
    """Why, and how it is said of the field."""
    if "timezone" in message:
        return Reason.MALFORMED, "has no time zone"
    if "RFC3339" in message:
        return Reason.MALFORMED, "is no time that can be read"
    expected = _EXPECTED.search(message)
    if expected is None:
        return Reason.MALFORMED, "is none of the values there are" if "enum" in message else "is malformed"
    kind, got, bound, length = expected.groups()
    if bound == "<=":
        return Reason.TOO_LONG, f"has more than {length} {'items' if 'array' in kind else 'characters'}"
    if bound:
        return Reason.MISSING, "is empty"
    wanted = " or ".join(_KINDS.get(each, each) for each in kind.split(" | "))
    return Reason.WRONG_TYPE, f"must be {wanted}" + (f", not {_KINDS.get(got, got)}" if got else "")


def _joined(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field
