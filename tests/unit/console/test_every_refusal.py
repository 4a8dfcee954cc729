"""No service can refuse a field with a sentence that the console would show in another language than its page's."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from libs.console.field_faults import in_words
from tools.paths import ROOT

pytestmark = pytest.mark.rule("X-07")

_SECOND: Final = frozenset({"FieldViolation", "fault"})
"""Calls whose second argument is the sentence: `FieldViolation(field, sentence)`, `check.fault(field, sentence)`."""
_VARIABLES: Final = "text_variables.py"
"""Where the second argument of `Fault` is a sentence about a text's variable; elsewhere it says what a webhook has."""
_FIRST: Final = frozenset({"_refused", "_LineFault"})
"""Those whose first is."""
_VALUE: Final = "\N{WHITE SQUARE}"
"""Stands for what is different each time."""
_FOR_PROGRAMS: Final = frozenset(
    {
        "libs/common/feeds/serving.py",
        "libs/common/rpc/counts.py",
        "libs/common/rpc/operations.py",
        "libs/common/rpc/servicing.py",
        "libs/common/rpc/validation.py",
        "libs/common/stages.py",
        "services/channel_gateway/convert/deliveries.py",
        "services/channel_gateway/servicer/merges.py",
        "services/journey/convert/definition_texts.py",
        "services/journey/convert/trigger_data.py",
        "services/journey/servicer/internal.py",
        "services/journey/servicer/merges.py",
        "services/journey/usecases/applying.py",
        "services/journey/usecases/parked.py",
        "services/points/servicer/internal.py",
        "services/points/servicer/merges.py",
        "services/points/usecases/rows_set_aside.py",
        "services/segment/convert/events.py",
        "services/segment/convert/facts.py",
        "services/stats/servicer/exports.py",
        "services/stats/usecases/projections.py",
    }
)
"""Files whose requests no page makes: of other services, of webhooks, of the command line, and what a page's own code
fills in."""
_OF_PROGRAMS: Final = frozenset(
    {
        f"{_VALUE} is no field of a definition",
        "holds what is no part of a profile",
        "is no outcome",
        f"must be {_VALUE}: what is before is missing",
        f"must end with the file, at byte {_VALUE}",
        "must be empty for a team",
        "is no source",
        "is not implemented yet: leave it unset",
        "must be 32 bytes",
        "must be 32 bytes, since more parts follow",
        "must be NOT_FOUND, AMBIGUOUS, MALFORMED or unspecified",
        "must not be less than the bytes of csv",
        "must not be nil, which stands for all teams: leave it empty for a new id",
        "give one of attribute_key, tag and saved_audience_id",
        "goes with journey_id and states alone",
        "names no audience of the request",
    }
)
"""Sentences about fields that a page fills in by itself, or does not have."""


def _sentences() -> Iterator[tuple[str, str]]:
    """Each sentence of the services' code, with where it stands."""
    files = [file for folder in ("services", "libs/common") for file in sorted((ROOT / folder).rglob("*.py"))]
    for file in files:
        if str(file.relative_to(ROOT)) not in _FOR_PROGRAMS:
            yield from ((said, f"{file.name}:{line}") for said, line in _of(file))


def _of(file: Path) -> Iterator[tuple[str, int]]:
    tree = ast.parse(file.read_text("utf-8"))
    named: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                named.setdefault(getattr(target, "id", ""), []).append(node.value)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        is_second = name in _SECOND or (name == "Fault" and file.name == _VARIABLES)
        place = 1 if is_second else 0 if name in _FIRST else len(node.args)
        for given in node.args[place : place + 1]:
            # What a name stands for, where the file gives it a text.
            for one in named.get(given.id, []) if isinstance(given, ast.Name) else [given]:
                yield from ((said, node.lineno) for said in _texts(one))


def _texts(node: ast.expr) -> Iterator[str]:
    """What an expression says that is written out where the field is refused."""
    if isinstance(node, ast.IfExp):
        yield from (*_texts(node.body), *_texts(node.orelse))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else _VALUE for part in node.values)


def _is_said(sentence: str) -> bool:
    """Whether it is one of the console's, with a number or a word in each place, be it behind a column's name."""
    if not sentence.strip(f"{_VALUE}: ") or sentence in _OF_PROGRAMS:
        return True
    _, colon, fault = sentence.partition(": ")
    forms = [sentence, fault] if colon and sentence.startswith(_VALUE) else [sentence]
    return any(
        in_words(lambda text, **_: f"said {text}", form.replace(_VALUE, value)).startswith("said ")
        for form in forms
        for value in ("7", "word")
    )


def _is_sentence(text: str) -> bool:
    return re.search(r"[a-z] [a-z]", text) is not None


def test_the_console_can_say_every_fault_of_a_field_that_a_page_has() -> None:
    found = {said: where for said, where in _sentences() if _is_sentence(said)}
    assert len(found) > 200
    unsaid = {said: where for said, where in found.items() if not _is_said(said)}
    assert not unsaid, (
        "give them to SENTENCES of libs/console/field_faults.py, and translate them (`make messages`)"
    )
