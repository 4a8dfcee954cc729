"""How text is compared, everywhere: in the engine, in judging, and in SQL (which compares the stored form)."""

import re
import unicodedata
from typing import Final

CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
"""Characters that are no text: line breaks and tabs, too."""

_JOINERS: Final = (0x200C, 0x200D)
"""Emoji of several people and words of some scripts are written with them."""
UNSEEN: Final = dict.fromkeys(
    [
        *(0x00AD, 0x061C, 0x115F, 0x1160, 0x180E, 0x2800, 0x3164, 0xFEFF, 0xFFA0),
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xFFF9, 0xFFFC),
    ]
)
"""For `str.translate`: removes marks without width (directions, joiners, byte order) and letters that are blank, which
come with copied text."""
_ON_WHAT_IS_BEFORE: Final = frozenset(
    [0x034F, 0x17B4, 0x17B5, *range(0xFE00, 0xFE10), *range(0xE0000, 0xE1000)]
)
"""Marks that say how the character before them looks: variation selectors, and the letters of which flags are made.
With none before them nobody sees them."""
_UNSEEN_BUT_JOINERS: Final = {code: None for code in UNSEEN if code not in _JOINERS}


def fold(text: str) -> str:
    """The form in which two texts are equal when people would call them equal: NFKC and casefold (X-06).

    `fold(fold(x)) == fold(x)`: case folding can undo the normal form and the normal form can bring back capitals
    (U+03D3 does both), so the pair is applied until it rests, which it does after two rounds.
    """
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", folded).casefold())


def trimmed(text: str) -> str:
    """Without what nobody sees before and after it: blanks of every kind, and marks without width."""
    if text.isascii() and text.isalnum():
        return text
    end = len(text)
    start = 0
    while start < end and (_is_unseen(text[start]) or ord(text[start]) in _ON_WHAT_IS_BEFORE):
        start += 1
    while end > start and _is_unseen(text[end - 1]):
        end -= 1
    return text[start:end]


def shows(text: str) -> bool:
    """Whether there is anything to see in it."""
    return bool(text.strip() if text.isascii() else trimmed(text))


def as_seen(text: str) -> str:
    """A name or a tag: without what nobody sees around it, and without marks without width within it, but for
    joiners."""
    return trimmed(text if text.isascii() else text.translate(_UNSEEN_BUT_JOINERS))


def as_key(text: str) -> str:
    """What names one person or thing (a member id, an id on a channel): without anything that nobody sees, but for
    blanks within it. Two that look alike are one."""
    return trimmed(text if text.isascii() else text.translate(UNSEEN))


def as_address(text: str) -> str:
    """An e-mail address as it is seen, in letters of usual width (keyboards of East Asia write `＠` and `．`) and
    without what is copied with it: `mailto:`, `<` and `>`, a comma, semicolon or full stop behind it."""
    plain = text.strip() if text.isascii() else as_key(unicodedata.normalize("NFKC", text))
    if plain[:7].lower() == "mailto:":
        plain = plain[7:]
    return plain.rstrip(",;. ").removeprefix("<").removesuffix(">").strip()


def _is_unseen(character: str) -> bool:
    return character.isspace() or ord(character) in UNSEEN
