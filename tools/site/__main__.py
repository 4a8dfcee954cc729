"""`make docs`: draws the pictures, gathers the pages in build/pages, and builds build/site. Exits 1 for a link that
leads nowhere, or for pictures that are not as they were committed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tools.paths import ROOT
from tools.site.contracts import pages

GATHERED: Final = ROOT / "build" / "pages"
CONTRACTS: Final = "docs/reference"
PICTURES: Final = ROOT / "docs" / "pictures"
_LINK: Final = re.compile(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)")


def documents() -> Iterator[Path]:
    """The pages of the repository."""
    yield from sorted(ROOT.glob("*.md"))
    for pattern in ("docs/**/*.md", "services/*/README.md", "libs/*/README.md"):
        yield from sorted(ROOT.glob(pattern))


def gather() -> None:
    """Lays out what the site is built of, each page where it stands in the repository: links hold in both."""
    shutil.rmtree(GATHERED, ignore_errors=True)
    for page in documents():
        _copy(page)
        for target in _LINK.findall(page.read_text(encoding="utf-8")):
            linked = (page.parent / target).resolve()
            if linked.is_file() and linked.is_relative_to(ROOT):
                _copy(linked)
    for name, text in pages().items():
        file = GATHERED / CONTRACTS / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def draw() -> list[str]:
    """Writes the pictures; the names of those that were other ones."""
    from tools.site.pictures import pictures  # noqa: PLC0415 - what draws is not everybody's

    PICTURES.mkdir(exist_ok=True)
    changed = []
    for name, content in pictures():
        file = PICTURES / name
        if not file.exists() or file.read_bytes() != content:
            file.write_bytes(content)
            changed.append(name)
    return changed


def main() -> int:
    """Builds; the exit code of mkdocs, or 1 for pictures that have to be committed."""
    changed = draw()
    gather()
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},  # of the theme, about another program
        check=False,
    )
    if changed:
        print(f"docs/pictures: {', '.join(changed)} changed: commit what was drawn", file=sys.stderr)
    return built.returncode or bool(changed)


def _copy(file: Path) -> None:
    there = GATHERED / file.relative_to(ROOT)
    there.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, there)


if __name__ == "__main__":
    sys.exit(main())
