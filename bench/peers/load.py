"""The load of w1 for a peer: events at once, or at a steady rate; done when the peer has reported every journey."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from bench.field import BenchFault
from bench.measure import chunks
from bench.usage import Usage
from bench.welcome import ARRIVALS_MIN, DELAY, RATE_SECONDS, Latency
from libs.common.ids import new_id

WARM: Final = 500
_PATIENCE_S: Final = 60.0
_POLL_S: Final = 0.05
_AT_ONCE: Final = 64
"""Callers of a burst."""


class Peer(msgspec.Struct, frozen=True):
    """What one of them did; `skipped`: why it was not measured."""

    name: str
    skipped: str = ""
    rate_per_s: float = 0.0
    cpu_s_per_1000: float = 0.0
    latencies: list[Latency] = []


class Subject(Protocol):
    """A peer that runs."""

    name: str
    usage: Usage
    reports: Path
    """A line `<key> <unix seconds>` for each journey that is complete, by the peer."""

    async def know(self, keys: Sequence[str]) -> None:
        """Makes customers that have the tag."""
        ...

    async def post(self, key: str) -> None:
        """One event: the customer joined. Returns when it is accepted."""
        ...


async def measure(subject: Subject, count: int, rates_per_s: Sequence[int]) -> Peer:
    """A burst, and each of the rates."""
    await _burst(subject, WARM)
    wall_s, cpu_s = await _burst(subject, count)
    latencies = [await _latency(subject, rate) for rate in rates_per_s]
    return Peer(subject.name, "", count / wall_s, cpu_s / count * 1_000, latencies)


async def _burst(subject: Subject, count: int) -> tuple[float, float]:
    """Seconds from the first event to the end of the last journey; CPU seconds of the peer and its servers."""
    keys = await _customers(subject, count)
    subject.usage.start()
    began_s = time.time()
    waiting = iter(keys)

    async def caller() -> None:
        for key in waiting:
            await subject.post(key)

    await asyncio.gather(*(caller() for _ in range(_AT_ONCE)))
    ended = await _until_done(subject, keys)
    return max(ended.values()) - began_s, sum(subject.usage.spent().values())


async def _latency(subject: Subject, rate_per_s: int) -> Latency:
    count = max(ARRIVALS_MIN, int(rate_per_s * RATE_SECONDS))
    keys = await _customers(subject, count)
    subject.usage.start()
    began_s = time.time()
    due, calls = {}, []
    for number, key in enumerate(keys):
        due[key] = began_s + number / rate_per_s
        await asyncio.sleep(max(0.0, due[key] - time.time()))
        calls.append(asyncio.create_task(subject.post(key)))
    await asyncio.gather(*calls)
    ended = await _until_done(subject, keys)
    spent = sum(subject.usage.spent().values())
    took_ms = sorted((ended[key] - due[key] - DELAY.total_seconds()) * 1_000 for key in keys)
    late_s = max(ended.values()) - max(due.values()) - DELAY.total_seconds()
    p99_ms = took_ms[int(count * 0.99)]
    return Latency(rate_per_s, count, statistics.median(took_ms), p99_ms, spent / count * 1_000, late_s < 1)


async def _customers(subject: Subject, count: int) -> list[str]:
    keys = [new_id().hex for _ in range(count)]
    for part in chunks(keys, 500):
        await subject.know(part)
    return keys


async def _until_done(subject: Subject, keys: Sequence[str]) -> dict[str, float]:
    """When each journey was complete. Errors: BenchFault when no more come."""
    done: dict[str, float] = {}
    moved_s = time.monotonic()
    while True:
        reported = _reported(subject.reports)
        now = {key: reported[key] for key in keys if key in reported}
        if len(now) > len(done):
            moved_s = time.monotonic()
        done = now
        if len(done) == len(keys):
            return done
        if time.monotonic() - moved_s > _PATIENCE_S:
            raise BenchFault(
                f"{subject.name}: {len(done)} of {len(keys)} journeys are complete, no more come"
            )
        await asyncio.sleep(_POLL_S * (1 + len(keys) // 1_000))


def _reported(file: Path) -> dict[str, float]:
    if not file.exists():
        return {}
    lines = file.read_text().split("\n")[:-1]
    return {key: float(at) for key, at in (line.split() for line in lines)}
