"""Things are looked up in log lines: whoever one speaks of is named by ids, the same way everywhere, and nothing else
of them is in it.

A line that fails here: give it the ids by `**about(…)` (`libs.common.logging`), and what else it says under a key of
`FIELDS`.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from libs.common.logging import FIELDS, SUBJECTS
from tools.paths import ROOT

LEVELS: Final = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
SPEAKERS: Final = frozenset(
    {
        "customer",
        "customer_id",
        "enrolment",
        "enrolment_id",
        "event",
        "job",
        "journey",
        "journey_id",
        "key",
        "mail",
        "press",
        "send",
        "team_id",
        "webhook",
    }
)
"""Names of what has ids to be named by: whoever has one at hand says which."""


class Line(NamedTuple):
    """A call that logs."""

    file: str
    call: ast.Call
    at_hand: frozenset[str]
    """Names that the function has of those who may be spoken of."""

    @property
    def place(self) -> str:
        return f"{self.file}:{self.call.lineno}"

    @property
    def named(self) -> list[ast.Call]:
        """What stands in `**about(…)`."""
        return [
            keyword.value
            for keyword in self.call.keywords
            if keyword.arg is None
            and isinstance(keyword.value, ast.Call)
            and isinstance(keyword.value.func, ast.Name)
            and keyword.value.func.id == "about"
        ]


def _lines() -> Iterator[Line]:
    for folder in ("libs/common", "services"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            name = str(file.relative_to(ROOT))
            yield from _lines_of(name, file.read_text(encoding="utf-8"))


def _lines_of(name: str, source: str) -> Iterator[Line]:
    def look(node: ast.AST, around: tuple[ast.AST, ...]) -> Iterator[Line]:
        if isinstance(node, ast.Call) and _logs(node):
            yield Line(name, node, SPEAKERS.intersection(_bound(around, node.lineno)))
        for child in ast.iter_child_nodes(node):
            yield from look(child, (*around, node))

    yield from look(ast.parse(source), ())


def _bound(around: Iterable[ast.AST], before_line: int) -> Iterator[str]:
    """Names that a line can use: arguments, of loops that it stands in, and what was assigned above it."""
    for node in around:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args
            for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                yield each.arg
            for assigned in ast.walk(node):
                if isinstance(assigned, ast.Assign) and assigned.lineno < before_line:
                    yield from (name for target in assigned.targets for name in _names(target))
        elif isinstance(node, ast.For | ast.AsyncFor):
            yield from _names(node.target)


def _names(target: ast.AST) -> Iterator[str]:
    return (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def _logs(call: ast.Call) -> bool:
    function = call.func
    return (
        isinstance(function, ast.Attribute)
        and function.attr in LEVELS
        and isinstance(function.value, ast.Name)
        and function.value.id == "_log"
    )


def _faults(line: Line) -> Iterator[str]:
    texts = [each for each in line.call.args if not isinstance(each, ast.IfExp | ast.Constant)]
    if len(line.call.args) != 1 or (texts and not isinstance(texts[0], ast.Name)):
        yield "says one text that is always the same"
    for keyword in line.call.keywords:
        if keyword.arg in SUBJECTS:
            yield f"names {keyword.arg} by **about(…)"
        elif keyword.arg is not None and keyword.arg not in FIELDS:
            yield f"has the key {keyword.arg}, which is none of FIELDS"
    if line.at_hand and not line.named:
        yield f"says whom it is about, by **about(…): {', '.join(sorted(line.at_hand))}"
    for about in line.named:
        keys = {keyword.arg for keyword in about.keywords}
        if not about.args and "team_id" not in keys:
            yield "names the team, too"
        if strange := keys - {*SUBJECTS}:
            yield f"is about what is none of SUBJECTS: {strange}"


@pytest.mark.rule("X-04a")
def test_each_line_names_whom_it_is_about_and_nothing_else_of_them() -> None:
    lines = list(_lines())
    assert len(lines) > 100
    faults = [f"{line.place} {fault}" for line in lines for fault in _faults(line)]
    assert not faults, "\n".join(faults)


@pytest.mark.rule("X-04a")
@pytest.mark.parametrize(
    "written",
    [
        'def f(send):\n    _log.error("a send cannot be written")',
        'def f():\n    for job in jobs:\n        _log.error("lost", reason="x")',
        'def f():\n    _log.error("lost", customer_id=str(x))',
        'def f():\n    _log.error("lost", phone=phone)',
        'def f():\n    _log.error("lost", text=body)',
        'def f():\n    _log.error(f"{name} is lost")',
        'def f():\n    _log.error("lost %s", name)',
        'def f():\n    _log.error("lost", **about(customer_id=x))',
    ],
)
def test_a_line_that_forgets_whom_it_is_about_or_says_more_is_found(written: str) -> None:
    (line,) = _lines_of("services/points/x.py", written)
    assert list(_faults(line))


@pytest.mark.rule("X-04a")
def test_a_line_that_does_neither_is_none() -> None:
    written = 'def f(send):\n    _log.error("a send cannot be written", **about(send), reason="x")'
    (line,) = _lines_of(str(Path("services/points/x.py")), written)
    assert not list(_faults(line))
