"""What happens to the hosts, one after the other: between two of them everything becomes whole again."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final

from tests.failover.site import WHOLE, Site


class Blow(StrEnum):
    """A kind."""

    LEADER_DIES = "the host of PostgreSQL's leader dies"
    LEADER_CUT_OFF = "the host of PostgreSQL's leader is cut off"
    HOST_DIES = "another host dies"
    HOST_CUT_OFF = "another host is cut off"
    SWITCHOVER = "PostgreSQL's lead is handed over"
    REDIS_PRIMARY = "kill -9 of a Redis primary"
    SERVICE = "kill -9 of a service"


_AWAY_S: Final = (25.0, 40.0)
"""Longer than Patroni and the Redis cluster need to choose others."""
_PAUSE_S: Final = (2.0, 6.0)


class Blows:
    """Deals each kind at least once, in an order that follows from the seed."""

    def __init__(self, site: Site, tell: Callable[[str], None], rng: random.Random) -> None:
        self._site = site
        self._tell = tell
        self._rng = rng
        self._began_s = time.monotonic()
        self.done: Counter[Blow] = Counter()
        self._deals: dict[Blow, Callable[[], Awaitable[str]]] = {
            Blow.LEADER_DIES: self._leader_dies,
            Blow.LEADER_CUT_OFF: self._leader_cut_off,
            Blow.HOST_DIES: self._host_dies,
            Blow.HOST_CUT_OFF: self._host_cut_off,
            Blow.SWITCHOVER: self._switchover,
            Blow.REDIS_PRIMARY: self._redis_primary,
            Blow.SERVICE: self._service,
        }

    async def deal(self, rounds: int) -> None:
        """All kinds so many times. Errors: AssertionError when the installation does not become whole again."""
        self._began_s = time.monotonic()
        for _ in range(rounds):
            kinds = list(Blow)
            self._rng.shuffle(kinds)
            for kind in kinds:
                await asyncio.sleep(self._rng.uniform(*_PAUSE_S))
                await self._deal(kind)

    async def _deal(self, kind: Blow) -> None:
        at_s = time.monotonic() - self._began_s
        target = await self._deals[kind]()
        healed_s = time.monotonic()
        await self._site.until_whole()
        whole_s = time.monotonic() - healed_s
        self.done[kind] += 1
        self._tell(f"  {at_s:6.1f} s  {kind} ({target}); whole again {whole_s:.1f} s after it was healed")

    async def _leader_dies(self) -> str:
        return await self._dies(await self._leader())

    async def _host_dies(self) -> str:
        return await self._dies(await self._follower())

    async def _dies(self, name: str) -> str:
        machine = self._site.machines[name]
        await machine.die()
        await asyncio.sleep(self._rng.uniform(*_AWAY_S))
        await machine.boot()
        return name

    async def _leader_cut_off(self) -> str:
        return await self._cut_off(await self._leader())

    async def _host_cut_off(self) -> str:
        return await self._cut_off(await self._follower())

    async def _cut_off(self, name: str) -> str:
        host = self._site.machines[name].host
        host.cut()
        try:
            await asyncio.sleep(self._rng.uniform(*_AWAY_S))
        finally:
            host.heal()
        return name

    async def _switchover(self) -> str:
        before = await self._leader()
        assert await self._site.stores.switch_over(), "Patroni refused a switchover"
        return f"from {before} to {await self._leader()}"

    async def _redis_primary(self) -> str:
        hosts = await asyncio.to_thread(self._site.stores.primaries)
        name, program = self._rng.choice(hosts)
        assert self._site.machines[name].kill(program)
        return f"{name}, {program}"

    async def _service(self) -> str:
        name = self._rng.choice(WHOLE)
        service = self._rng.choice(("segment", "points", "channel_gateway", "journey", "stats"))
        assert self._site.machines[name].kill(service), f"{service} of {name} does not run"
        return f"{name}, {service}"

    async def _leader(self) -> str:
        leader = await self._site.stores.leader()
        assert leader, "PostgreSQL has no leader"
        return leader

    async def _follower(self) -> str:
        leader = await self._leader()
        return self._rng.choice([name for name in self._site.machines if name != leader])
