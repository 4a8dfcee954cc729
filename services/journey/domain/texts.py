"""What is wrong with the texts of a definition: each fault with the path of its text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from libs.common.audience.values import KEY
from libs.common.errors import FieldViolation
from libs.common.template_texts import (
    BUTTONS_MAX,
    body_faults,
    header_faults,
    media_faults,
    parameter_faults,
)
from libs.common.text import CONTROL, fold, trimmed

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
    """Those of all that fills a template, where `path` is the template's. Buttons without a parameter have an empty
    one; `media` are (field, text) of what stands in its header."""
    yield from body_faults(f"{path}.parameters", parameters)
    if len(header) > 1:
        yield FieldViolation(f"{path}.header_parameters", "may hold one: no header takes more")
    for index, text in enumerate(header):
        yield from header_faults(f"{path}.header_parameters[{index}]", text)
    if len(buttons) > BUTTONS_MAX:
        yield FieldViolation(
            f"{path}.button_parameters", f"may hold {BUTTONS_MAX}: no template has more buttons"
        )
    for index, text in enumerate(buttons):
        if text:
            yield from parameter_faults(f"{path}.button_parameters[{index}]", text)
    for field, text in media:
        yield from media_faults(f"{path}.header_media.{field}", text)
