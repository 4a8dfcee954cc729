"""Makes the planned faults happen, and writes down what was really done."""

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import redis.asyncio
from redis.exceptions import RedisError

from libs.common.embedded.keepalive import Died, Event
from tests.chaos.arena import Arena
from tests.chaos.plan import Fault, Kind

CHANNEL_SECONDS = 11.0
"""How long an emulator stays silent: a little longer than the adapters wait."""
SLOW_S = 0.15


class Director:
    """Runs a plan on an arena."""

    def __init__(self, arena: Arena, tell: Callable[[str], None]) -> None:
        """`tell` prints a line."""
        self._arena = arena
        self._tell = tell
        self._began_s = time.monotonic()
        self.done: Counter[Kind] = Counter()
        self.silent_doubles = Counter[str]()
        """By channel: answers that said "not sent" after the channel had accepted."""
        self._handlers: dict[Kind, Callable[[Fault], Awaitable[bool]]] = {
            Kind.KILL: self._kill,
            Kind.FREEZE: self._freeze,
            Kind.VALKEY_FLUSH: self._flush,
            Kind.VALKEY_KILL: lambda fault: self._signal("valkey", signal.SIGKILL),
            Kind.VALKEY_FREEZE: lambda fault: self._stop_and_go("valkey", fault.lasts_s),
            Kind.POSTGRES_RESTART: lambda fault: self._signal("postgres", signal.SIGINT),
            Kind.POSTGRES_KILL: lambda fault: self._signal("postgres", signal.SIGKILL),
            Kind.LINK_CUT: self._cut,
            Kind.LINK_STALL: self._stall,
            Kind.ANSWERS_STALL: self._stall_answers,
            Kind.LINK_SLOW: self._slow,
            Kind.CHANNEL: self._channel,
        }

    async def run(self, plan: list[Fault]) -> None:
        """Everything in the plan at its time; ends when the last fault is over and everything is healed."""
        self._began_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for fault in plan:
                group.create_task(self._at_its_time(fault))
        for proxy in self._arena.proxies.values():
            proxy.heal()

    async def _at_its_time(self, fault: Fault) -> None:
        await asyncio.sleep(max(0.0, self._began_s + fault.at_s - time.monotonic()))
        happened = await self._handlers[fault.kind](fault)
        at_s = time.monotonic() - self._began_s - fault.lasts_s
        self._tell(f"  {at_s:6.1f} s  {fault.what}{'' if happened else ' (was down)'}")
        if happened:
            self.done[fault.kind] += 1

    async def _signal(self, process: str, number: signal.Signals) -> bool:
        return self._arena.send(process, number) != 0

    async def _kill(self, fault: Fault) -> bool:
        return await self._signal(fault.target, signal.SIGKILL)

    async def _freeze(self, fault: Fault) -> bool:
        return await self._stop_and_go(fault.target, fault.lasts_s)

    async def _stop_and_go(self, process: str, lasts_s: float) -> bool:
        if not self._arena.send(process, signal.SIGSTOP):
            return False
        try:
            await asyncio.sleep(lasts_s)
        finally:
            self._arena.send(process, signal.SIGCONT)
        return True

    async def _flush(self, fault: Fault) -> bool:
        client = redis.asyncio.from_url(self._arena.redis_url, socket_timeout=10, socket_connect_timeout=2)
        try:
            await client.flushall()
        except (RedisError, OSError):
            return False
        finally:
            await client.aclose()
        return True

    async def _cut(self, fault: Fault) -> bool:
        return self._arena.proxies[fault.target].cut() > 0

    async def _stall(self, fault: Fault) -> bool:
        proxy = self._arena.proxies[fault.target]
        proxy.stall()
        await asyncio.sleep(fault.lasts_s)
        proxy.heal()
        return True

    async def _stall_answers(self, fault: Fault) -> bool:
        proxy = self._arena.proxies[fault.target]
        proxy.stall(requests=False)
        await asyncio.sleep(fault.lasts_s)
        # What was kept is lost with its connection, as when a peer or a middlebox dies.
        proxy.cut()
        proxy.heal()
        return True

    async def _slow(self, fault: Fault) -> bool:
        proxy = self._arena.proxies[fault.target]
        proxy.slow(SLOW_S)
        await asyncio.sleep(fault.lasts_s)
        proxy.heal()
        return True

    async def _channel(self, fault: Fault) -> bool:
        url = f"{self._arena.installation.channel_urls[fault.target]}/_emulator/faults"
        body = {"kind": fault.detail, "count": fault.count, "seconds": CHANNEL_SECONDS}
        if fault.detail == "delay":
            body["seconds"] = 2.0
        try:
            async with self._arena.session.post(url, json=body) as answer:
                taken = answer.status == 201
        except (aiohttp.ClientError, TimeoutError):
            return False
        if taken and fault.detail == "error_after":
            self.silent_doubles[fault.target] += fault.count
        return taken

    async def calm(self) -> None:
        """Switches off what the emulators still have in store, and the crash points of processes that start from now
        on: each dies once more at most, so that the end can be waited for."""
        self._arena.installation.change_environment({"OMNIJOURNEY_CRASH_POINTS": ""})
        for url in self._arena.installation.channel_urls.values():
            async with self._arena.session.delete(f"{url}/_emulator/faults"):
                continue


class Deaths:
    """Counts processes that ended, planned or at a crash point."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()

    def hear(self, event: Event) -> None:
        """A listener for supervisors."""
        if isinstance(event, Died):
            self.count[f"{event.name}: {event.why}"] += 1


def crashes(logs: Path) -> Counter[str]:
    """Crash points that were reached, from the logs of the services."""
    found: Counter[str] = Counter()
    for log in sorted(logs.glob("*.log*")):
        for line in log.read_text(errors="replace").splitlines():
            if '"crash point"' in line:
                found[str(json.loads(line)["point"])] += 1
    return found
