"""Calls of teams' addresses: to public ones only, resolved once, no redirects, bounded in time and bytes."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from libs.common.clock import SystemClock
from services.channel_gateway.domain.signing import shop_signature
from services.channel_gateway.domain.webhooks_out import Called, Due, Network, is_allowed

TOTAL_S: Final = 15.0
"""For one call, the look-up of its name and its answer included."""
CONNECT_S: Final = 5.0
ERROR_LENGTH_MAX: Final = 300
_CONNECTIONS_MAX: Final = 256
_LOOK_UPS_MAX: Final = 64
"""Names looked up at once: as many as endpoints are called at once. A look-up goes on after its call was given up."""
_REAL_TIME: Final = SystemClock()
"""Receivers look at their own clocks."""


class PrivateAddressError(OSError):
    """A name leads to no address that may be called."""


class _PublicOnly(AbstractResolver):
    """Looks names up and leaves out what may not be called. What is connected to is what was looked up: another answer
    a moment later changes nothing."""

    def __init__(self, private: Sequence[Network]) -> None:
        self._private = private
        # Of its own: names whose servers say nothing would hold the threads in which channels' names are looked up.
        self._threads = ThreadPoolExecutor(_LOOK_UPS_MAX, thread_name_prefix="names of webhooks")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        look_up = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, family=family)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        allowed = [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=proto,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, proto, _, address in found
            if is_allowed(str(address[0]), self._private)
        ]
        if not allowed:
            raise PrivateAddressError(f"{host} is a private address")
        return allowed

    async def close(self) -> None:
        """Waits for no look-up."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class WebhookCalls:
    """The session of all calls. Use as a context."""

    def __init__(self, private: Sequence[Network]) -> None:
        """`private` networks may be called, too."""
        self._private = private
        self._resolver = _PublicOnly(private)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> WebhookCalls:
        """Opens the session."""
        connector = aiohttp.TCPConnector(
            limit=_CONNECTIONS_MAX,
            resolver=self._resolver,
            use_dns_cache=False,
            force_close=True,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=TOTAL_S, sock_connect=CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes all connections."""
        if self._session is not None:
            await self._session.close()
        await self._resolver.close()

    async def call(self, url: str, secrets: Sequence[bytes], webhook: Due) -> Called:
        """One call. Raises nothing of the network."""
        if not secrets:
            return Called(0, "its signing key cannot be read", 0)
        began = time.monotonic()
        try:
            if not self._may_call(url):
                return Called(0, "the address is a private one", 0, refused=True)
            status, wait_s = await self._post(url, headers_of(secrets, webhook), webhook.body)
        except PrivateAddressError:
            return Called(0, "the address is a private one", _since(began), refused=True)
        except TimeoutError:
            return Called(0, "there was no answer in time", _since(began))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error.__cause__, PrivateAddressError) or isinstance(
                getattr(error, "os_error", None), PrivateAddressError
            ):
                return Called(0, "the address is a private one", _since(began), refused=True)
            return Called(0, f"there was no answer: {type(error).__name__}", _since(began))
        error_text = "" if 200 <= status < 300 else f"it answered {status}"
        return Called(status, error_text, _since(began), wait_s)

    def _may_call(self, url: str) -> bool:
        # An address that is written as one is not looked up.
        host = urlsplit(url).hostname or ""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return True
        return is_allowed(host, self._private)

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, float]:
        assert self._session is not None, "the calls are used as a context"
        async with asyncio.timeout(TOTAL_S):
            response = await self._session.post(
                URL(url, encoded=True), headers=headers, data=body, allow_redirects=False
            )
            try:
                # Nobody reads what it says: a body without end costs nothing.
                return response.status, _wished(response.headers.get("Retry-After", ""))
            finally:
                response.close()


def headers_of(secrets: Sequence[bytes], webhook: Due) -> dict[str, str]:
    """Of a call at the present time, a signature by each key."""
    timestamp, webhook_id = str(int(_REAL_TIME.now().timestamp())), str(webhook.webhook_id)
    signatures = [shop_signature(secret, webhook_id, timestamp, webhook.body) for secret in secrets]
    return {
        "Content-Type": "application/json",
        "User-Agent": "omnijourney-webhooks/1",
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1_000)


def _wished(value: str) -> float:
    return float(value) if value.isascii() and value.isdigit() and len(value) < 7 else 0.0


def new_ping(webhook_id: UUID, body: bytes) -> Due:
    """A webhook that nothing happened for."""
    return Due(webhook_id, "ping", body, 0)
