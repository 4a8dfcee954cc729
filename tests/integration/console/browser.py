"""A browser without a screen: it keeps cookies and sends what forms hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from multidict import MultiDict

_CSRF: Final = re.compile(r'name="csrf-token" content="([^"]+)"')
_TAG: Final = re.compile(r"<[^>]*>")
_BLANK: Final = re.compile(r"\s+")


@dataclass(slots=True)
class Page:
    """What came."""

    status: int
    path: str
    html: str
    headers: Any
    query: str = ""

    @property
    def path_qs(self) -> str:
        """Its address, to be read again."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def text(self) -> str:
        """What a person reads."""
        return _BLANK.sub(" ", unescape(_TAG.sub(" ", self.html)))


class Browser:
    """One person's."""

    def __init__(self, url: str, language: str = "en") -> None:
        """`language` is what it accepts."""
        self.url = url
        jar = aiohttp.CookieJar(unsafe=True)  # unsafe: cookies of an address, as on one's own machine
        self.http = aiohttp.ClientSession(cookie_jar=jar, headers={"Accept-Language": language})
        self.csrf = ""

    async def get(self, path: str, **options: Any) -> Page:
        """Follows redirects."""
        async with self.http.get(self.url + path, **options) as answer:
            return await self._page(answer)

    async def post(self, path: str, fields: Any = None, **options: Any) -> Page:
        """Sends a form of the page that was seen last."""
        sent = MultiDict(fields or {})
        sent.setdefault("csrf", self.csrf)
        headers = {"Origin": self.url, **options.pop("headers", {})}
        async with self.http.post(self.url + path, data=sent, headers=headers, **options) as answer:
            return await self._page(answer)

    async def sign_in(self, token: str) -> Page:
        """With a token."""
        await self.get("/sign-in")
        return await self.post("/sign-in", {"token": token})

    async def _page(self, answer: aiohttp.ClientResponse) -> Page:
        html = await answer.text()
        if found := _CSRF.search(html):
            self.csrf = unescape(found[1])
        came_from = urlsplit(str(answer.url))
        return Page(answer.status, came_from.path, html, answer.headers, came_from.query)
