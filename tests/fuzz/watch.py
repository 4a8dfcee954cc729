"""What must hold while the cases run: no process ends, memory stays flat, logs hold nothing of callers, and another
team's order goes from its webhook to its points."""

import asyncio
import itertools
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import psutil

from libs.client import SERVICES
from libs.demo.shopfront import customer_id_of
from libs.demo.stream import Checkout, Item, Kind
from libs.demo.webhooks import WebhookPoster, bodies, event_of
from omnijourney.points.v1.points_service_pb2 import GetBalanceRequest
from tests.fuzz.traps import CANARY
from tests.fuzz.world import MEMBERS, World

ORDER_WITHIN_S: Final = 5.0
ORDER_GIVEN_UP_S: Final = 30.0
GROWTH_MIB_MAX: Final = 150
"""What a service may keep from the first chunk's end to the last's, beyond what it held."""
PEAK_MIB_MAX: Final = 700
_STACK: Final = re.compile(r"Traceback|\\n  File |exc_info|\"exception\"")
_OF_OURS: Final = ("sends are faulty", "postings are faulty")
"""Errors that only our own services can cause, which send these items: a line a call, with its first fault."""
_AMOUNT: Final = Decimal(10)
"""Of an order: one point, by the demo's formula."""


@dataclass
class Memory:
    """RSS of the services, MiB."""

    start: dict[str, float] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)
    end: dict[str, float] = field(default_factory=dict)

    def sample(self, world: World) -> None:
        """Reads all now."""
        for service in world.client.known:
            try:
                held = psutil.Process(world.pid_of(service)).memory_info().rss / 2**20
            except (KeyError, psutil.NoSuchProcess):
                continue
            self.start.setdefault(service, held)
            self.peak[service] = max(held, self.peak.get(service, 0.0))
            self.end[service] = held

    def faults(self) -> Iterator[str]:
        """What is beyond the bounds."""
        for service, start in self.start.items():
            if self.end[service] > start + GROWTH_MIB_MAX:
                yield f"{service} holds {self.end[service]:.0f} MiB, {start:.0f} at the start"
            if self.peak[service] > PEAK_MIB_MAX:
                yield f"{service} held {self.peak[service]:.0f} MiB"

    async def keep(self, world: World) -> None:
        """Samples until cancelled."""
        while True:
            await asyncio.to_thread(self.sample, world)
            await asyncio.sleep(0.5)


class Bystander:
    """The other team: an order after each chunk."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        url = world.events_url(world.bystander)
        self._poster = WebhookPoster(world.session, url, world.bystander.webhook_secret, "HKD")
        self._numbers = itertools.count()
        self._seed = seed
        self.worst_s = 0.0
        self.orders = 0

    async def order(self) -> float:
        """One order by webhook; seconds until its points are there, `ORDER_GIVEN_UP_S` if they never come."""
        number = next(self._numbers)
        member = MEMBERS[number % len(MEMBERS)]
        before = await self._balance(member)
        now = datetime.now(UTC)
        order = Checkout(Kind.ORDER, f"b{self._seed}-{number}", now, _AMOUNT, member, (Item("tea", 1),))
        began_s = time.monotonic()
        (body,) = bodies([event_of(order, "HKD")])
        await self._poster.deliver(f"bystander-{self._seed}-{number}", body, now)
        while (took_s := time.monotonic() - began_s) < ORDER_GIVEN_UP_S:
            if await self._balance(member) > before:
                break
            await asyncio.sleep(0.02)
        self.orders += 1
        self.worst_s = max(self.worst_s, took_s)
        return took_s

    async def _balance(self, member: int) -> int:
        shop = self._world.bystander
        asked = GetBalanceRequest(team_id=shop.team_id, customer_id=customer_id_of(shop.shop_id, member))
        answer = await self._world.client.points.GetBalance(asked, timeout=ORDER_GIVEN_UP_S)
        return answer.balance.cumulative


class Logs:
    """New lines of the services' logs, judged."""

    def __init__(self, world: World) -> None:
        self._folder = world.installation.log_dir
        self._secrets = [secret for secret in world.secrets if secret]
        self._read: dict[Path, int] = {}
        self.levels: Counter[str] = Counter()
        self.bytes = 0

    def faults(self) -> list[str]:
        """Lines since the last time that hold a stack, a secret, what callers sent, or say that we failed."""
        return [
            f"{path.stem}: {why}: {line[:600]}"
            for path in sorted(self._folder.glob("*.log"))
            if path.stem in SERVICES
            for line in self._lines(path)
            if (why := self._why(line))
        ]

    def _lines(self, path: Path) -> Iterator[str]:
        with path.open("rb") as file:
            file.seek(self._read.get(path, 0))
            data = file.read()
        self._read[path] = self._read.get(path, 0) + len(data)
        self.bytes += len(data)
        yield from data.decode(errors="replace").splitlines()

    def _why(self, line: str) -> str:
        try:
            entry: Any = json.loads(line)
        except ValueError:
            return "no entry of ours"
        level = entry.get("level", "") if isinstance(entry, dict) else ""
        self.levels[level] += 1
        if any(secret in line for secret in self._secrets):
            return "a secret"
        if CANARY in line:
            return "what a caller sent"
        if _STACK.search(line):
            return "a stack"
        bad = level in ("error", "critical") and entry["event"] not in _OF_OURS
        return level if bad else ""
