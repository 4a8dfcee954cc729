"""What is wrong with the texts of a definition: each fault with the path of its text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from libs.common.audience.values import KEY
from libs.common.errors import FieldViolation
from libs.common.hints import CONTROL
from libs.common.text import fold, trimmed
from libs.common.text_variables import Variable, faults_in, parts_of

TAG_LENGTH_MAX: Final = 100
"""Segment's bound of a tag."""
ITEM_LENGTH_MAX: Final = 500
"""Segment's bound of an item's name."""
VALUE_LENGTH_MAX: Final = 2_000
"""Segment's bound of an attribute's value."""
PARAMETER_LENGTH_MAX: Final = 1_024
"""WhatsApp's bound of a template's body, of which a parameter is a part."""

_UNFIT_SPACE: Final = re.compile(r"[\n\r\t\v\f\x1c-\x1e\x85\u2028\u2029]|\s{5}")
"""What WhatsApp refuses in a parameter: another line, a tab, more than four blanks on end."""


def line_faults(field: str, texts: Sequence[str], length_max: int) -> Iterator[FieldViolation]:
    """Faults of texts of one line, none of them blank, by their places in the list `field`."""
    for index, text in enumerate(texts):
        path = f"{field}[{index}]"
        if not trimmed(text):
            yield FieldViolation(path, "must not be blank")
        elif len(text) > length_max:
            yield FieldViolation(path, f"must have at most {length_max} characters")
        elif CONTROL.search(text):
            yield FieldViolation(path, "must not hold control characters")


def key_faults(field: str, keys: Sequence[str]) -> Iterator[FieldViolation]:
    """Those of keys of attributes that no attribute can have."""
    for index, key in enumerate(keys):
        if not KEY.fullmatch(key):
            yield FieldViolation(
                f"{field}[{index}]", "is no key of an attribute: a letter, then letters, digits, _"
            )


def in_both(add: Sequence[str], remove: Sequence[str]) -> list[str]:
    """Tags of both lists, compared as segment compares them, as they are written in the first."""
    removed = {fold(tag) for tag in remove}
    return sorted(tag for tag in dict.fromkeys(add) if fold(tag) in removed)


def parameter_faults(field: str, texts: Sequence[str]) -> Iterator[FieldViolation]:
    """Faults of a template's parameters: variables that nobody fills in, and what WhatsApp takes in none."""
    for index, text in enumerate(texts):
        path = f"{field}[{index}]"
        for fault in faults_in(text):
            yield FieldViolation(path, fault.message)
        if not trimmed(text):
            yield FieldViolation(path, "must not be blank")
        elif len(text) > PARAMETER_LENGTH_MAX:
            yield FieldViolation(path, f"must have at most {PARAMETER_LENGTH_MAX} characters")
        fixed = (part.default if isinstance(part, Variable) else part for part in parts_of(text))
        if any(_UNFIT_SPACE.search(part) for part in fixed):
            yield FieldViolation(path, "must not hold line breaks, tabs or more than 4 blanks on end")
