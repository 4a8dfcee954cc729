"""Signed webhooks from the emulators to the product: one queue, in order, repeated until answered 200."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog

QUEUE_MAX = 100_000
"""Webhooks that may wait; beyond it sending one more is an error that the caller sees."""
TRIES_MAX = 8
"""Attempts for one webhook before it is dropped with a line in the log."""
FIRST_WAIT_S = 0.1
"""Real seconds before the second attempt; doubles with each."""
CHALLENGE = "1158201444"
TIMEOUT = aiohttp.ClientTimeout(total=5)

log = structlog.get_logger(__name__)


def meta_signature(secret: str, body: bytes) -> dict[str, str]:
    """Header that Meta signs a webhook with: hex HMAC-SHA256 over the raw body."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={digest}"}


def line_signature(secret: str, body: bytes) -> dict[str, str]:
    """Header that LINE signs a webhook with: base64 HMAC-SHA256 over the raw body."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return {"x-line-signature": base64.b64encode(digest).decode()}


@dataclass(frozen=True, slots=True)
class Platform:
    """How a platform writes its webhooks."""

    sign: Callable[[str, bytes], dict[str, str]]
    escapes: bool
    """Whether what is no ASCII is escaped."""


LINE = Platform(line_signature, escapes=False)
META = Platform(meta_signature, escapes=True)


@dataclass(frozen=True, slots=True)
class Aim:
    """Where webhooks go and how. Without a `url` none are sent."""

    url: str = ""
    secret: str = ""
    times: int = 1
    """Each is sent so often."""
    held: bool = False
    """They are kept until they are released, in any order."""


class WebhookSender:
    """Posts webhooks to one URL at a time. Start with `async with`; leaving drops what still waits."""

    def __init__(self, platform: Platform, aim: Aim) -> None:
        self.aim = aim
        self._platform = platform
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE_MAX)
        self._kept: list[bytes] = []
        self._last: dict[str, Any] = {}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "WebhookSender":
        self._task = asyncio.create_task(self._run(), name="emulator-webhooks")
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def last(self) -> dict[str, Any]:
        """The webhook that was sent last."""
        return self._last

    def send(self, payload: dict[str, Any]) -> None:
        """Queues one webhook, if there is an address; raises asyncio.QueueFull when too many wait."""
        if not self.aim.url:
            return
        self._last = payload
        escapes = self._platform.escapes
        body = json.dumps(payload, ensure_ascii=escapes, separators=(",", ":")).encode()
        for _ in range(self.aim.times):
            if self.aim.held:
                self._kept.append(body)
            else:
                self._queue.put_nowait(body)

    def release(self, *, reverse: bool) -> int:
        """Sends what was held, the last first if wanted; how many."""
        kept, self._kept = self._kept, []
        for body in reversed(kept) if reverse else kept:
            self._queue.put_nowait(body)
        return len(kept)

    async def greet(self, token: str) -> bool:
        """Meta's handshake: whether the address gives back the challenge. Raises aiohttp.ClientError."""
        asked = {"hub.mode": "subscribe", "hub.challenge": CHALLENGE, "hub.verify_token": token}
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
            session.get(self.aim.url, params=asked) as answer,
        ):
            return answer.status == 200 and await answer.text() == CHALLENGE

    async def idle(self) -> None:
        """Waits until all queued webhooks are answered or given up."""
        await self._queue.join()

    async def _run(self) -> None:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            while True:
                body = await self._queue.get()
                try:
                    await self._deliver(session, body)
                finally:
                    self._queue.task_done()

    async def _deliver(self, session: aiohttp.ClientSession, body: bytes) -> None:
        headers = {"Content-Type": "application/json", **self._platform.sign(self.aim.secret, body)}
        for attempt in range(TRIES_MAX):
            try:
                async with session.post(self.aim.url, data=body, headers=headers) as answer:
                    if answer.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError) as error:
                log.debug("webhook_failed", error=str(error), attempt=attempt)
            await asyncio.sleep(FIRST_WAIT_S * 2**attempt)
        log.warning("webhook_dropped", url=self.aim.url, bytes=len(body))
