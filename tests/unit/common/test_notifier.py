"""Waiting for the next commit of a history."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from libs.common.feeds import notifier as notifier_module
from libs.common.feeds.notifier import CommitNotifier, long_poll


async def test_a_waiter_goes_on_at_the_next_commit() -> None:
    notifier = CommitNotifier()
    waits = [asyncio.ensure_future(notifier.wait(notifier.commits, 60.0)) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(wait.done() for wait in waits)
    notifier.notify()
    await asyncio.gather(*waits)


async def test_a_commit_between_the_read_and_the_wait_is_not_missed() -> None:
    notifier = CommitNotifier()
    seen = notifier.commits
    notifier.notify()
    await asyncio.wait_for(notifier.wait(seen, 60.0), 30)


async def test_a_waiter_gives_up_after_its_time() -> None:
    notifier = CommitNotifier()
    await notifier.wait(notifier.commits, 0.01)
    assert notifier.commits == 0


async def test_a_long_poll_reads_again_after_a_commit_during_its_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notifier_module, "_POLL_S", 60.0)
    notifier = CommitNotifier()
    rows: list[int] = []

    async def read() -> tuple[Sequence[int], dict[int, int]]:
        found = list(rows)
        if not found:
            # Committed after the statement took its snapshot.
            rows.append(7)
            notifier.notify()
        return found, {0: len(found)}

    began = time.monotonic()
    assert await long_poll(read, notifier, 20, asyncio.Event()) == ([7], {0: 1})
    assert time.monotonic() - began < 15, "it did not wait for its own poll"


@pytest.mark.parametrize("wait_s", [0.0, 0.05])
async def test_a_long_poll_without_rows_answers_when_its_time_is_over(wait_s: float) -> None:
    async def read() -> tuple[Sequence[int], dict[int, int]]:
        return [], {0: 3}

    assert await long_poll(read, CommitNotifier(), wait_s, asyncio.Event()) == ([], {0: 3})
