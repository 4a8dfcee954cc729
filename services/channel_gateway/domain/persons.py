"""Whether what came in tells of a person. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from libs.common.persons import names_person, searched

_DIGITS: Final = re.compile(r"\D+")
_NUMBER_END: Final = 8
"""Digits by which a phone number is known however its beginning is written."""
_NUMBER_MAX: Final = 20


class Wanted:
    """What names a person, as bodies may write it."""

    def __init__(self, identifiers: Iterable[str]) -> None:
        """Phones, addresses, ids."""
        given = list(identifiers)
        self._whole = {each.lower() for each in given}
        self._parts = searched(given)
        digits = (_DIGITS.sub("", each) for each in given if each[:1] == "+" or each.isdigit())
        self._numbers = tuple(each[-_NUMBER_END:] for each in digits if len(each) >= _NUMBER_END)

    def is_in(self, body: bytes) -> bool:
        """Whether a body tells of the person; what is no JSON is searched as text."""
        text = body.decode(errors="replace")
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            return self._tells(text)
        return any(self._tells(each) for each in _texts(said))

    def _tells(self, text: str) -> bool:
        if text.lower() in self._whole or names_person(text, self._parts):
            return True
        if not self._numbers or len(text) > 2 * _NUMBER_MAX:
            return False
        digits = _DIGITS.sub("", text)
        return len(digits) <= _NUMBER_MAX and digits.endswith(self._numbers)


def _texts(said: Any) -> Iterator[str]:
    """Every text and number in what JSON says, names of fields among them."""
    left = [said]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            yield from item
            left.extend(item.values())
        elif isinstance(item, list):
            left.extend(item)
        elif isinstance(item, str):
            yield item
        elif isinstance(item, int | float) and not isinstance(item, bool):
            yield str(item)
