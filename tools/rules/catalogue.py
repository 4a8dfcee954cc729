"""Reads ``docs/rules.md``: the one list of rule ids, each with a row that says what its clauses mean."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.paths import ROOT

RULES_PAGE: Final = ROOT / "docs" / "rules.md"

# One row of the page's tables: | J-01 | (a) one clause; (b) another. |
_ROW: Final = re.compile(r"^\| (?P<id>[A-Z]-\d{2}) \| (?P<text>.+?) \|$")
_LETTER: Final = re.compile(r"\(([a-z])\)")


class CatalogueError(Exception):
    """The page of rules lists an id or a letter of one rule twice, or no id at all."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the page. ``clauses``: clause id to its text; a rule without letters is its own clause."""

    id: str
    clauses: dict[str, str]


def load(page: Path = RULES_PAGE) -> dict[str, Rule]:
    """The rules in the order of the page.

    Raises CatalogueError for an id that stands there twice, a letter that stands twice in one row, and a page
    without rules.
    """
    rules: dict[str, Rule] = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        row = _ROW.match(line)
        if row is None:
            continue
        if row["id"] in rules:
            raise CatalogueError(f"{page.name} lists {row['id']} twice")
        rules[row["id"]] = Rule(row["id"], _clauses(row["id"], row["text"], page.name))
    if not rules:
        raise CatalogueError(f"{page.name} lists no rule")
    return rules


def clauses(rules: Iterable[Rule]) -> dict[str, str]:
    """All clauses of these rules: id to text."""
    return {clause: text for rule in rules for clause, text in rule.clauses.items()}


def _clauses(rule: str, text: str, page: str) -> dict[str, str]:
    before, *parts = _LETTER.split(text)
    if not parts:
        return {rule: before}
    found: dict[str, str] = {}
    for letter, part in zip(parts[::2], parts[1::2], strict=True):
        if rule + letter in found:
            raise CatalogueError(f"{page} letters {rule}{letter} twice")
        found[rule + letter] = part.strip().rstrip(";")
    return found
