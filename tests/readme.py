"""The commands of the README and other pages, to be run as a newcomer would: blocks of code, by the heading above."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tools.paths import ROOT

_HEADING: Final = re.compile(r"^## (.+)$", re.MULTILINE)
_BLOCK: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of code."""

    language: str
    """Empty: lines of a shell."""
    text: str


def blocks_below(heading: str) -> list[Block]:
    """The blocks below a heading of the README, down to the next one. Raises ValueError."""
    parts = _HEADING.split((ROOT / "README.md").read_text(encoding="utf-8"))
    return blocks_of(parts[parts.index(heading) + 1])


def blocks_of(text: str) -> list[Block]:
    """All blocks of code in a text."""
    return [Block(language, code) for language, code in _BLOCK.findall(text)]
