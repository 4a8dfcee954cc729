"""What names a person and nobody else, as texts are searched for it (`docs/privacy.md`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

LETTERS_MIN: Final = 5
"""Shorter identifiers stand in too many texts that are about somebody else."""


def searched(identifiers: Iterable[str]) -> list[str]:
    """The texts to look for in what is in lower case: a number without the plus before it, each once."""
    texts = (identifier.lower().removeprefix("+") for identifier in identifiers)
    return list(dict.fromkeys(text for text in texts if len(text) >= LETTERS_MIN))


def names_person(text: str, wanted: Iterable[str]) -> bool:
    """Whether a text holds one of those that `searched` gave."""
    lowered = text.lower()
    return any(each in lowered for each in wanted)
