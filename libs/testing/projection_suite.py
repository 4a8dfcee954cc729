"""What every projection of a history must do. Subclasses give the fixtures `projection` and `pages`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from libs.common.feeds.follower import CursorMovedError, Page, Projection
from libs.common.ids import PARTITIONS


class ProjectionSuite:
    """`page(after)` makes a page of one row that brings partition 3 from `after` to the next position.

    `digest()` gives what is derived so far, in any comparable form.
    """

    async def test_all_partitions_have_a_cursor_from_the_start(self, projection: Projection[Any]) -> None:
        assert await projection.cursors() == dict.fromkeys(range(PARTITIONS), 0)

    async def test_a_page_moves_its_cursors_and_no_other(
        self, projection: Projection[Any], page: Callable[[int], Page[Any]]
    ) -> None:
        before = await projection.cursors()
        await projection.apply(before, page(0))
        assert await projection.cursors() == {**before, 3: 1}

    async def test_a_page_read_from_an_older_cursor_changes_nothing(
        self, projection: Projection[Any], page: Callable[[int], Page[Any]], digest: Callable[[], Any]
    ) -> None:
        before = await projection.cursors()
        await projection.apply(before, page(0))
        derived, cursors = await digest(), await projection.cursors()
        with pytest.raises(CursorMovedError):
            await projection.apply(before, page(0))
        with pytest.raises(CursorMovedError):
            await projection.set_aside(before, page(0), "late")
        assert (await digest(), await projection.cursors()) == (derived, cursors)

    async def test_a_row_set_aside_is_passed_over_and_derives_nothing(
        self, projection: Projection[Any], page: Callable[[int], Page[Any]], digest: Callable[[], Any]
    ) -> None:
        derived, before = await digest(), await projection.cursors()
        await projection.set_aside(before, page(0), "ValueError: no")
        assert await digest() == derived
        after = await projection.cursors()
        assert after == {**before, 3: 1}
        await projection.apply(after, page(1))
        assert await digest() != derived
