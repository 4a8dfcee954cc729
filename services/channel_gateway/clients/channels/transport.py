"""HTTP to the channels: one session, explicit timeouts, no redirects, and exceptions turned into what they mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

import aiohttp
import msgspec
from yarl import URL

from services.channel_gateway.domain.json_items import without_broken_text, without_depths

CONNECT_TIMEOUT_S: Final = 3.0
READ_TIMEOUT_S: Final = 10.0
TOTAL_TIMEOUT_S: Final = 15.0
"""Longest one attempt takes."""
ANSWER_BYTES_MAX: Final = 1024 * 1024
DEPTH_MAX: Final = 100
"""Brackets within brackets of an answer; what lies deeper is passed over."""
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_SECONDS: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)
KEEPALIVE_S: Final = 15.0
"""Idle connections are dropped before servers do it, so that no request meets a closing one."""
CONNECTIONS_MAX: Final = 512


class Reply(NamedTuple):
    """An HTTP answer. `body` is the decoded JSON, or {} when it is none."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]


class NotSentError(Exception):
    """The request did not leave: connection refused, name not found, TLS. Safe to repeat."""


class NoAnswerError(Exception):
    """The request left, or may have, and no answer came. What became of it is unknown."""


class Transport:
    """The session that all adapters share. Use as a context."""

    def __init__(self) -> None:
        """Opens nothing yet."""
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Transport:
        """Opens the session."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX, keepalive_timeout=KEEPALIVE_S),
            timeout=aiohttp.ClientTimeout(
                total=TOTAL_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes all connections."""
        if self._session is not None:
            await self._session.close()

    async def request(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None = None
    ) -> Reply:
        """One request. Raises NotSentError or NoAnswerError."""
        assert self._session is not None, "the transport is used as a context"
        try:
            async with self._session.request(
                method, url, headers=headers, data=body, allow_redirects=False
            ) as response:
                raw = await _read(response.content)
                return Reply(response.status, _decode(raw), response.headers)
        except ValueError as error:  # of what it is made of, as a token with a line break
            raise NotSentError("the request cannot be written") from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotSentError(str(error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NoAnswerError(str(error) or type(error).__name__) from error


async def _read(content: aiohttp.StreamReader) -> bytes:
    """A whole answer, up to ANSWER_BYTES_MAX: one `read` gives what has come so far."""
    raw = bytearray()
    while len(raw) < ANSWER_BYTES_MAX and (part := await content.read(ANSWER_BYTES_MAX - len(raw))):
        raw += part
    return bytes(raw)


def _decode(raw: bytes) -> dict[str, Any]:
    """What is no character, or lies too deep, hides nothing else that the answer says."""
    try:
        body = msgspec.json.decode(raw)
    except _UNREADABLE:
        try:
            body = msgspec.json.decode(without_depths(without_broken_text(raw), DEPTH_MAX))
        except _UNREADABLE:
            return {}
    return body if isinstance(body, dict) else {}


def id_of(value: object) -> str:
    """What a channel calls something that it took; empty for what is no name."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Seconds of a `Retry-After` header, 0 without one (no channel documents it, some proxies send it): a number, or a
    time, which is behind that of the answer by so many."""
    value = headers.get("Retry-After", "")
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        wanted, answered = parsedate_to_datetime(value), parsedate_to_datetime(headers.get("Date", ""))
        return max(0.0, wanted.timestamp() - answered.timestamp())
    except (ValueError, OverflowError):
        return 0.0
