"""How text is compared, everywhere: in the engine, in judging, and in SQL (which compares the stored form)."""

import unicodedata


def fold(text: str) -> str:
    """The form in which two texts are equal when people would call them equal: NFKC and casefold (X-06).

    `fold(fold(x)) == fold(x)`: case folding can undo the normal form and the normal form can bring back capitals
    (U+03D3 does both), so the pair is applied until it rests, which it does after two rounds.
    """
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", folded).casefold())
