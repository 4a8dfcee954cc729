"""Which handler a request goes to, and what is answered whatever happens: 4xx for what a client sent, never a trace."""

from __future__ import annotations

import asyncio
import re
import traceback
from collections.abc import Collection
from typing import Final
from uuid import UUID

import structlog
from aiohttp import web

from services.channel_gateway import metrics
from services.channel_gateway.domain.platforms import Platform
from services.channel_gateway.servicer.http import answers
from services.channel_gateway.servicer.http.channel_hooks import ChannelHooks, HookPlace
from services.channel_gateway.servicer.http.connections import Connection
from services.channel_gateway.servicer.http.head import Place
from services.channel_gateway.servicer.http.links import LinkRedirects
from services.channel_gateway.servicer.http.pixel import PixelEvents
from services.channel_gateway.servicer.http.platform_hooks import PlatformHooks
from services.channel_gateway.servicer.http.shop_events import ShopEvents

WORK_S: Final = 30.0
"""For everything between a head and its answer."""
SHOP_EVENTS: Final = re.compile(
    r"/v1/teams/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/shops/([A-Z0-9._-]{1,64})/events",
    re.ASCII | re.IGNORECASE,
)
CHANNEL_EVENTS: Final = re.compile(
    r"/v1/teams/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/accounts/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/events",
    re.ASCII | re.IGNORECASE,
)
LINKS: Final = re.compile(r"/l/([0-9A-Za-z]{1,64})", re.ASCII)
PLATFORM_HOOKS: Final = re.compile(
    r"/v1/teams/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:/shops/([A-Z0-9._-]{1,64}))?/(shopify|woocommerce|segment)",
    re.ASCII | re.IGNORECASE,
)
PIXEL_EVENTS: Final = re.compile(
    r"/v1/teams/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/pixels/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/events",
    re.ASCII | re.IGNORECASE,
)
_FRAMES: Final = 3
"""Of where a fault of ours was, in the log."""
_LEFT: Final = (ConnectionError, web.RequestPayloadError, web.PayloadAccessError, EOFError)

_log = structlog.get_logger(__name__)


class Router:
    """The paths of the edge."""

    def __init__(
        self,
        shop_events: ShopEvents,
        channel_hooks: ChannelHooks,
        platform_hooks: PlatformHooks,
        pixel_events: PixelEvents,
        links: LinkRedirects,
    ) -> None:
        """One handler a path."""
        self._links = links
        self._platform_hooks = platform_hooks
        self._pixel_events = pixel_events
        self._shop_events = shop_events
        self._channel_hooks = channel_hooks

    async def answer(self, request: web.BaseRequest, connection: Connection) -> web.StreamResponse:
        """The answer to a request. Never raises but for cancellation."""
        source = _source(_path(request))
        answer = await self._answer(request, connection)
        metrics.WEBHOOKS.labels(source, str(answer.status)).inc()
        return answer

    async def _answer(self, request: web.BaseRequest, connection: Connection) -> web.StreamResponse:
        try:
            async with asyncio.timeout(WORK_S):
                return await self._route(request, connection)
        except answers.RefusedError as refused:
            return refused.answer
        except TimeoutError:
            return answers.away(f"the request could not be worked within {WORK_S:g} s")
        except _LEFT:
            return answers.malformed()  # which nobody reads, or it is true
        except Exception as error:  # noqa: BLE001 - the last catch: what an exception says may hold bytes of the client
            frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
            where = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames]
            _log.error("a request failed", error=type(error).__name__, where=where)
            return answers.failed()

    async def _route(self, request: web.BaseRequest, connection: Connection) -> web.StreamResponse:
        path = _path(request)
        if path == "/healthz":
            return _health(request)
        if match := SHOP_EVENTS.fullmatch(path):
            _check_method(request, {"POST"})
            return await self._shop_events.answer(request, connection, Place(UUID(match[1]), match[2]))
        if match := CHANNEL_EVENTS.fullmatch(path):
            _check_method(request, {"GET", "POST"})
            place = HookPlace(UUID(match[1]), UUID(match[2]))
            return await self._channel_hooks.answer(request, connection, place)
        if match := LINKS.fullmatch(path):
            _check_method(request, {"GET", "HEAD"})
            return await self._links.answer(request, connection, match[1])
        if match := PLATFORM_HOOKS.fullmatch(path):
            _check_method(request, {"POST"})
            platform = Platform(match[3].lower())
            return await self._platform_hooks.answer(request, connection, platform, UUID(match[1]), match[2])
        if match := PIXEL_EVENTS.fullmatch(path):
            _check_method(request, {"OPTIONS", "POST"})
            return await self._pixel_events.answer(request, connection, UUID(match[1]), UUID(match[2]))
        raise answers.RefusedError(answers.closing(answers.no_such_path()))


def _path(request: web.BaseRequest) -> str:
    """As it was sent, without the query: what is percent-encoded is no path of ours."""
    return request.raw_path.partition("?")[0]


def _source(path: str) -> str:
    if PIXEL_EVENTS.fullmatch(path):
        return "pixel"
    if SHOP_EVENTS.fullmatch(path) or PLATFORM_HOOKS.fullmatch(path):
        return "shop"
    if LINKS.fullmatch(path):
        return "link"
    return "channel" if CHANNEL_EVENTS.fullmatch(path) else "other"


def _check_method(request: web.BaseRequest, allowed: Collection[str]) -> None:
    if request.method not in allowed:
        raise answers.RefusedError(answers.closing(answers.wrong_method(", ".join(sorted(allowed)))))


def _health(request: web.BaseRequest) -> web.Response:
    _check_method(request, {"GET", "HEAD"})
    return answers.json_answer(200, {"status": "serving"})
