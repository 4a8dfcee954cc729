"""Web addresses as people paste them, in the form in which channels take them. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from yarl import URL

from libs.common.text import trimmed

_PLAIN: Final = re.compile(r"https?://(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
"""Of RFC 3986 alone: nothing of it is to be changed."""


@lru_cache(4_096)
def plain_address(text: str) -> str:
    """An address as RFC 3986 has it: without blanks around it, its scheme and host in lower case, a host of another
    script in Punycode, and what else is no ASCII, blanks within, percent-encoded. A text that is no address stays."""
    found = trimmed(text)
    if _PLAIN.fullmatch(found):
        return found
    try:
        return str(URL(found))
    except (ValueError, UnicodeError):
        return found
