"""What is checked of a request before a byte of its body is read: cheap first, the shop's keys last."""

from __future__ import annotations

import re
import secrets
from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID

from aiohttp import hdrs, web

from libs.common.clock import Clock
from services.channel_gateway.servicer.http import answers
from services.channel_gateway.worker.shop_keys import ShopKeys

BODY_BYTES_MAX: Final = 1024 * 1024
"""Largest body of a shop's webhook."""
HOOK_BYTES_MAX: Final = 3 * 1024 * 1024
"""Largest body of a channel's webhook; Meta promises no more."""
ID: Final = re.compile(r"[!-~]{1,200}")
TIMESTAMP: Final = re.compile(r"[0-9]{1,11}")
SIGNATURE: Final = re.compile(r"[ -~]{1,2000}")
_LENGTH: Final = re.compile(r"[0-9]{1,19}")

NOBODYS_KEY: Final = secrets.token_bytes(32)
"""A key with which nobody signs."""


class Place(NamedTuple):
    """What a path names."""

    team_id: UUID
    shop_id: str


class Head(NamedTuple):
    """A head that is worth reading the body for."""

    place: Place
    webhook_id: str
    timestamp: str
    signature: str
    length: int | None
    """Bytes of the body; None where they are not told beforehand."""
    keys: list[bytes]
    """Of which one has to have signed."""


class HeadCheck:
    """Reads heads."""

    def __init__(self, keys: ShopKeys, clock: Clock, tolerance: timedelta) -> None:
        """`tolerance` of the signed time, either way."""
        self._keys = keys
        self._clock = clock
        self._tolerance_s = tolerance.total_seconds()

    async def read(self, request: web.BaseRequest, place: Place) -> Head:
        """Raises RefusedError, and Unavailable where the keys cannot be read."""
        length = body_length(request, BODY_BYTES_MAX)
        webhook_id = _formed(request, "webhook-id", ID)
        timestamp = _formed(request, "webhook-timestamp", TIMESTAMP)
        signature = _formed(request, "webhook-signature", SIGNATURE)
        if abs(self._clock.now().timestamp() - int(timestamp)) > self._tolerance_s:
            raise _unsigned()
        # A shop that does not exist is answered as a signature that is wrong, behind the body and after as much work.
        keys = await self._keys.of(*place) or [NOBODYS_KEY]
        return Head(place, webhook_id, timestamp, signature, length, keys)


def _only(request: web.BaseRequest, name: str, otherwise: str) -> str:
    """The value of a header; `otherwise` where it is missing, something else where it stands twice."""
    values = request.headers.getall(name, [otherwise])
    return values[0] if len(values) == 1 else "several"


def body_length(request: web.BaseRequest, bytes_max: int) -> int | None:
    """Bytes of a body that comes as it is; None where they are not told beforehand. Raises RefusedError."""
    if _only(request, hdrs.CONTENT_ENCODING, "identity").strip().lower() not in {"", "identity"}:
        raise answers.RefusedError(answers.encoded())
    if _only(request, hdrs.TRANSFER_ENCODING, "chunked").strip().lower() not in {"", "chunked"}:
        raise answers.RefusedError(answers.encoded())
    if hdrs.TRANSFER_ENCODING in request.headers:
        return None
    text = request.headers.get(hdrs.CONTENT_LENGTH, "0").strip()
    if not _LENGTH.fullmatch(text):
        raise answers.RefusedError(answers.malformed())
    if int(text) > bytes_max:
        raise answers.RefusedError(answers.too_large(bytes_max))
    return int(text)


def _formed(request: web.BaseRequest, name: str, form: re.Pattern[str]) -> str:
    values = request.headers.getall(name, [])
    if len(values) != 1 or not form.fullmatch(values[0]):
        raise _unsigned()
    return values[0]


def _unsigned() -> answers.RefusedError:
    return answers.RefusedError(answers.closing(answers.unsigned()))
