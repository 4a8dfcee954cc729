"""Makes the planned faults happen, and writes down what was really done."""

import asyncio
import json
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import aiohttp
import grpc
import redis.asyncio
from redis.exceptions import RedisError

from libs.common.backoff import Backoff, retrying
from libs.common.mailbox import MailboxUnavailable
from tests.chaos.again import Redelivery
from tests.chaos.arena import CRASH_POINTS, Arena
from tests.chaos.load import Load
from tests.chaos.plan import Fault, Kind

EMULATORS_BACK_S = 60.0
"""How long emulators that were killed may take to answer again."""
CHANNEL_SECONDS = 11.0
"""How long an emulator stays silent: a little longer than the adapters wait."""
SLOW_S = 0.15
CRASH_WITHIN_S = 40.0
"""How long is waited for a process to come by the point where it dies."""
INSIST_S = 10.0
INSIST_EVERY_S = 0.2
REPORTS_AGAIN = 12
"""Requests made again at a time."""


class Director:
    """Runs a plan on an arena under load."""

    def __init__(self, arena: Arena, load: Load, tell: Callable[[str], None], rng: random.Random) -> None:
        """`tell` prints a line."""
        self._arena = arena
        self._load = load
        self._tell = tell
        self._rng = rng
        self.redelivery = Redelivery(arena.client, arena.redis_url, rng)
        self._began_s = time.monotonic()
        self.done: Counter[Kind] = Counter()
        self.silent_doubles = Counter[str]()
        """By channel: answers that said "not sent" after the channel had accepted."""
        self._handlers: dict[Kind, Callable[[Fault], Awaitable[bool]]] = {
            Kind.KILL: self._kill,
            Kind.CRASH_POINT: self._crash,
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
            Kind.MAIL_AGAIN: self._mail_again,
            Kind.REPORTS_AGAIN: self._reports_again,
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
        self._tell(f"  {at_s:6.1f} s  {fault.what}{'' if happened else ' (could not be done)'}")
        if happened:
            self.done[fault.kind] += 1

    async def _insisted(self, strike: Callable[[], Awaitable[bool]]) -> bool:
        """What is down at the moment is struck when it is up again."""
        until_s = time.monotonic() + INSIST_S
        while not await strike():
            if time.monotonic() > until_s:
                return False
            await asyncio.sleep(INSIST_EVERY_S)
        return True

    async def _signal(self, process: str, number: signal.Signals) -> bool:
        async def strike() -> bool:
            return self._arena.send(process, number) != 0

        return await self._insisted(strike)

    async def _kill(self, fault: Fault) -> bool:
        return await self._signal(fault.target, signal.SIGKILL)

    async def _crash(self, fault: Fault) -> bool:
        """Starts a process anew so that it dies where it first comes by a point; the one after that is as before."""
        installation, log = self._arena.installation, f"{fault.target}.log*"
        before = crashes(installation.log_dir, log)[fault.detail]
        reached = asyncio.Event()

        def disarm() -> None:
            installation.change_environment({CRASH_POINTS: self._arena.crash_points}, fault.target)

        def seen() -> bool:
            if crashes(installation.log_dir, log)[fault.detail] > before:
                disarm()
                reached.set()
            return reached.is_set()

        installation.change_environment({CRASH_POINTS: f"{fault.detail}:1:0"}, fault.target)
        self._arena.deaths.watch(fault.target, seen)
        await self._kill(fault)
        try:
            async with asyncio.timeout(CRASH_WITHIN_S):
                await reached.wait()
        except TimeoutError:
            disarm()
        return reached.is_set()

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

    async def _mail_again(self, fault: Fault) -> bool:
        async def strike() -> bool:
            try:
                return await self.redelivery.deliver(fault.target)
            except (MailboxUnavailable, grpc.aio.AioRpcError):
                return False

        return await self._insisted(strike)

    async def _reports_again(self, fault: Fault) -> bool:
        return await self._load.again(self._rng, REPORTS_AGAIN) > 0

    async def calm(self) -> None:
        """Switches off what the emulators still have in store, and the crash points of processes that start from now
        on: each dies once more at most, so that the end can be waited for."""
        self._arena.installation.change_environment({CRASH_POINTS: ""})
        # The last fault may have killed the emulators: they are waited for, not longer than EMULATORS_BACK_S.
        for url in self._arena.installation.channel_urls.values():
            give_up_at = time.monotonic() + EMULATORS_BACK_S
            await retrying(
                partial(self._clear_faults, url),
                backoff=Backoff(0.5, 0.5),
                passing=(aiohttp.ClientError, TimeoutError),
                give_up=partial(_is_past, give_up_at),
            )

    async def _clear_faults(self, url: str) -> None:
        async with self._arena.session.delete(f"{url}/_emulator/faults") as answer:
            answer.raise_for_status()


def _is_past(monotonic_s: float) -> bool:
    return time.monotonic() > monotonic_s


def crashes(logs: Path, pattern: str = "*.log*") -> Counter[str]:
    """Crash points that were reached, from the logs of the services."""
    found: Counter[str] = Counter()
    for log in sorted(logs.glob(pattern)):
        for line in log.read_text(errors="replace").splitlines():
            if '"crash point"' in line:
                found[str(json.loads(line)["point"])] += 1
    return found
