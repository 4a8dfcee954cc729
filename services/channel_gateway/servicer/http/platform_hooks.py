"""Webhooks of the platforms that shops run on: Shopify, WooCommerce, Segment. Checked, stored as they came, answered.

A platform reads no more of the answer than its status, and stops sending to whoever refuses much. So what cannot be
understood is stored as well, and stands beside the record with its reason.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from aiohttp import hdrs, web

from libs.common.clock import Clock
from libs.common.errors import DomainError, ResourceExhausted
from libs.common.logging import about
from services.channel_gateway.domain.inbox import Incoming, Receipt
from services.channel_gateway.domain.platforms import SOURCES, Platform, kept_id, reports_of
from services.channel_gateway.domain.shop_events import EventFaultError
from services.channel_gateway.domain.signing import (
    SECRET_PREFIX,
    decode_secret,
    is_one_of,
    is_signed_by_segment,
    is_signed_in_base64,
)
from services.channel_gateway.servicer.http import answers
from services.channel_gateway.servicer.http.bodies import ReadingRoom, apart, read
from services.channel_gateway.servicer.http.connections import Connection
from services.channel_gateway.servicer.http.head import BODY_BYTES_MAX, NOBODYS_KEY, Place, body_length
from services.channel_gateway.servicer.http.item_results import Telling, results_of
from services.channel_gateway.servicer.http.rates import Rates
from services.channel_gateway.servicer.http.storing import Storing
from services.channel_gateway.worker.shop_keys import ShopKeys

PING_BYTES_MAX: Final = 100
_PING: Final = re.compile(rb"webhook_id=[0-9]{1,20}")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{43}=")
_SHA1: Final = re.compile(r"[0-9a-fA-F]{40}")
_BASIC: Final = re.compile(r"[Bb]asic [A-Za-z0-9+/]{1,300}={0,2}")
_TOPIC: Final = re.compile(r"[a-z_]{1,40}[/.][a-z_]{1,40}")
_ID: Final = re.compile(r"[!-~]{1,100}")
_DOMAIN: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

_log = structlog.get_logger(__name__)


class _Signature(NamedTuple):
    """By what a sender is known; one of both."""

    code: str
    secret: bytes = b""
    """The key itself."""


class _Head(NamedTuple):
    """A head that is worth reading the body for."""

    platform: Platform
    place: Place
    topic: str
    webhook_id: str
    """Empty: the body is its own."""
    signature: _Signature
    length: int | None
    keys: list[bytes]


class PlatformHooks:
    """Takes webhooks of shops' platforms."""

    def __init__(
        self,
        *,
        storing: Storing,
        keys: ShopKeys,
        room: ReadingRoom,
        rates: Rates,
        telling: Telling,
        clock: Clock,
    ) -> None:
        """`keys` of shops, `telling` of what is left out of events."""
        self._storing = storing
        self._keys = keys
        self._room = room
        self._rates = rates
        self._telling = telling
        self._clock = clock

    async def answer(
        self,
        request: web.BaseRequest,
        connection: Connection,
        platform: Platform,
        team_id: UUID,
        shop_id: str | None,
    ) -> web.Response:
        """The answer to a webhook; without a shop it is the one that Shopify's header names. Raises RefusedError."""
        try:
            if platform is Platform.WOOCOMMERCE and _may_be_ping(request):
                return await self._answer_ping(request, connection)
            head = await self._head(request, platform, team_id, shop_id)
            size = BODY_BYTES_MAX if head.length is None else head.length
            async with self._room.hold(connection, size):
                return await self._take(head, await read(request, connection, BODY_BYTES_MAX))
        except ResourceExhausted as error:
            return answers.busy(error.message, error.retry_after_s)
        except DomainError as error:
            _log.warning(
                "a platform's webhook could not be stored", error=str(error), **about(team_id=team_id)
            )
            return answers.away("the webhook could not be stored", error.retry_after_s)

    async def _answer_ping(self, request: web.BaseRequest, connection: Connection) -> web.Response:
        """WooCommerce tries an address with a body that it does not sign."""
        async with self._room.hold(connection, PING_BYTES_MAX):
            body = await read(request, connection, PING_BYTES_MAX)
        if not _PING.fullmatch(body):
            raise _unsigned()
        return answers.json_answer(200, {"results": []})

    async def _head(
        self, request: web.BaseRequest, platform: Platform, team_id: UUID, shop_id: str | None
    ) -> _Head:
        length = body_length(request, BODY_BYTES_MAX)
        signature = _SIGNATURES[platform](request)
        shop_id = shop_id or (
            _shopify(request, "Shop-Domain", _DOMAIN) if platform is Platform.SHOPIFY else ""
        )
        if signature is None or not shop_id:
            raise _unsigned()
        keys = await self._keys.of(team_id, shop_id) or [NOBODYS_KEY]
        topic, webhook_id = _named(request, platform)
        return _Head(platform, Place(team_id, shop_id), topic, webhook_id, signature, length, keys)

    async def _take(self, head: _Head, body: bytes) -> web.Response:
        if not await apart(body, _is_signed, head, body):
            return answers.unsigned_by_platform()
        rate = self._rates.take(head.place)
        if rate.retry_after_s is not None:
            return answers.busy("the shop sends faster than its limit", rate.retry_after_s, rate.headers)
        try:
            placed = await apart(body, reports_of, head.platform, head.topic, body)
        except EventFaultError as fault:
            return answers.refusal(400, "", fault.message, fault.remedy)
        reports = await self._telling.of(head.place.team_id, [each.report for each in placed])
        results = results_of(reports, [each.at for each in placed])
        count = sum(1 for report in reports if report.event is not None or report.fault is not None)
        if not count:
            return answers.json_answer(200, {"results": results}, rate.headers)
        receipt = await self._storing.put(self._incoming(head, body, count))
        if receipt is Receipt.CONFLICT:
            remedy = "give every webhook an id of its own, and repeat it only with the same body"
            return answers.refusal(409, "webhook-id", "the id was used with another body", remedy)
        if receipt is Receipt.REPEATED:
            results = [_again(result) for result in results]
        return answers.json_answer(202, {"results": results}, rate.headers)

    def _incoming(self, head: _Head, body: bytes, count: int) -> Incoming:
        team_id, shop_id = head.place
        digest = hashlib.sha256(body).digest()
        webhook_id = kept_id(head.topic, head.webhook_id or digest.hex())
        now = self._clock.now()
        return Incoming(team_id, SOURCES[head.platform], shop_id, webhook_id, body, digest, count, now)


def _again(result: dict[str, object]) -> dict[str, object]:
    return {**result, "status": "duplicate"} if result["status"] == "accepted" else result


def _is_signed(head: _Head, body: bytes) -> bool:
    if head.signature.secret:
        return is_one_of(head.keys, head.signature.secret)
    check = is_signed_by_segment if head.platform is Platform.SEGMENT else is_signed_in_base64
    return check(head.keys, head.signature.code, body)


def _named(request: web.BaseRequest, platform: Platform) -> tuple[str, str]:
    """Topic and id of a webhook."""
    match platform:
        case Platform.SHOPIFY:
            return _shopify(request, "Topic", _TOPIC), _shopify(request, "Webhook-Id", _ID)
        case Platform.WOOCOMMERCE:
            return _only(request, "X-WC-Webhook-Topic", _TOPIC), _only(
                request, "X-WC-Webhook-Delivery-ID", _ID
            )
        case Platform.SEGMENT:
            return "", ""


def _shopify(request: web.BaseRequest, name: str, form: re.Pattern[str]) -> str:
    """A header of Shopify, whose newer ones have no `X-`."""
    return _only(request, f"X-Shopify-{name}", form) or _only(request, f"Shopify-{name}", form)


def _only(request: web.BaseRequest, name: str, form: re.Pattern[str]) -> str:
    """A well-formed header; empty where there is none, or several."""
    values = request.headers.getall(name, [])
    return values[0] if len(values) == 1 and form.fullmatch(values[0]) else ""


def _signed_by_shopify(request: web.BaseRequest) -> _Signature | None:
    code = _shopify(request, "Hmac-Sha256", _BASE64)
    return _Signature(code) if code else None


def _signed_by_woocommerce(request: web.BaseRequest) -> _Signature | None:
    code = _only(request, "X-WC-Webhook-Signature", _BASE64)
    return _Signature(code) if code else None


def _signed_by_segment(request: web.BaseRequest) -> _Signature | None:
    if code := _only(request, "X-Signature", _SHA1):
        return _Signature(code)
    given = _only(request, hdrs.AUTHORIZATION, _BASIC).partition(" ")[2]
    try:
        user, _, password = base64.b64decode(given, validate=True).decode("ascii").partition(":")
        secret = user or password
        return _Signature("", decode_secret(secret) if secret.startswith(SECRET_PREFIX) else secret.encode())
    except (binascii.Error, ValueError):
        return None


_SIGNATURES: Final = {
    Platform.SHOPIFY: _signed_by_shopify,
    Platform.WOOCOMMERCE: _signed_by_woocommerce,
    Platform.SEGMENT: _signed_by_segment,
}


def _may_be_ping(request: web.BaseRequest) -> bool:
    has_signature = "X-WC-Webhook-Signature" in request.headers
    return not has_signature and 0 < (body_length(request, BODY_BYTES_MAX) or 0) <= PING_BYTES_MAX


def _unsigned() -> answers.RefusedError:
    return answers.RefusedError(answers.closing(answers.unsigned_by_platform()))
