"""What a report says of its customer: hints and a name, each usable or left out for a reason (S-01c).

One place for the edge, which tells what will be left out, and for segment, which leaves it out.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from libs.common.phones import read_phone
from libs.common.text import CONTROL, as_address, as_key, as_seen, trimmed

ID_LENGTH_MAX: Final = 200
"""Member ids, browser tokens, ids of shops, orders and refunds."""
NAME_LENGTH_MAX: Final = 200
EMAIL_LENGTH_MAX: Final = 320


class Reason(Enum):
    """Why something that was sent cannot be used; the value is for people."""

    MISSING = "is required"
    WRONG_TYPE = "has the wrong type"
    MALFORMED = "is malformed"
    UNREADABLE = "is no phone number that can be read"
    TOO_LONG = "is too long"
    OUT_OF_RANGE = "is out of range"
    CONTROL_CHARACTERS = "must not hold control characters"
    TOO_FAR_AHEAD = "lies too far ahead: the time of receipt counts"


def line_fault(text: str, length_max: int) -> Reason | None:
    """What is wrong with a text that has to be one line; None for a good one, blank ones included."""
    if len(text) > length_max:
        return Reason.TOO_LONG
    return None if text.isprintable() or CONTROL.search(text) is None else Reason.CONTROL_CHARACTERS


def read_id(text: str) -> str | Reason:
    """A member id or token; empty where it is blank."""
    found = as_key(text)
    return line_fault(found, ID_LENGTH_MAX) or found


def read_click(text: str) -> str | Reason:
    """The id of an opening of a link, as it is; empty where there is none."""
    return line_fault(text, ID_LENGTH_MAX) or text


def read_name(text: str) -> str | Reason:
    """A name; empty where it is blank."""
    found = as_seen(text)
    return line_fault(found, NAME_LENGTH_MAX) or found


def read_email(text: str) -> str | Reason:
    """An e-mail address; empty where it is blank."""
    found = as_address(text)
    if not found:
        return found
    return line_fault(found, EMAIL_LENGTH_MAX) or (found if is_email(found) else Reason.MALFORMED)


def is_email(text: str) -> bool:
    """Whether it is one address, with something on both sides of its @ and nothing within that separates several."""
    name, _, domain = text.rpartition("@")
    return (
        bool(name and domain)
        and "@" not in name
        and not any(each.isspace() or each in ",;<>" for each in text)
    )


def read_phone_hint(text: str, country: str) -> str | Reason:
    """A phone number in E.164; empty where it is blank."""
    if not trimmed(text):
        return ""
    return read_phone(text, country) or Reason.UNREADABLE
