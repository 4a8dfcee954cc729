"""When the positions from which mailboxes are repaired are saved."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from services.journey.store.turns_protocol import TurnStorage
from services.journey.worker.checkpoints import CHECKPOINT_EVERY_S, Checkpoints


class Saved:
    """Keeps what is saved."""

    def __init__(self) -> None:
        self.positions: list[Mapping[tuple[int, int], int]] = []

    async def save_checkpoints(
        self, positions: Mapping[tuple[int, int], int], fence: Mapping[int, int]
    ) -> None:
        """See `TurnStorage`."""
        self.positions.append(positions)


@given(st.floats(0, 1e6))
def test_what_is_saved_when_it_is_due_is_due_no_more(saved_at: float) -> None:
    async def due_after() -> float | None:
        checkpoints = Checkpoints(cast("TurnStorage", Saved()))
        for now in (saved_at + CHECKPOINT_EVERY_S, None):
            checkpoints.note(3, {1: 10})
            at = checkpoints.due_at if now is None else now
            assert at is not None
            await checkpoints.save(at, {3: 1})
        return checkpoints.due_at

    assert asyncio.run(due_after()) is None


async def test_a_worker_that_has_nothing_else_to_do_is_woken_to_save_what_was_noted() -> None:
    saved = Saved()
    checkpoints = Checkpoints(cast("TurnStorage", saved))
    due = [checkpoints.due_at]
    checkpoints.note(3, {1: 10})
    await checkpoints.save(100.0, {3: 1})
    due.append(checkpoints.due_at)
    checkpoints.note(3, {1: 11})
    await checkpoints.save(100.0 + CHECKPOINT_EVERY_S / 2, {3: 1})
    due.append(checkpoints.due_at)
    await checkpoints.save(100.0 + CHECKPOINT_EVERY_S, {3: 1})
    due.append(checkpoints.due_at)
    assert due == [None, None, 100.0 + CHECKPOINT_EVERY_S, None]
    assert saved.positions == [{(3, 1): 10}, {(3, 1): 11}]
