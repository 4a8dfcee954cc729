"""Orders that pages report: of allowed origins, within bounds, stored one by one and answered item by item."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any, Final
from uuid import UUID

import structlog
from aiohttp import hdrs, web

from libs.common.clock import Clock
from libs.common.errors import DomainError, ResourceExhausted
from libs.common.logging import about
from services.channel_gateway.domain.inbox import InboxSource, Incoming, Receipt
from services.channel_gateway.domain.pixel import SIGNED, UNSIGNED, PixelEvent, pixel_events
from services.channel_gateway.domain.platforms import kept_id
from services.channel_gateway.domain.shop_events import EventFaultError
from services.channel_gateway.domain.views import PixelKey
from services.channel_gateway.servicer.http import answers
from services.channel_gateway.servicer.http.bodies import ReadingRoom, read
from services.channel_gateway.servicer.http.connections import Connection
from services.channel_gateway.servicer.http.head import Place, body_length
from services.channel_gateway.servicer.http.item_results import Telling, results_of
from services.channel_gateway.servicer.http.rates import Rates
from services.channel_gateway.servicer.http.storing import Storing
from services.channel_gateway.worker.pixel_keys import PixelKeys
from services.channel_gateway.worker.shop_keys import ShopKeys

PIXEL_BYTES_MAX: Final = 64 * 1024
"""Largest body of a page."""
PREFLIGHT_S: Final = 600
"""A browser asks again after so long."""

_log = structlog.get_logger(__name__)


class PixelEvents:
    """Takes what pages report."""

    def __init__(
        self,
        *,
        storing: Storing,
        pixel_keys: PixelKeys,
        shop_keys: ShopKeys,
        room: ReadingRoom,
        rates: Rates,
        telling: Telling,
        clock: Clock,
    ) -> None:
        """`pixel_keys` say which pages may report, `shop_keys` sign order tokens."""
        self._storing = storing
        self._pixel_keys = pixel_keys
        self._shop_keys = shop_keys
        self._room = room
        self._rates = rates
        self._telling = telling
        self._clock = clock

    async def answer(
        self, request: web.BaseRequest, connection: Connection, team_id: UUID, key_id: UUID
    ) -> web.Response:
        """The answer to a page, or to its browser's question beforehand. Raises RefusedError."""
        try:
            length = body_length(request, PIXEL_BYTES_MAX)
            key = await self._pixel_keys.of(team_id, key_id)
        except DomainError as error:
            return answers.away("the key could not be looked up", error.retry_after_s)
        origins = request.headers.getall(hdrs.ORIGIN, [])
        if key is None or len(origins) != 1 or origins[0] not in key.origins:
            raise answers.RefusedError(answers.closing(answers.no_page_of_the_shop()))
        if request.method == hdrs.METH_OPTIONS:
            answer = web.Response(status=204)
        else:
            answer = await self._post(request, connection, key, length)
        answer.headers.update(_shared_with(origins[0]))
        return answer

    async def _post(
        self, request: web.BaseRequest, connection: Connection, key: PixelKey, length: int | None
    ) -> web.Response:
        """What a page may read, whatever it is."""
        try:
            rate = self._rates.take(Place(key.team_id, f"pixel {key.key_id}"))
            if rate.retry_after_s is not None:
                return answers.busy(
                    "the pages send faster than their limit", rate.retry_after_s, rate.headers
                )
            async with self._room.hold(connection, PIXEL_BYTES_MAX if length is None else length):
                return await self._take(key, await read(request, connection, PIXEL_BYTES_MAX))
        except answers.RefusedError as refused:
            return refused.answer
        except ResourceExhausted as error:
            return answers.busy(error.message, error.retry_after_s)
        except DomainError as error:
            _log.warning("what a page reported could not be stored", error=str(error), **about(key))
            return answers.away("it could not be stored", error.retry_after_s)

    async def _take(self, key: PixelKey, body: bytes) -> web.Response:
        signing = await self._shop_keys.of(key.team_id, key.shop_id)
        try:
            events, is_list = pixel_events(body, key.shop_id, signing, self._clock.now())
        except EventFaultError as fault:
            return answers.refusal(400, "", fault.message, fault.remedy)
        reports = await self._telling.of(key.team_id, [event.report for event in events])
        results = results_of(reports, [f"[{index}]" if is_list else "" for index in range(len(reports))])
        if all(report.event is None and report.fault is not None for report in reports):
            first = results[0]
            return answers.refusal(400, first["field"], first["message"], first["remedy"], results=results)
        taken = [index for index, report in enumerate(reports) if report.event is not None]
        receipts = await asyncio.gather(
            *(self._storing.put(self._incoming(key, events[index])) for index in taken)
        )
        for index, receipt in zip(taken, receipts, strict=True):
            if receipt is not Receipt.STORED:
                results[index]["status"] = "duplicate"
        return answers.json_answer(202 if taken else 200, {"results": results})

    def _incoming(self, key: PixelKey, event: PixelEvent) -> Incoming:
        digest = hashlib.sha256(event.body).digest()
        webhook_id = kept_id(SIGNED if event.is_signed else UNSIGNED, digest.hex())
        now = self._clock.now()
        return Incoming(key.team_id, InboxSource.PIXEL, key.shop_id, webhook_id, event.body, digest, 1, now)


def _shared_with(origin: str) -> dict[str, Any]:
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "content-type",
        "Access-Control-Max-Age": str(PREFLIGHT_S),
        "Vary": "Origin",
    }
