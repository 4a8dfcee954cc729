"""Words by which people say in a chat that they want messages no more, or again. The whole message has to be one.

Messages and words are compared as all text is (NFKC, casefold), so that case and width of letters make no difference,
without marks that nobody sees, with one blank between words, and without blanks and sentence marks around them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from libs.common.text import UNSEEN, fold

STOP: Final = {
    "en": ("STOP", "STOP ALL", "STOPALL", "UNSUBSCRIBE"),
    "zh-TW": ("退訂", "取消訂閱", "停止訂閱", "退订", "取消订阅"),
}
"""Defaults by language."""
START: Final = {"en": ("START", "UNSTOP", "SUBSCRIBE"), "zh-TW": ("訂閱", "重新訂閱", "订阅", "重新订阅")}
WORD_LENGTH_MAX: Final = 40
"""Characters of a word."""
WORDS_MAX: Final = 50
"""Words of a kind that a team has."""
_MESSAGE_LENGTH_MAX: Final = 200
"""Longer messages are none of them, whatever is around their words."""
_AROUND: Final = " .!?\"'。「」『』“”,、…~"


class ConsentWords(NamedTuple):
    """A team's words, in the form in which they are compared."""

    stop: frozenset[str]
    start: frozenset[str]

    @classmethod
    def of(cls, stop: Iterable[str], start: Iterable[str]) -> ConsentWords:
        """Words as people write them; none of a kind: the defaults."""
        given = frozenset(map(compared, stop)), frozenset(map(compared, start))
        return cls(given[0] or DEFAULTS.stop, given[1] or DEFAULTS.start)

    def wanted(self, text: str) -> bool | None:
        """What a message says of that; None: nothing."""
        if len(text) > _MESSAGE_LENGTH_MAX:
            return None
        word = compared(text)
        if word in self.stop:
            return False
        return True if word in self.start else None


def compared(text: str) -> str:
    """The form in which words and messages are compared; empty where nothing of it is a word."""
    return " ".join(fold(text).translate(UNSEEN).split()).strip(_AROUND)


def _defaults(words: dict[str, tuple[str, ...]]) -> frozenset[str]:
    return frozenset(compared(word) for of_language in words.values() for word in of_language)


DEFAULTS: Final = ConsentWords(_defaults(STOP), _defaults(START))
