"""Webhooks of shops: checked, stored as they came and answered item by item; they are worked from the table."""

from __future__ import annotations

import hashlib
from typing import Any

import structlog
from aiohttp import web

from libs.common.clock import Clock
from libs.common.errors import DomainError, ResourceExhausted
from libs.common.logging import about
from services.channel_gateway.domain.inbox import InboxSource, Incoming, Receipt
from services.channel_gateway.domain.shop_events import EventFaultError, parse
from services.channel_gateway.domain.signing import is_signed_by_shop
from services.channel_gateway.servicer.http import answers
from services.channel_gateway.servicer.http.bodies import ReadingRoom, apart, read
from services.channel_gateway.servicer.http.connections import Connection
from services.channel_gateway.servicer.http.head import BODY_BYTES_MAX, Head, HeadCheck, Place
from services.channel_gateway.servicer.http.item_results import Telling, results_of
from services.channel_gateway.servicer.http.rates import Rates
from services.channel_gateway.servicer.http.storing import Storing

_log = structlog.get_logger(__name__)


class ShopEvents:
    """Takes webhooks of shops."""

    def __init__(
        self,
        *,
        storing: Storing,
        head: HeadCheck,
        room: ReadingRoom,
        rates: Rates,
        telling: Telling,
        clock: Clock,
    ) -> None:
        """`telling` of what is left out of events."""
        self._storing = storing
        self._head = head
        self._room = room
        self._rates = rates
        self._telling = telling
        self._clock = clock

    async def answer(self, request: web.BaseRequest, connection: Connection, place: Place) -> web.Response:
        """The answer to a webhook. Raises RefusedError."""
        try:
            head = await self._head.read(request, place)
            size = BODY_BYTES_MAX if head.length is None else head.length
            async with self._room.hold(connection, size):
                return await self._take(head, await read(request, connection, BODY_BYTES_MAX))
        except ResourceExhausted as error:
            return answers.busy(error.message, error.retry_after_s)
        except DomainError as error:
            _log.warning("a webhook could not be stored", error=str(error), **about(place))
            return answers.away("the webhook could not be stored", error.retry_after_s)

    async def _take(self, head: Head, body: bytes) -> web.Response:
        signed = (head.keys, head.webhook_id, head.timestamp, head.signature, body)
        if not await apart(body, is_signed_by_shop, *signed):
            return answers.unsigned()
        rate = self._rates.take(head.place)
        if rate.retry_after_s is not None:
            return answers.busy("the shop sends faster than its limit", rate.retry_after_s, rate.headers)
        try:
            reports, is_list = parse(body)
        except EventFaultError as fault:
            return answers.refusal(400, "", fault.message, fault.remedy)
        reports = await self._telling.of(head.place.team_id, reports)
        results = results_of(reports, [f"[{index}]" if is_list else "" for index in range(len(reports))])
        taken = sum(1 for report in reports if report.event is not None)
        if not taken:
            first = results[0]
            return answers.refusal(400, first["field"], first["message"], first["remedy"], results=results)
        return await self._store(head, body, taken, results, rate.headers)

    async def _store(
        self, head: Head, body: bytes, taken: int, results: list[dict[str, Any]], headers: dict[str, str]
    ) -> web.Response:
        receipt = await self._storing.put(self._incoming(head, body, taken))
        if receipt is Receipt.CONFLICT:
            remedy = "give every webhook an id of its own, and repeat it only with the same body"
            return answers.refusal(409, "webhook-id", "the id was used with another body", remedy)
        return answers.json_answer(202, {"results": results}, headers)

    def _incoming(self, head: Head, body: bytes, taken: int) -> Incoming:
        team_id, shop_id = head.place
        digest = hashlib.sha256(body).digest()
        now = self._clock.now()
        return Incoming(team_id, InboxSource.SHOP, shop_id, head.webhook_id, body, digest, taken, now)
