"""What a line of a file of contacts changes, in the visitor's language.

The services tell it in English, change by change: "new customer; tag VIP; phone: - → +886912345678".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from libs.console.field_faults import COLUMNS, IN_COLUMN, in_words
from libs.console.languages import noted

_WHOLE: Final = {
    "new customer": noted("new customer"),
    "new contact": noted("new contact"),
}
_WITH: Final = (
    (re.compile(r"tag (?P<tag>.+)", re.DOTALL), noted("tag %(tag)s")),
    (re.compile(r"points (?P<n>[+-]\d+)"), noted("points %(n)s")),
)
_FIELD: Final = re.compile(r"(?P<field>\w+): (?P<old>.*?) → (?P<new>.*)", re.DOTALL)
_BETWEEN: Final = "; "


def change_in_words(say: Callable[..., str], message: str) -> str:
    """The changes in the language of `say`, or what is wrong with the line; what is none of ours as it came."""
    parts = message.split(_BETWEEN)
    said = [_one(say, part) for part in parts]
    return _BETWEEN.join(said) if said != parts else in_words(say, message)


def _one(say: Callable[..., str], part: str) -> str:
    if part in _WHOLE:
        return say(_WHOLE[part])
    for pattern, sentence in _WITH:
        if found := pattern.fullmatch(part):
            return say(sentence, **found.groupdict())
    if (found := _FIELD.fullmatch(part)) and found["field"] in COLUMNS:
        change = f"{found['old']} → {found['new']}"
        return say(IN_COLUMN, column=say(COLUMNS[found["field"]]), fault=change)
    return part
