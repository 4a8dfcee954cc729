"""Why a call was refused is said in both languages, whichever reason of the contract it has."""

from __future__ import annotations

import re
from typing import Final

import pytest

from libs.console.faults import REASONS
from libs.console.languages import read_words
from tools.paths import ROOT

pytestmark = pytest.mark.rule("X-07")
CONTRACT: Final = ROOT / "protos" / "omnijourney" / "common" / "v1" / "error_reason.proto"
SAID_BY_CODE: Final = frozenset({"INTERNAL", "DEADLINE_EXCEEDED"})
"""Of these the page says what the status says."""
_OF_CALLS: Final = re.compile(r"// (?:[A-Z]+(?:_[A-Z]+)*: |[A-Z]+_[A-Z_]+, (?:and|or) reason of )")


def _reasons_of_calls() -> set[str]:
    """Those whose comment begins with the status of a call; the others are reasons of one result."""
    found: set[str] = set()
    comment = ""
    for line in map(str.strip, CONTRACT.read_text().splitlines()):
        if line.startswith("// ----"):
            comment = ""
        elif line.startswith("//"):
            comment += line
        elif name := re.match(r"ERROR_REASON_([A-Z_]+) = [1-9]", line):
            found |= {name[1]} if _OF_CALLS.match(comment) or "FAILED_PRECONDITION" in comment else set()
            comment = ""
        else:
            comment = ""
    return found


def test_each_reason_that_refuses_a_call_has_a_sentence_in_both_languages() -> None:
    wanted = _reasons_of_calls()
    assert len(wanted) > 40
    assert wanted - REASONS.keys() - SAID_BY_CODE == set()
    chinese = read_words()["zh-TW"]
    assert [each for each in REASONS.values() if chinese.gettext(each) == each] == []
