"""What is wrong with the texts of a definition: each fault with the path of its text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
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
REPLY_LENGTH_MAX: Final = 200
"""Of what a reply is compared with."""
BUTTON_DATA_LENGTH_MAX: Final = 256
"""The gateway's bound of what a button carries."""
PARAMETER_LENGTH_MAX: Final = 1_024
"""WhatsApp's bound of a template's body, of which a parameter is a part."""
HEADER_LENGTH_MAX: Final = 60
"""WhatsApp's bound of a template's header."""
BUTTONS_MAX: Final = 10
"""Buttons of a template."""

_TAKES_NONE: Final = "-"
"""Stands for the parameter of a button without one: no fault of any kind."""
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


def template_faults(
    path: str,
    parameters: Sequence[str],
    header: Sequence[str],
    buttons: Sequence[str],
    media: Iterable[tuple[str, str]] = (),
) -> Iterator[FieldViolation]:
    """Those of all parameters of a template, where `path` is the template's; `media` are (field, text) of what stands
    in its header."""
    yield from _parameter_faults(f"{path}.parameters", parameters)
    longest = max(map(len, parameters), default=0)
    if longest <= PARAMETER_LENGTH_MAX < sum(map(_fixed_length, parameters)):
        yield FieldViolation(
            f"{path}.parameters",
            f"must have at most {PARAMETER_LENGTH_MAX} characters together: shorten them",
        )
    yield from _header_faults(f"{path}.header_parameters", header)
    yield from _button_faults(f"{path}.button_parameters", buttons)
    for field, text in media:
        for fault in faults_in(text):
            yield FieldViolation(f"{path}.header_media.{field}", fault.message)
        if _UNFIT_SPACE.search(text):
            yield FieldViolation(f"{path}.header_media.{field}", "must stand in one line")


def _parameter_faults(field: str, texts: Sequence[str]) -> Iterator[FieldViolation]:
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


def _fixed_length(text: str) -> int:
    """Characters of a text that are there whoever gets it."""
    return sum(len(part) for part in parts_of(text) if isinstance(part, str))


def _header_faults(field: str, texts: Sequence[str]) -> Iterator[FieldViolation]:
    """Those of the parameters of a template's header."""
    if len(texts) > 1:
        yield FieldViolation(field, "may hold one: no header takes more")
    yield from _parameter_faults(field, texts)
    for index, text in enumerate(texts):
        if _fixed_length(text) > HEADER_LENGTH_MAX:
            yield FieldViolation(f"{field}[{index}]", f"must have at most {HEADER_LENGTH_MAX} characters")


def _button_faults(field: str, texts: Sequence[str]) -> Iterator[FieldViolation]:
    """Those of the parameters of a template's buttons, empty where a button takes none."""
    if len(texts) > BUTTONS_MAX:
        yield FieldViolation(field, f"may hold {BUTTONS_MAX}: no template has more buttons")
    yield from _parameter_faults(field, [text or _TAKES_NONE for text in texts])
