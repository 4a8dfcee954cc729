"""The HTTP edge: webhooks of shops are checked, stored as they came and answered; they are worked from the table."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog
from aiohttp import web

from libs.common.batching import Batcher
from libs.common.clock import Clock
from libs.common.errors import DomainError, ResourceExhausted, Unavailable
from services.channel_gateway import metrics
from services.channel_gateway.domain.inbox import InboxSource, Incoming, Receipt
from services.channel_gateway.domain.shop_events import EventFaultError, ShopEvent, parse
from services.channel_gateway.domain.signing import is_signed_by_shop
from services.channel_gateway.servicer.admission import InboxBound
from services.channel_gateway.store.inbox import InboxStore
from services.channel_gateway.worker.shop_keys import ShopKeys

BODY_BYTES_MAX: Final = 1024 * 1024
"""Largest body of a shop's webhook."""
STORE_BATCH_MAX: Final = 100
"""Webhooks stored in one transaction."""
STORE_BYTES_MAX: Final = 8 * 1024 * 1024
"""Bodies stored in one transaction, unless one alone is larger."""
STORE_WAITING_MAX: Final = 2_000
"""Webhooks that wait to be stored; more are answered 429."""
WEBHOOK_ID_MAX: Final = 200

_log = structlog.get_logger(__name__)


class HttpEdge:
    """Handlers and the batching of their writes."""

    def __init__(
        self,
        *,
        store: InboxStore,
        keys: ShopKeys,
        clock: Clock,
        tolerance: timedelta,
        bound: InboxBound,
        stored: Callable[[], None],
    ) -> None:
        """`stored` is called after a commit with new webhooks; `tolerance` of the signed time."""
        self._bound = bound
        self._keys = keys
        self._clock = clock
        self._tolerance = tolerance
        self._stored = stored
        self._batcher: Batcher[Incoming, Receipt] = Batcher(
            "webhooks",
            store.store,
            size_max=STORE_BATCH_MAX,
            waiting_max=STORE_WAITING_MAX,
            retry_after_s=1.0,
            bytes_of=lambda webhook: len(webhook.body),
            bytes_max=STORE_BYTES_MAX,
            away=(Unavailable,),
        )

    def application(self) -> web.Application:
        """The routes."""
        application = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[_count])
        application.router.add_get("/healthz", _health)
        application.router.add_post("/v1/teams/{team}/shops/{shop}/events", self.shop_events)
        return application

    async def shop_events(self, request: web.Request) -> web.Response:
        """Orders and refunds of a shop."""
        body = await _read(request)
        if body is None:
            return _error(413, "", f"the body is over {BODY_BYTES_MAX} bytes", "send fewer events a request")
        team_id, shop_id = _team_of(request), request.match_info["shop"]
        webhook_id = request.headers.get("webhook-id", "")
        try:
            if team_id is None or not await self._is_signed(request, team_id, shop_id, webhook_id, body):
                return _unsigned()
            events, _ = parse(body)
            await self._bound.admit(team_id, len(events))
            receipt = await self._batcher.submit_one(
                self._incoming(team_id, shop_id, webhook_id, body, len(events))
            )
        except EventFaultError as fault:
            return _error(400, fault.field, fault.message, fault.remedy)
        except ResourceExhausted as error:
            return _overloaded(error)
        except DomainError as error:
            _log.warning("a webhook could not be stored", error=str(error))
            return _error(
                503, "", "the webhook could not be stored", "send it again under the same webhook-id"
            )
        return self._answer(receipt, events)

    async def _is_signed(
        self, request: web.Request, team_id: UUID, shop_id: str, webhook_id: str, body: bytes
    ) -> bool:
        timestamp = request.headers.get("webhook-timestamp", "")
        if not 1 <= len(webhook_id) <= WEBHOOK_ID_MAX or not self._is_current(timestamp):
            return False
        keys = await self._keys.of(team_id, shop_id)
        return is_signed_by_shop(
            keys, webhook_id, timestamp, request.headers.get("webhook-signature", ""), body
        )

    def _is_current(self, timestamp: str) -> bool:
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 11):
            return False
        return abs(self._clock.now().timestamp() - int(timestamp)) <= self._tolerance.total_seconds()

    def _incoming(self, team_id: UUID, shop_id: str, webhook_id: str, body: bytes, events: int) -> Incoming:
        digest = hashlib.sha256(body).digest()
        return Incoming(
            team_id, InboxSource.SHOP, shop_id, webhook_id, body, digest, events, self._clock.now()
        )

    def _answer(self, receipt: Receipt, events: list[ShopEvent]) -> web.Response:
        if receipt is Receipt.CONFLICT:
            return _error(
                409,
                "webhook-id",
                "the id was used with another body",
                "give every webhook an id of its own, and repeat it only with the same body",
            )
        if receipt is Receipt.STORED:
            self._stored()
        return _json(202, {"results": _results(events)})


def _results(events: list[ShopEvent]) -> list[dict[str, str]]:
    seen: set[str] = set()
    results = []
    for event in events:
        status = "duplicate" if event.event_id in seen else "accepted"
        seen.add(event.event_id)
        results.append({"event_id": event.event_id, "status": status})
    return results


def _team_of(request: web.Request) -> UUID | None:
    try:
        return UUID(request.match_info["team"])
    except ValueError:
        return None


async def _read(request: web.Request) -> bytes | None:
    """The body as it came; None when it is too large."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        return None


async def _health(_: web.Request) -> web.Response:
    return _json(200, {"status": "serving"})


def _unsigned() -> web.Response:
    return _error(
        401,
        "webhook-signature",
        "the webhook is not signed by a valid key of this shop, or its time is off",
        "sign webhook-id.webhook-timestamp.body with the shop's key (Standard Webhooks) at the present time",
    )


def _overloaded(error: ResourceExhausted) -> web.Response:
    response = _error(
        429, "", error.message, "nothing was stored: send it again later, under the same webhook-id"
    )
    response.headers["Retry-After"] = str(math.ceil(error.retry_after_s or 1.0))
    return response


def _error(status: int, field: str, message: str, remedy: str) -> web.Response:
    return _json(status, {"error": {"field": field, "message": message, "remedy": remedy}})


def _json(status: int, body: dict[str, Any]) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")


@web.middleware
async def _count(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    response = await handler(request)
    source = "shop" if "shop" in request.match_info else "other"
    metrics.WEBHOOKS.labels(source, str(response.status)).inc()
    return response
