"""Room for calls: how much of something may be under way at once, in all and for each client."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from libs.common.errors import ResourceExhausted
from libs.common.rpc import limits
from libs.common.token_bucket import TokenBucket

_RETRY_S: Final = 0.5


class Room:
    """An amount of something that calls hold while they need it. Who finds none waits its turn, for a bounded time.

    A client that holds its share waits for itself: others overtake it.
    """

    def __init__(self, name: str, amount: int, share: int) -> None:
        """`amount` in all, of which one client holds at most `share`."""
        self._name = name
        self._left = amount
        self._share = share
        self._held: dict[Hashable, int] = {}
        self._waiting: deque[tuple[asyncio.Future[None], Hashable, int]] = deque()

    def try_take(self, client: Hashable, amount: int) -> bool:
        """Takes it if it is free and nobody waits for it."""
        return not self._waiting and self._grant(client, amount)

    async def take(self, client: Hashable, amount: int) -> None:
        """Takes it as soon as it is free. Raises ResourceExhausted `OVERLOADED`."""
        if self.try_take(client, amount):
            return
        if len(self._waiting) >= limits.ROOM_WAITING_MAX:
            raise self._overloaded()
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, client, amount))
        self._serve()  # it may overtake those who wait for themselves
        try:
            async with asyncio.timeout(limits.ROOM_WAIT_MAX_S):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.give_back(client, amount)
            turn.cancel()
            if isinstance(error, TimeoutError):
                raise self._overloaded() from None
            raise

    def give_back(self, client: Hashable, amount: int) -> None:
        """Gives back what was taken."""
        self._left += amount
        held = self._held[client] - amount
        if held:
            self._held[client] = held
        else:
            del self._held[client]
        if self._waiting:
            self._serve()

    def _grant(self, client: Hashable, amount: int) -> bool:
        held = self._held.get(client, 0) + amount
        if amount > self._left or held > self._share:
            return False
        self._left -= amount
        self._held[client] = held
        return True

    def _serve(self) -> None:
        still: deque[tuple[asyncio.Future[None], Hashable, int]] = deque()
        for turn, client, amount in self._waiting:
            if turn.done():
                continue
            if self._grant(client, amount):
                turn.set_result(None)
            else:
                still.append((turn, client, amount))
        self._waiting = still

    def _overloaded(self) -> ResourceExhausted:
        return ResourceExhausted.overloaded(self._name, _RETRY_S)


class Use:
    """What one client has under way."""

    __slots__ = ("bucket", "calls")

    def __init__(self, rate: float) -> None:
        """`rate` in calls a second."""
        self.calls = 0
        self.bucket = TokenBucket(rate, 2 * rate, time.monotonic())


class Uses:
    """What the clients of a server have under way together."""

    def __init__(self, client_rate: float = limits.CLIENT_RATE_DEFAULT) -> None:
        """`client_rate` in calls a second of each client."""
        self.client_rate = client_rate
        self.calls = 0
        self.own_calls = 0
        """Of our own services."""
        self.reads = Room("messages received at once", limits.READS_MAX, limits.CLIENT_READS_MAX)
        self.parsed = Room("bytes under way", limits.PARSED_BYTES_MAX, limits.CLIENT_PARSED_BYTES_MAX)
        self._clients: dict[UUID, Use] = {}

    def of(self, client_id: UUID) -> Use:
        """What a client has under way."""
        use = self._clients.get(client_id)
        if use is None:
            if len(self._clients) >= limits.CLIENTS_REMEMBERED_MAX:
                self._clients = {key: value for key, value in self._clients.items() if value.calls}
            use = self._clients[client_id] = Use(self.client_rate)
        return use


class Places:
    """A few places for calls of anybody. The newest is served first, and who was there longest makes room for it.

    So calls that say nothing hold a place only for as long as nobody else wants it.
    """

    def __init__(self, name: str, size: int, patience_s: float, waiting_max: int = 64) -> None:
        """`patience_s` is how long a call has its place for certain; of those who wait, the `waiting_max` newest do."""
        self._name = name
        self._size = size
        self._patience_s = patience_s
        self._waiting_max = waiting_max
        self._held: dict[asyncio.Timeout, float] = {}
        """Since when, of the loop's time; the oldest first."""
        self._waiting: list[asyncio.Future[None]] = []
        self._granted = 0
        """Places of those who waited and have not taken them yet."""
        self._eviction: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Holds a place for a block, after waiting for it. Raises ResourceExhausted `OVERLOADED`, in the block too."""
        if len(self._held) + self._granted >= self._size:
            await self._wait()
        try:
            async with asyncio.timeout(None) as stay:
                self._held[stay] = asyncio.get_running_loop().time()
                try:
                    yield
                finally:
                    self._held.pop(stay, None)
                    self._serve()
        except TimeoutError:
            if stay.expired():
                raise self._overloaded() from None
            raise

    async def _wait(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        if len(self._waiting) > self._waiting_max:
            self._waiting.pop(0).set_exception(self._overloaded())
        self._arm()
        try:
            await turn
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn.cancelled() and turn.exception() is None:
                self._granted -= 1

    def _arm(self) -> None:
        if self._eviction is None and self._waiting and self._held:
            since = next(iter(self._held.values()))
            loop = asyncio.get_running_loop()
            self._eviction = loop.call_at(since + self._patience_s, self._evict)

    def _evict(self) -> None:
        self._eviction = None
        loop = asyncio.get_running_loop()
        if self._waiting and self._held:
            oldest = next(iter(self._held))
            # Out of the books at once: the next one may be due before this one has left.
            del self._held[oldest]
            oldest.reschedule(loop.time())
        self._serve()

    def _serve(self) -> None:
        while self._waiting and len(self._held) + self._granted < self._size:
            turn = self._waiting.pop()
            if not turn.done():
                turn.set_result(None)
                self._granted += 1
        self._arm()

    def _overloaded(self) -> ResourceExhausted:
        return ResourceExhausted.overloaded(self._name, _RETRY_S)
