"""The console's catalogue: `make messages` gives each area's file the sentences that its pages and templates have.

A sentence stands in the file of the area whose code says it, in `common.po` where it is the frame's; what is new has an
empty translation, which a test refuses until somebody writes it, and what nobody says any more is taken out.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

from libs.console.languages import FOLDER
from tools.paths import ROOT

CONSOLE: Final = ROOT / "libs" / "console"
KEYWORDS: Final = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "noted": None,
    "count": (2, 3),
    "say": None,
}
COMMON: Final = "common"
_OPTIONS: Final = {"trimmed": "true", "silent": "false", "extensions": "jinja2.ext.i18n"}

Message = str | tuple[str, ...]


def said() -> dict[str, list[Message]]:
    """Every sentence of the console by the area that says it, in the order of its files: once in an area, and in none
    that the frame says already."""
    found: dict[str, list[Message]] = defaultdict(list)
    for area, message in sorted(_all(), key=lambda each: (each[0] != COMMON, each[0])):
        if message not in found[area] and message not in found[COMMON]:
            found[area].append(message)
    return {area: messages for area, messages in found.items() if messages}


def _all() -> Iterator[tuple[str, Message]]:
    for file in sorted(CONSOLE.rglob("*.py")):
        with file.open("rb") as stream:
            for _, found, _, _ in extract("python", stream, keywords=KEYWORDS):
                yield _area(file), _plain(found)
    for file in sorted(CONSOLE.rglob("*.html")):
        with file.open("rb") as stream:
            for _, _, message, _ in babel_extract(stream, list(KEYWORDS), [], _OPTIONS):
                if message is not None:  # else what is translated is no sentence of the template's own
                    yield _area(file), _plain(message)


def _plain(message: object) -> Message:
    """Of a sentence that counts its two forms, without its arguments."""
    parts = tuple(str(part) for part in message if part) if isinstance(message, tuple) else (str(message),)
    return parts if len(parts) > 1 else parts[0]


def _area(file: Path) -> str:
    """`pages/coupons.py`, `pages/coupons_forms.py` and `templates/coupons/…` are of `coupons`."""
    parts = file.relative_to(CONSOLE).parts
    if parts[0] == "templates" and len(parts) > 2:
        return parts[1]
    names = {folder.name for folder in (CONSOLE / "templates").iterdir() if folder.is_dir()}
    if parts[0] in names:
        return parts[0]
    inside = parts[0] not in {"templates", "static"}
    word = re.split(r"[_.]", parts[-1] if len(parts) < 3 else parts[1])[0] if inside else ""
    return word if word in names else COMMON


def main() -> None:
    """Rewrites the files."""
    for folder in sorted(each for each in FOLDER.iterdir() if each.is_dir()):
        kept: dict[object, object] = {}
        own: dict[str, dict[object, object]] = {}
        for file in folder.glob("*.po"):
            with file.open("rb") as stream:
                own[file.stem] = {each.id: each.string for each in read_po(stream) if each.id}
                kept |= own[file.stem]
        wanted = said()
        for file in folder.glob("*.po"):
            if file.stem not in wanted:
                file.unlink()
        for area, messages in wanted.items():
            (folder / f"{area}.po").write_bytes(_written(folder.name, messages, kept | own.get(area, {})))


def _written(language: str, messages: list[Message], kept: dict[object, object]) -> bytes:
    catalog = Catalog(locale=language, fuzzy=False)
    for message in messages:
        flags = {"python-format"} if "%(" in str(message) else set()
        catalog.add(message, kept.get(message), flags=flags)  # type: ignore[arg-type]
    out = BytesIO()
    write_po(out, catalog, width=0, omit_header=True)
    head = f'msgid ""\nmsgstr ""\n"Language: {language}\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n'
    head += '"Plural-Forms: nplurals=1; plural=0;\\n"\n\n'
    return head.encode() + out.getvalue()


if __name__ == "__main__":
    main()
