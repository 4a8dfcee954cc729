"""Following the gateway's history: a row that cannot be taken is kept by its own place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from libs.common.clock import SystemClock
from libs.common.feeds.follower import Page
from libs.common.feeds.rows import GatewayRow
from libs.common.ids import CustomerKey
from services.segment.worker.marks import MarkProjection


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
        marks: Mapping[CustomerKey, datetime],
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
    projection = MarkProjection(times, SystemClock())
    after = {0: 7, 3: 5}
    await projection.set_aside(await projection.cursors(), Page([GatewayRow(3, 5, None)], after), "no body")
    assert (times.positions, times.aside) == (after, {(3, 5): "no body"})
