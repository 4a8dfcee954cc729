"""The console's words: one catalogue, read at start.

English stands in the code and the templates, the other language in `locale/<language>/*.po`, a file for each area."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from babel import Locale
from babel.messages.pofile import read_po

LOCALES: Final[Mapping[str, str]] = {"zh-TW": "zh_Hant_TW", "en": "en_GB"}
"""The languages of the console and the rules by which each writes dates and numbers."""
OWN_NAMES: Final[Mapping[str, str]] = {"zh-TW": "繁體中文", "en": "English"}
DEFAULT: Final = "en"
FOLDER: Final = Path(__file__).with_name("locale")


class Words:
    """One language's."""

    def __init__(self, language: str, single: Mapping[str, str], plural: Mapping[str, str]) -> None:
        """`single` and `plural`: what stands for an English sentence, and for one that counts."""
        self.language: Final = language
        self.locale: Final = Locale.parse(LOCALES[language])
        self._single = single
        self._plural = plural

    def gettext(self, message: str) -> str:
        """A sentence in this language; as it is where there is none."""
        return self._single.get(message, message)

    def ngettext(self, one: str, many: str, count: int) -> str:
        """A sentence that counts, in this language."""
        if self.language == "en":
            return one if count == 1 else many
        return self._plural.get(one, one if count == 1 else many)


def read_words() -> dict[str, Words]:
    """Of every language, from its catalogue. Raises OSError, or ValueError for a file that is none."""
    return {language: _words(language) for language in LOCALES}


def noted(message: str) -> str:
    """Marks a sentence for the catalogue where it is translated later."""
    return message


def choose(wanted: str, accepted: str) -> str:
    """The language to show: the one that was chosen, else the first that the browser accepts and we have."""
    if wanted in LOCALES:
        return wanted
    for part in accepted.split(","):
        tag = part.split(";")[0].strip().lower()
        if tag.startswith("zh"):
            return "zh-TW"
        if tag.startswith("en"):
            return "en"
    return DEFAULT


def _words(language: str) -> Words:
    single: dict[str, str] = {}
    plural: dict[str, str] = {}
    for file in _files(language):
        with file.open("rb") as stream:
            for message in read_po(stream, locale=language.replace("-", "_"), abort_invalid=True):
                if isinstance(message.id, tuple):
                    plural[message.id[0]] = "".join(message.string or ())
                elif message.id:
                    single[str(message.id)] = str(message.string)
    return Words(language, single, plural)


def _files(language: str) -> Iterable[Path]:
    return sorted((FOLDER / language.replace("-", "_")).glob("*.po"))
