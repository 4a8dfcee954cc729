"""Names in code and contracts use the words of `docs/glossary.md`, and none of those that it replaces."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.paths import PROTOS, ROOT

GLOSSARY = ROOT / "docs" / "glossary.md"
_ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_PROTO_NAME = re.compile(r"^\s*(?:repeated |optional )?[\w.<>, ]*?\b([A-Za-z_]\w*) = \d+;", re.MULTILINE)
_PROTO_TYPE = re.compile(r"^\s*(?:message|enum|rpc|service|oneof) (\w+)", re.MULTILINE)


def _table(heading: str) -> dict[str, str]:
    text = GLOSSARY.read_text(encoding="utf-8")
    part = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = {word.strip(): meaning.strip() for word, meaning in _ROW.findall(part)}
    rows.pop("term", None)
    rows.pop("not", None)
    return {word: meaning for word, meaning in rows.items() if not word.startswith("---")}


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _python_names(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name


def _replaced(names: Iterator[tuple[int, str]], path: Path, replaced: frozenset[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for line, name in names
        if replaced.intersection(_words(name))
    ]


def _sources(folder: str) -> list[Path]:
    return [
        path for path in sorted((ROOT / folder).rglob("*.py")) if "gen" not in path.relative_to(ROOT).parts
    ]


@pytest.mark.parametrize("folder", ["services", "libs"])
def test_no_name_in_code_uses_a_replaced_word(folder: str) -> None:
    replaced = frozenset(_table("Words that are not used"))
    anywhere = re.compile("|".join(sorted(replaced)), re.IGNORECASE)
    # To parse all sources takes seconds; few hold one of the words anywhere.
    suspects = [path for path in _sources(folder) if anywhere.search(path.read_text(encoding="utf-8"))]
    found = [fault for path in suspects for fault in _replaced(_python_names(path), path, replaced)]
    assert not found, "\n".join(found)


def test_no_name_in_the_contracts_uses_a_replaced_word() -> None:
    replaced = frozenset(_table("Words that are not used"))
    found = []
    for path in sorted(PROTOS.rglob("*.proto")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            names = _PROTO_NAME.findall(line) + _PROTO_TYPE.findall(line)
            found += _replaced(iter([(number, name) for name in names]), path, replaced)
    assert not found, "\n".join(found)


def test_the_glossary_is_in_order_and_explains_no_word_twice() -> None:
    terms = list(_table("Terms"))
    assert terms == sorted(terms)
    assert not set(terms).intersection(_table("Words that are not used"))


def test_words_are_found_in_names_of_every_form() -> None:
    assert _words("input_lots") == ["input", "lots"]
    assert _words("_HTTPDesk2") == ["http", "desk"]
    assert _words("RunSegment") == ["run", "segment"]
