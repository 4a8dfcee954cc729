"""Reads ``docs/rules.md``: the one list of rule ids, each with a line that says what it means."""

import re
from pathlib import Path
from typing import Final

from tools.paths import ROOT

RULES_PAGE: Final = ROOT / "docs" / "rules.md"

# One row of the page's tables: | J-01 | what the rule says |
_ROW: Final = re.compile(r"^\| (?P<id>[A-Z]-\d{2}) \| (?P<text>.+?) \|$")


class CatalogueError(Exception):
    """The page of rules lists an id twice or no id at all."""


def load(page: Path = RULES_PAGE) -> dict[str, str]:
    """The rules in the order of the page: id to its line.

    Raises CatalogueError for an id that stands there twice, and for a page without rules.
    """
    rules: dict[str, str] = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        row = _ROW.match(line)
        if row is None:
            continue
        if row["id"] in rules:
            raise CatalogueError(f"{page.name} lists {row['id']} twice")
        rules[row["id"]] = row["text"]
    if not rules:
        raise CatalogueError(f"{page.name} lists no rule")
    return rules
