"""The README's commands, to be run as a newcomer would: its blocks of code, by the heading above them."""

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
    text = parts[parts.index(heading) + 1]
    return [Block(language, code) for language, code in _BLOCK.findall(text)]
