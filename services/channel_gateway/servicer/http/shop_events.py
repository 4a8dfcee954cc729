"""Webhooks of shops: checked, stored as they came and answered item by item; they are worked from the table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import structlog
from aiohttp import web

from libs.common.clock import Clock
from libs.common.errors import DomainError, ResourceExhausted
from libs.common.hints import Reason
from services.channel_gateway.domain.inbox import InboxSource, Incoming, Receipt
from services.channel_gateway.domain.shop_events import (
    EventFaultError,
    LeftOut,
    ShopReport,
    needs_country,
    parse,
    unreadable_phone,
)
from services.channel_gateway.domain.signing import is_signed_by_shop
from services.channel_gateway.servicer.http import answers
from services.channel_gateway.servicer.http.bodies import ReadingRoom, read
from services.channel_gateway.servicer.http.connections import Connection
from services.channel_gateway.servicer.http.head import BODY_BYTES_MAX, Head, HeadCheck, Place
from services.channel_gateway.servicer.http.rates import Rates
from services.channel_gateway.servicer.http.storing import Storing

_log = structlog.get_logger(__name__)


class Countries(Protocol):
    """Knows in which country's form a team writes phone numbers."""

    async def country(self, team_id: UUID) -> str:
        """ISO 3166-1 alpha-2; empty where the team has none. Raises Unavailable."""
        ...


class ShopEvents:
    """Takes webhooks of shops."""

    def __init__(
        self,
        *,
        storing: Storing,
        head: HeadCheck,
        room: ReadingRoom,
        rates: Rates,
        countries: Countries,
        clock: Clock,
        ahead_max: timedelta,
    ) -> None:
        """An event of more than `ahead_max` from now counts as of now."""
        self._storing = storing
        self._head = head
        self._room = room
        self._rates = rates
        self._countries = countries
        self._clock = clock
        self._ahead_max = ahead_max

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
            _log.warning("a webhook could not be stored", error=str(error))
            return answers.away("the webhook could not be stored", error.retry_after_s)

    async def _take(self, head: Head, body: bytes) -> web.Response:
        if not is_signed_by_shop(head.keys, head.webhook_id, head.timestamp, head.signature, body):
            return answers.unsigned()
        rate = self._rates.take(head.place)
        if rate.retry_after_s is not None:
            return answers.busy("the shop sends faster than its limit", rate.retry_after_s, rate.headers)
        try:
            reports, is_list = parse(body)
        except EventFaultError as fault:
            return answers.refusal(400, "", fault.message, fault.remedy)
        reports = await self._with_phones_read(head.place.team_id, reports)
        latest = self._clock.now() + self._ahead_max
        reports = [_with_time_cut(report, latest) for report in reports]
        results = _results(reports, is_list)
        taken = sum(1 for report in reports if report.event is not None)
        if not taken:
            first = results[0]
            return answers.refusal(400, first["field"], first["message"], first["remedy"], results=results)
        return await self._store(head, body, taken, results, rate.headers)

    async def _with_phones_read(self, team_id: UUID, reports: Sequence[ShopReport]) -> list[ShopReport]:
        """The same, with phones that nobody can read named. The country is asked for only where it takes one."""
        if not any(report.event is not None and needs_country(report.event) for report in reports):
            return list(reports)
        country = await self._countries.country(team_id)
        return [_with_phone_read(report, country) for report in reports]

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


def _with_phone_read(report: ShopReport, country: str) -> ShopReport:
    fault = report.event and unreadable_phone(report.event, country)
    return report._replace(left_out=(*report.left_out, fault)) if fault else report


def _with_time_cut(report: ShopReport, latest: datetime) -> ShopReport:
    """The same, with a time to come told: what is stored stays as it came, and is cut when it is handed on."""
    if report.event is None or report.event.occurred_at <= latest:
        return report
    return report._replace(left_out=(*report.left_out, LeftOut("occurred_at", Reason.TOO_FAR_AHEAD)))


def _results(reports: Iterable[ShopReport], is_list: bool) -> list[dict[str, Any]]:
    seen: set[bytes] = set()
    return [_result(report, f"[{index}]" if is_list else "", seen) for index, report in enumerate(reports)]


def _result(report: ShopReport, at: str, seen: set[bytes]) -> dict[str, Any]:
    if report.event is None:
        assert report.fault is not None, "what is no event has a fault"
        fault = report.fault
        return {
            "event_id": report.event_id,
            "status": "refused",
            "field": _path(at, fault.field),
            "reason": fault.reason.name,
            "message": fault.message,
            "remedy": fault.remedy,
        }
    content = report.event.content()
    result: dict[str, Any] = {
        "event_id": report.event_id,
        "status": "duplicate" if content in seen else "accepted",
    }
    seen.add(content)
    if report.left_out:
        result["left_out"] = [_left_out(each, at) for each in report.left_out]
    return result


def _left_out(left_out: LeftOut, at: str) -> dict[str, str]:
    reason = left_out.reason
    return {"field": _path(at, left_out.field), "reason": reason.name, "message": reason.value}


def _path(at: str, field: str) -> str:
    return f"{at}.{field}" if at and field else at or field
