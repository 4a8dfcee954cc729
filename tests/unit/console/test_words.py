"""The console speaks both languages wholly: no sentence without its translation, none outside the catalogue."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest
from babel.messages.pofile import read_po
from jinja2 import Environment, nodes

from libs.console.languages import FOLDER, choose, read_words
from libs.console.rendering import TEMPLATES
from tools.messages import Message, said

pytestmark = pytest.mark.rule("X-07")
TRANSLATED: Final = sorted(each for each in FOLDER.iterdir() if each.is_dir())
SHOWN: Final = ("alt", "aria-label", "aria-description", "placeholder", "title")
OWN: Final = frozenset({"omnijourney"})
"""Words that are the same in every language."""
_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_VALUES: Final = re.compile(r"%\([a-z_]+\)[sd]")


@pytest.mark.parametrize("folder", TRANSLATED, ids=lambda each: each.name)
def test_every_sentence_is_translated_and_none_is_left_over(folder: Path) -> None:
    found: dict[str, dict[Message, str]] = {}
    for file in folder.glob("*.po"):
        with file.open("rb") as stream:
            found[file.stem] = {
                (each.id if isinstance(each.id, str) else tuple(map(str, each.id))): "".join(
                    each.string or ()
                )
                for each in read_po(stream)
                if each.id
            }
    wanted = said()
    assert {area: list(messages) for area, messages in found.items()} == wanted, "run `make messages`"
    for area, messages in found.items():
        for message, translation in messages.items():
            english = message if isinstance(message, str) else message[-1]
            assert translation.strip(), f"{area}: {english!r} is not translated"
            assert set(_VALUES.findall(translation)) == set(_VALUES.findall(english)), (area, english)


@pytest.mark.parametrize("folder", TRANSLATED, ids=lambda each: each.name)
def test_a_sentence_is_translated_alike_in_every_area(folder: Path) -> None:
    """There is one catalogue when it is read: of two translations nobody would know which one is shown."""
    found: dict[Message, set[str]] = {}
    for file in sorted(folder.glob("*.po")):
        with file.open("rb") as stream:
            for each in read_po(stream):
                if each.id:
                    key = each.id if isinstance(each.id, str) else tuple(map(str, each.id))
                    found.setdefault(key, set()).add("".join(each.string or ()))
    assert {sentence: said for sentence, said in found.items() if len(said) > 1} == {}


class _Texts(HTMLParser):
    """What a person would read or hear of a template's own text."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words += _WORD.findall(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in SHOWN:
                self.words += _WORD.findall(value or "")


def _template_text(file: Path) -> str:
    """What stands in a template besides what it computes, which is a blank."""
    tree = Environment(extensions=["jinja2.ext.i18n"], autoescape=True).parse(file.read_text())
    text = ""
    for output in tree.find_all(nodes.Output):
        for part in output.nodes:
            text += part.data if isinstance(part, nodes.TemplateData) else " "
    return text


@pytest.mark.parametrize("file", sorted(TEMPLATES.rglob("*.html")), ids=lambda each: each.name)
def test_no_template_holds_a_text_of_its_own(file: Path) -> None:
    texts = _Texts()
    texts.feed(_template_text(file))
    assert [word for word in texts.words if word.lower() not in OWN] == []


def test_a_sentence_is_said_in_the_language_that_was_chosen() -> None:
    words = read_words()
    assert words["en"].gettext("Sign out") == "Sign out"
    assert words["zh-TW"].gettext("Sign out") == "登出"
    assert choose("en", "zh-TW") == "en"
    assert choose("", "fr-FR, zh-Hant-TW;q=0.8, en;q=0.5") == "zh-TW"
    assert choose("xx", "fr") == "en"
