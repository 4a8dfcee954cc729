"""The pages that name code name what is there."""

import ast
import re

from tools.paths import ROOT


def _names(path: str) -> set[str]:
    """What a file defines at the top, and methods as ``Class.method`` and, for RPCs, by their name alone."""
    found: set[str] = set()
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            methods = [
                each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
            ]
            found |= {node.name, *(f"{node.name}.{method}" for method in methods)}
            found |= {method for method in methods if method[:1].isupper()}
    return found


def test_every_step_of_a_turn_is_where_the_page_says() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    steps = re.findall(r"^\| \w[\w ]* \| `([\w/.]+\.py)` \| `([\w.]+)` \|", page, re.MULTILINE)
    assert len(steps) >= 10
    assert [(path, name) for path, name in steps if name not in _names(path)] == []
