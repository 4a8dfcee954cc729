"""How text is compared, everywhere: in the engine, in judging, and in SQL (which compares the stored form)."""

import unicodedata
from typing import Final

UNSEEN: Final = dict.fromkeys(
    [0x00AD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060, *range(0x2066, 0x206A), 0xFEFF]
)
"""For `str.translate`: removes marks without width (directions, joiners, byte order), which come with copied text."""


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
    if text.isalnum():
        return text
    end = len(text)
    start = 0
    while start < end and _is_unseen(text[start]):
        start += 1
    while end > start and _is_unseen(text[end - 1]):
        end -= 1
    return text[start:end]


def _is_unseen(character: str) -> bool:
    return character.isspace() or ord(character) in UNSEEN
