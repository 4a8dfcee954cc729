"""The pages of a listing: links onwards, and back the way that one came.

The tokens of the contracts lead onwards only. So the address of a page names the tokens of the pages before it."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import urlencode

from multidict import MultiMapping

PAGE: Final = "page_token"
BACK: Final = "back"
BACK_MAX: Final = 20
"""Pages that one can go back by, one after the other; the first page can be gone to from each."""
BACK_LENGTH_MAX: Final = 4_000
"""Characters of their tokens, so that the address stays one that browsers and servers take."""


class Paging(NamedTuple):
    """Of one request."""

    path: str
    query: MultiMapping[str]

    def onwards(self, token: str) -> str:
        """The address of the page with that token, the filters kept; empty without a token."""
        if not token:
            return ""
        back = [*self.query.getall(BACK, []), self.query.get(PAGE, "")][-BACK_MAX:]
        while sum(map(len, back)) > BACK_LENGTH_MAX:
            del back[0]
        return self._address([*((BACK, each) for each in back), (PAGE, token)])

    @property
    def back(self) -> str:
        """The address of the page before; empty where it is not known."""
        back = self.query.getall(BACK, [])
        if not back:
            return ""
        token = [(PAGE, back[-1])] if back[-1] else []
        return self._address([*((BACK, each) for each in back[:-1]), *token])

    @property
    def first(self) -> str:
        """The address of the first page; empty on that page."""
        return self._address([]) if PAGE in self.query else ""

    def _address(self, more: list[tuple[str, str]]) -> str:
        kept = [(name, value) for name, value in self.query.items() if name not in {PAGE, BACK}]
        return f"{self.path}?{urlencode(kept + more)}" if kept or more else self.path
