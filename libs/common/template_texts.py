"""What WhatsApp takes in the texts that fill a template: one look for whoever saves, shows or sends them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from libs.common.errors import FieldViolation
from libs.common.text import trimmed
from libs.common.text_variables import Variable, faults_in, parts_of

PARAMETER_LENGTH_MAX: Final = 1_024
"""WhatsApp's bound of a template's body, of which a parameter is a part."""
HEADER_LENGTH_MAX: Final = 60
"""WhatsApp's bound of a template's header."""
BUTTONS_MAX: Final = 10
"""Buttons of a template."""

_UNFIT_SPACE: Final = re.compile(r"[\n\r\t\v\f\x1c-\x1e\x85\u2028\u2029]|\s{5}")
"""What WhatsApp refuses in a parameter: another line, a tab, more than four blanks on end."""


def body_faults(field: str, texts: Sequence[str]) -> Iterator[FieldViolation]:
    """Those of the body's parameters, by their places in the list `field`."""
    for index, text in enumerate(texts):
        yield from parameter_faults(f"{field}[{index}]", text)
    longest = max(map(len, texts), default=0)
    if longest <= PARAMETER_LENGTH_MAX < sum(map(_fixed_length, texts)):
        yield FieldViolation(
            field, f"must have at most {PARAMETER_LENGTH_MAX} characters together: shorten them"
        )


def parameter_faults(path: str, text: str) -> Iterator[FieldViolation]:
    """Those of one parameter: variables that nobody fills in, and what WhatsApp takes in none."""
    for fault in faults_in(text):
        yield FieldViolation(path, fault.message)
    if not trimmed(text):
        yield FieldViolation(path, "must not be blank")
    elif len(text) > PARAMETER_LENGTH_MAX:
        yield FieldViolation(path, f"must have at most {PARAMETER_LENGTH_MAX} characters")
    fixed = (part.default if isinstance(part, Variable) else part for part in parts_of(text))
    if any(_UNFIT_SPACE.search(part) for part in fixed):
        yield FieldViolation(path, "must not hold line breaks, tabs or more than 4 blanks on end")


def header_faults(path: str, text: str) -> Iterator[FieldViolation]:
    """Those of the parameter of a template's header."""
    yield from parameter_faults(path, text)
    if _fixed_length(text) > HEADER_LENGTH_MAX:
        yield FieldViolation(path, f"must have at most {HEADER_LENGTH_MAX} characters")


def media_faults(path: str, text: str) -> Iterator[FieldViolation]:
    """Those of an address, or a name, of what stands in a template's header."""
    for fault in faults_in(text):
        yield FieldViolation(path, fault.message)
    if _UNFIT_SPACE.search(text):
        yield FieldViolation(path, "must stand in one line")


def _fixed_length(text: str) -> int:
    """Characters of a text that are there whoever gets it."""
    return sum(len(part) for part in parts_of(text) if isinstance(part, str))
