"""Short links: recorded first, then redirected to the stored target and nowhere else."""

from __future__ import annotations

from typing import Final

import structlog
from aiohttp import web

from libs.common.errors import DomainError, ResourceExhausted
from services.channel_gateway.domain.clicks import Opening
from services.channel_gateway.domain.link_agents import program_of
from services.channel_gateway.domain.link_tokens import TokenSeal
from services.channel_gateway.servicer.http import answers
from services.channel_gateway.servicer.http.connections import Connection
from services.channel_gateway.servicer.http.rates import Buckets
from services.channel_gateway.usecases.links import Clicks

_log = structlog.get_logger(__name__)

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
}
_PAGE: Final = (
    '<!doctype html><html lang="{lang}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    "<title>{title}</title><h1>{title}</h1><p>{text}</p></html>\n"
)


class LinkRedirects:
    """Answers whoever opens a link."""

    def __init__(self, clicks: Clicks, seal: TokenSeal, of_links: Buckets, of_strangers: Buckets) -> None:
        """`of_links` bounds the openings of one link, `of_strangers` what one client asks for in vain."""
        self._clicks = clicks
        self._seal = seal
        self._of_links = of_links
        self._of_strangers = of_strangers

    async def answer(self, request: web.BaseRequest, connection: Connection, token: str) -> web.Response:
        """The redirect, or why there is none."""
        opened = self._seal.opened(token)
        if opened is None:
            return self._nowhere(connection)
        wait_s = self._of_links.take(token)
        if wait_s is not None:
            return _too_often(wait_s)
        opening = Opening(opened, program_of(request.method, request.headers))
        try:
            url = await self._clicks.open(opening)
        except ResourceExhausted as error:
            return _too_often(error.retry_after_s or 1.0)
        except DomainError as error:
            _log.warning("a click could not be recorded", error=str(error))
            return _page(503, "Try again", "The link cannot be opened at the moment.", {"Retry-After": "5"})
        return self._nowhere(connection) if url is None else _redirect(url)

    def _nowhere(self, connection: Connection) -> web.Response:
        wait_s = self._of_strangers.take(connection.peer)
        if wait_s is not None:
            return _too_often(wait_s)
        return _page(404, "No such link", "This link does not exist, or is too old.")


def _redirect(url: str) -> web.Response:
    return web.Response(status=302, headers={**_HEADERS, "Location": url})


def _too_often(wait_s: float) -> web.Response:
    text = "There are too many requests for it. Wait a moment and open the link again."
    return _page(429, "Try again", text, {"Retry-After": answers.whole_seconds(wait_s)})


def _page(status: int, title: str, text: str, headers: dict[str, str] | None = None) -> web.Response:
    page = _PAGE.format(lang="en", title=title, text=text)
    return web.Response(
        status=status,
        text=page,
        content_type="text/html",
        charset="utf-8",
        headers={**_HEADERS, **(headers or {})},
    )
