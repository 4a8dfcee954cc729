"""Hearing that customers became ready: a connection of its own, for as long as the process lives."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from libs.common.backoff import Backoff, Retries
from libs.common.ids import PARTITIONS
from libs.common.tasks import set_within

WAKE_CHANNEL: Final = "oj:pokes"
"""Its name is what processes of earlier releases publish to and listen on. Messages are partition
numbers in decimal, with commas between."""
HEARTBEAT_S: Final = 5.0
"""A connection that is silent for so long is asked whether it lives."""
_BACKOFF: Final = Backoff(0.05, 2.0)

_log = structlog.get_logger(__name__)


class WakeSet:
    """Partitions that were woken and not asked for yet."""

    def __init__(self) -> None:
        self._partitions: set[int] = set()
        self._arrived = asyncio.Event()

    def add(self, *partitions: int) -> None:
        """Note partitions that have mail, and wake who waits."""
        self._partitions.update(partitions)
        self._arrived.set()

    async def wait(self, timeout_s: float) -> set[int]:
        """See `Mailbox.wait_woken`."""
        if not self._partitions:
            await set_within(self._arrived, timeout_s)
        arrived, self._partitions = self._partitions, set()
        self._arrived.clear()
        return arrived


class WakeListener:
    """Listens from the first `wait` on. After every (re)connection all partitions count as woken, since some may
    have been missed.
    """

    def __init__(self, connect: Callable[[], Redis]) -> None:
        self._connect = connect
        self._wakes = WakeSet()
        self._task: asyncio.Task[None] | None = None

    async def wait(self, timeout_s: float) -> set[int]:
        """See `Mailbox.wait_woken`."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="mailbox-wakes")
        return await self._wakes.wait(timeout_s)

    async def aclose(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        retries = Retries(_BACKOFF)
        while True:
            client = self._connect()
            try:
                async for partitions in _heard(client):
                    retries.succeeded()
                    self._wakes.add(*partitions)
            except (RedisError, OSError) as error:
                _log.warning("mailbox_wakes_disconnected", error=str(error), failures=retries.failures + 1)
            finally:
                with contextlib.suppress(RedisError, OSError):
                    await client.aclose()
            await asyncio.sleep(retries.failed())


async def _heard(client: Redis) -> AsyncIterator[Iterable[int]]:
    """Yield the partitions that are woken, for ever.

    Raises `RedisError` or `OSError` when the connection ends or answers no heartbeat.
    """
    pubsub = client.pubsub()
    await pubsub.subscribe(WAKE_CHANNEL)
    waiting_for_pong = False
    while True:
        message = await pubsub.get_message(timeout=HEARTBEAT_S)
        if message is None:
            if waiting_for_pong:
                raise TimeoutError("no answer to the heartbeat")
            await pubsub.ping()
            waiting_for_pong = True
            continue
        waiting_for_pong = False
        if message["type"] == "subscribe":
            yield range(PARTITIONS)
        elif message["type"] == "message":
            yield map(int, message["data"].split(b","))
