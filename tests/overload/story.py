"""The three overloads: large orders at once, and many orders while stats, or segment, stands still."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from libs.client import ServiceName
from tests.overload.site import Sender, Site, order_body, watching

DONE_WITHIN_S: Final = 600.0
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
LARGE_LINES: Final = 1_000


@dataclass(frozen=True)
class Overload:
    """What one team does meanwhile."""

    name: str
    orders: int
    lines: int
    at_once: int
    stopped: ServiceName | None = None
    stop_s: float = 0.0
    watch_every_s: float = 0.25


@dataclass(frozen=True)
class Figures:
    """What came of it."""

    overload: Overload
    megabytes: float
    accepted: int
    recorded: int
    counted: int
    set_aside: int
    took_s: float
    neighbour_orders: int
    neighbour_recorded: int
    calm_delays_s: list[float]
    """Of the other team's orders before the load, from their receipt to their record."""
    delays_s: list[float]
    """The same during the load; where segment stood still, from the end of that at the earliest."""

    @property
    def complete(self) -> bool:
        """Whether all of both teams' orders are recorded and counted."""
        return (
            self.overload.orders == self.accepted == self.recorded == self.counted
            and self.neighbour_orders == self.neighbour_recorded
            and self.set_aside == 0
        )


def body_of(overload: Overload, order_id: str) -> bytes:
    """One of the overload's orders."""
    if overload.lines < LARGE_LINES:
        return order_body(order_id, lines=overload.lines, name="a thing that somebody ordered")
    # Lines of some 900 bytes: a thousand make an order of 0.9 MB.
    return order_body(order_id, lines=overload.lines, name="n" * 500, product_id="p" * 200, sku="s" * 120)


async def run(site: Site, overload: Overload, calm_s: float) -> Figures:
    """Watches a team, for `calm_s` by itself, then while another one is let loose."""
    heavy, neighbour = await site.sender("heavy"), await site.sender("neighbour")
    async with watching(site, neighbour, overload.watch_every_s):
        await asyncio.sleep(calm_s)
        began_at = datetime.now(UTC)
        async with asyncio.TaskGroup() as group:
            stop = group.create_task(_stop(site, overload))
            group.create_task(_post_all(heavy, overload))
        await _until(lambda: _is_done(site, heavy, overload))
        took_s = (datetime.now(UTC) - began_at).total_seconds()
    await _until(lambda: _is_counted(site, neighbour))
    delays = await site.delays(neighbour)
    return Figures(
        overload,
        overload.orders * len(body_of(overload, "x")) / 1e6,
        len(heavy.accepted),
        len(await site.recorded(heavy)),
        await site.counted(heavy),
        await site.set_aside(),
        took_s,
        len(neighbour.accepted),
        len(await site.recorded(neighbour)),
        [_delay_s(*each) for each in delays if each[1] < began_at],
        [_delay_s(*each, stop.result()) for each in delays if each[1] >= began_at],
    )


def _delay_s(received_at: datetime, recorded_at: datetime, not_before: datetime = _LONG_AGO) -> float:
    return max(0.0, (recorded_at - max(received_at, not_before)).total_seconds())


async def _stop(site: Site, overload: Overload) -> datetime:
    """Stops what is to be stopped; from when on orders could be recorded again."""
    if overload.stopped is None:
        return _LONG_AGO
    with site.stopped(overload.stopped):
        await asyncio.sleep(overload.stop_s)
    return datetime.now(UTC) if overload.stopped == "segment" else _LONG_AGO


async def _post_all(sender: Sender, overload: Overload) -> None:
    numbers = itertools.count()

    async def post() -> None:
        while (number := next(numbers)) < overload.orders:
            order_id = f"{sender.team_id}-{number}"
            await sender.post(order_id, body_of(overload, order_id))

    async with asyncio.TaskGroup() as group:
        for _ in range(overload.at_once):
            group.create_task(post())


async def _is_done(site: Site, sender: Sender, overload: Overload) -> bool:
    return len(await site.recorded(sender)) == overload.orders == await site.counted(sender)


async def _is_counted(site: Site, sender: Sender) -> bool:
    return await site.counted(sender) == len(sender.accepted)


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Waits for what is to become true, and gives up after a while: the figures show what is missing."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DONE_WITHIN_S):
            while not await condition():
                await asyncio.sleep(0.2)
