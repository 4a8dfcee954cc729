"""Following the gateway's history: a row that cannot be taken is kept by its place; one look serves all who wait."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from libs.common.clock import SystemClock
from libs.common.errors import Unavailable
from libs.common.feeds.follower import Page
from libs.common.feeds.gateway_records import SEND_BYTES, Record, ResolvedFact, pack_record
from libs.common.feeds.records import epoch_us
from libs.common.feeds.rows import GatewayRow
from libs.common.ids import CustomerKey
from services.segment.convert.marketed import marketed_times
from services.segment.worker.catching_up import CatchingUp
from services.segment.worker.marketed import MarketedProjection, marketed_follower


class Times:
    """Keeps cursors in memory."""

    def __init__(self) -> None:
        self.positions: Mapping[int, int] = {0: 0, 3: 4}
        self.aside: dict[tuple[int, int], str] = {}

    async def cursors(self) -> dict[int, int]:
        return dict(self.positions)

    async def follow(
        self,
        before: Mapping[int, int],
        after: Mapping[int, int],
        times: Mapping[CustomerKey, datetime],
        now: datetime,
    ) -> None:
        assert before == self.positions
        self.positions = after

    async def set_aside(
        self, before: Mapping[int, int], after: Mapping[int, int], at: tuple[int, int], reason: str
    ) -> None:
        assert before == self.positions
        self.positions = after
        self.aside[at] = reason


async def test_of_a_page_that_passes_over_other_partitions_only_its_row_is_set_aside() -> None:
    times = Times()
    projection = MarketedProjection(times, SystemClock())
    after = {0: 7, 3: 5}
    await projection.set_aside(await projection.cursors(), Page([GatewayRow(3, 5, None)], after), "no body")
    assert (times.positions, times.aside) == (after, {(3, 5): "no body"})


class Gateway:
    """A history that answers when it is let go."""

    name = "channel_gateway"

    def __init__(self) -> None:
        self.reads = 0
        self.let_go = asyncio.Event()
        self.is_away = False

    async def read(self, cursors: Mapping[int, int], wait_s: float, rows_max: int) -> Page[GatewayRow]:
        self.reads += 1
        await self.let_go.wait()
        if self.is_away:
            raise Unavailable.dependency(self.name)
        return Page([], cursors)


async def _waiting(follower: CatchingUp[GatewayRow], count: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(follower.catch_up()) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_all_who_come_while_one_looks_share_the_look_after_it() -> None:
    gateway = Gateway()
    follower = marketed_follower(gateway, MarketedProjection(Times(), SystemClock()))
    first = await _waiting(follower, 1)
    others = await _waiting(follower, 20)
    gateway.let_go.set()
    await asyncio.gather(*first, *others)
    assert gateway.reads == 2
    await follower.catch_up()
    assert gateway.reads == 3


async def test_a_look_that_failed_serves_nobody() -> None:
    gateway = Gateway()
    gateway.is_away = True
    follower = marketed_follower(gateway, MarketedProjection(Times(), SystemClock()))
    tasks = await _waiting(follower, 3)
    gateway.let_go.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 3
    gateway.is_away = False
    await follower.catch_up()
    assert gateway.reads == 4


def test_a_send_that_turned_out_to_be_sent_left_when_it_was_settled() -> None:
    """Later messages count; what was unknown until now counts by the time at which it was settled."""
    team, customer, other = (UUID(int=number) for number in range(1, 4))
    settled_at = datetime(2026, 3, 2, 12, tzinfo=UTC)
    fact = ResolvedFact(b"j" * 16, "hello", 2, b"", 5, 1, epoch_us(settled_at), 1, bytes(2 * SEND_BYTES))
    row = GatewayRow(0, 1, team.bytes, 5)
    row.body = pack_record(Record(epoch_us(settled_at) + 3_600_000_000, [fact]))
    ids = b"".join(struct.pack(">i", 16) + each.bytes for each in (customer, other))
    row.customers = struct.pack(">iiiii", 1, 0, 2950, 2, 1) + ids
    assert marketed_times([row]) == dict.fromkeys(((team, customer), (team, other)), settled_at)
