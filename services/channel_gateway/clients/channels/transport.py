"""HTTP to the channels: one session, explicit timeouts, no redirects, and exceptions turned into what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import aiohttp
import msgspec
from yarl import URL

CONNECT_TIMEOUT_S: Final = 3.0
READ_TIMEOUT_S: Final = 10.0
TOTAL_TIMEOUT_S: Final = 15.0
"""Longest one attempt takes."""
ANSWER_BYTES_MAX: Final = 1024 * 1024
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
    try:
        body = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Seconds of a `Retry-After` header, 0 without one (no channel documents it, some proxies send it)."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else 0.0
