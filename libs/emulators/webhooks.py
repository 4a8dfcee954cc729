"""Signed webhooks from the emulators to the product: one queue, in order, repeated until answered 200."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import structlog

QUEUE_MAX = 100_000
"""Webhooks that may wait; beyond it sending one more is an error that the caller sees."""
TRIES_MAX = 8
"""Attempts for one webhook before it is dropped with a line in the log."""
FIRST_WAIT_S = 0.1
"""Real seconds before the second attempt; doubles with each."""

log = structlog.get_logger(__name__)


def meta_signature(secret: str, body: bytes) -> dict[str, str]:
    """Header that Meta signs a webhook with: hex HMAC-SHA256 over the raw body."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={digest}"}


def line_signature(secret: str, body: bytes) -> dict[str, str]:
    """Header that LINE signs a webhook with: base64 HMAC-SHA256 over the raw body."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return {"x-line-signature": base64.b64encode(digest).decode()}


class WebhookSender:
    """Posts webhooks to one URL. Start with `async with`; leaving drops what still waits."""

    def __init__(self, url: str, secret: str, sign: Callable[[str, bytes], dict[str, str]]) -> None:
        self._url = url
        self._secret = secret
        self._sign = sign
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE_MAX)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "WebhookSender":
        self._task = asyncio.create_task(self._run(), name="emulator-webhooks")
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def send(self, payload: dict[str, Any]) -> None:
        """Queues one webhook; raises asyncio.QueueFull when nobody has answered for very long."""
        self._queue.put_nowait(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode())

    async def idle(self) -> None:
        """Waits until all queued webhooks are answered or given up."""
        await self._queue.join()

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                body = await self._queue.get()
                try:
                    await self._deliver(session, body)
                finally:
                    self._queue.task_done()

    async def _deliver(self, session: aiohttp.ClientSession, body: bytes) -> None:
        headers = {"Content-Type": "application/json", **self._sign(self._secret, body)}
        for attempt in range(TRIES_MAX):
            try:
                async with session.post(self._url, data=body, headers=headers) as answer:
                    if answer.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError) as error:
                log.debug("webhook_failed", error=str(error), attempt=attempt)
            await asyncio.sleep(FIRST_WAIT_S * 2**attempt)
        log.warning("webhook_dropped", url=self._url, bytes=len(body))
