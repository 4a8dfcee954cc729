"""A subscription starts where segment's history ends, also while that grows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from libs.common.feeds.follower import Page
from libs.common.feeds.rows import FactRow
from services.channel_gateway.worker.contact_events import ContactFollower, ContactProjection


class Growing:
    """A history with another fact at each look; `last_from`: from there on pages say that nothing followed."""

    name = "segment"

    def __init__(self, last_from: int) -> None:
        self.last_from, self.looks = last_from, 0

    async def read(self, cursors: Mapping[int, int], wait_s: float, rows_max: int) -> Page[FactRow]:
        self.looks += 1
        return Page([], {0: cursors[0] + 1}, self.looks >= self.last_from)


class Taken:
    """What was taken."""

    def __init__(self) -> None:
        self.position = 0

    async def cursors(self) -> dict[int, int]:
        return {0: self.position}

    async def take(self, before: Any, after: Mapping[int, int], events: Any) -> int:
        self.position = after[0]
        return 0


async def test_what_is_committed_meanwhile_is_not_waited_for() -> None:
    history, taken = Growing(last_from=3), Taken()
    await ContactFollower(history, ContactProjection(cast("Any", taken), lambda: None)).catch_up()
    assert (history.looks, taken.position) == (3, 3)
