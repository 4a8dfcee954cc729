"""The three overloads: large orders at once, and many orders while stats, or segment, stands still."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from libs.client import ServiceName
from tests.overload.site import Sender, Site, Watch, order_body

DONE_WITHIN_S: Final = 600.0
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
    neighbour_delays_s: list[float]
    """Of the other team's orders, from 202 (or from the end of the stop, if that was later) to the record."""

    @property
    def complete(self) -> bool:
        """Whether all of both teams' orders are recorded and counted."""
        return (
            self.overload.orders == self.accepted == self.recorded == self.counted
            and self.neighbour_orders == self.neighbour_recorded == len(self.neighbour_delays_s)
            and self.set_aside == 0
        )


def body_of(overload: Overload, order_id: str) -> bytes:
    """One of the overload's orders."""
    if overload.lines < LARGE_LINES:
        return order_body(order_id, lines=overload.lines, name="a thing that somebody ordered")
    # Lines of some 900 bytes: a thousand make an order of 0.9 MB.
    return order_body(order_id, lines=overload.lines, name="n" * 500, product_id="p" * 200, sku="s" * 120)


async def run(site: Site, overload: Overload) -> Figures:
    """Lets one team loose and watches the other."""
    heavy, neighbour = await site.sender("heavy"), await site.sender("neighbour")
    watch = Watch(site, neighbour, overload.watch_every_s)
    began_s = time.monotonic()
    async with watch.watching():
        async with asyncio.TaskGroup() as group:
            group.create_task(_stop(site, overload, watch))
            group.create_task(_post_all(heavy, overload))
        await _until(lambda: _is_done(site, heavy, overload))
    took_s = time.monotonic() - began_s
    await _until(lambda: _is_counted(site, neighbour))
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
        watch.delays_s,
    )


async def _stop(site: Site, overload: Overload, watch: Watch) -> None:
    if overload.stopped is None:
        return
    with site.stopped(overload.stopped):
        await asyncio.sleep(overload.stop_s)
    if overload.stopped == "segment":
        watch.back_at_s = time.monotonic()


async def _post_all(sender: Sender, overload: Overload) -> None:
    numbers = itertools.count()

    async def post() -> None:
        while (number := next(numbers)) < overload.orders:
            order_id = f"{overload.name} {number}"
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
