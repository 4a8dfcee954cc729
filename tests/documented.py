"""What the pages tell their reader to type: each command of README, ARCHITECTURE and `docs/`, once, in their order."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from libs.cli.main import COMMANDS
from tests.readme import blocks_of
from tools.paths import ROOT

PAGES: Final = (ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md")))
_SHELL: Final = frozenset({"", "bash"})
_COMMENT: Final = re.compile(r"\s+# .*$")
_SPAN: Final = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_PROGRAMS: Final = ("make ", "python -m ", "systemctl ", "redis-cli ", "grpcurl -")
_TYPED: Final = re.compile(r"omnijourney (?:--\w|(\S+))")
_DRAWN: Final = re.compile(r"[─│├└✓]|^\S+\.yml|──>|  +\S+/|^protos/|^services/|^libs/|^tests/")


class Documented(NamedTuple):
    """A command, and the first page that has it."""

    page: str
    text: str
    """Without its comment; one with a quotation over several lines has them."""


def documented() -> list[Documented]:
    """All of them, each once."""
    found: dict[str, str] = {}
    for page in PAGES:
        for text in _commands_of(page):
            found.setdefault(text, str(page.relative_to(ROOT)))
    return [Documented(page, text) for text, page in found.items()]


def _commands_of(page: Path) -> Iterator[str]:
    text = page.read_text(encoding="utf-8")
    for block in blocks_of(text):
        if block.language in _SHELL and not _DRAWN.search(block.text):
            yield from _lines_of(block.text)
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for span in _SPAN.findall(outside):
        typed = _TYPED.match(span)
        known = typed is not None and (typed[1] is None or typed[1] in COMMANDS)
        if known or span.startswith(_PROGRAMS):
            yield span


def _lines_of(block: str) -> Iterator[str]:
    """The commands of a block: a line, or several that a quotation or a backslash holds together."""
    whole = ""
    for line in block.splitlines():
        whole += line if not whole else f"\n{line}"
        if not whole.endswith("\\") and _is_whole(whole):
            if text := _COMMENT.sub("", whole.replace("\\\n", "")).strip():
                yield text
            whole = ""


def _is_whole(text: str) -> bool:
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return False
    return True
