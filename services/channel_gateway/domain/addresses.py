"""Web addresses as people paste them, in the form in which channels take them. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

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


def has_host(address: str, schemes: Collection[str]) -> bool:
    """Whether an address of one of the schemes names a host and a port that there can be, and nobody before the host,
    by which it would look like another host's: `https://shop.example\\@other.example` leads to the latter."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # of brackets that are not closed, and of ports above 65535
        return False
    named = bool(host) and "" not in host.removesuffix(".").split(".")
    return named and port != 0 and parts.scheme in schemes and not {"@", "\\"} & set(parts.netloc)
