"""Calls that arrive together are worked off together: one transaction for many callers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from libs.common.errors import ResourceExhausted

Item = TypeVar("Item")
Result = TypeVar("Result")

ITEMS_MAX: Final = 500
"""Items of one batch; the most that one call may bring."""
QUEUE_MAX: Final = 20_000
"""Items that may wait; more are refused, so that callers slow down instead of timing out."""
_RETRY_AFTER_S: Final = 0.5


class _Submission(NamedTuple):
    items: Sequence[object]
    answer: asyncio.Future[list[object]]


class Batcher(Generic[Item, Result]):
    """Hands items to `work` in batches, one batch at a time, callers in the order of their coming.

    A call's items are never split. When a batch of several calls fails, each call is tried alone, so that one caller's
    fault is not the others'. Run `run` as a task; it ends when `stopping` is set and nothing waits.
    """

    def __init__(self, name: str, work: Callable[[list[Item]], Awaitable[list[Result]]]) -> None:
        """`work` answers in order, one result per item."""
        self._name = name
        self._work = work
        self._waiting: deque[_Submission] = deque()
        self._items = 0
        self._stirred = asyncio.Event()

    @property
    def pending(self) -> int:
        """Items that wait or are being worked on."""
        return self._items

    async def submit(self, items: Sequence[Item]) -> list[Result]:
        """The results of up to ITEMS_MAX items. Raises ResourceExhausted, and what `work` raises."""
        if not items:
            return []
        assert len(items) <= ITEMS_MAX, "checked at the edge"
        if self._items + len(items) > QUEUE_MAX:
            raise ResourceExhausted.overloaded(self._name, _RETRY_AFTER_S)
        answer: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Submission(items, answer))
        self._items += len(items)
        self._stirred.set()
        return await answer  # type: ignore[return-value]  # the results of `work`, sorted back

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until told to stop."""
        ended = asyncio.create_task(self._stir_at(stopping))
        try:
            while self._waiting or not stopping.is_set():
                if self._waiting:
                    await self._work_off(self._next())
                    continue
                self._stirred.clear()
                await self._stirred.wait()
        finally:
            ended.cancel()

    async def _stir_at(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self._stirred.set()

    def _next(self) -> list[_Submission]:
        batch: list[_Submission] = []
        size = 0
        while self._waiting and (not batch or size + len(self._waiting[0].items) <= ITEMS_MAX):
            submission = self._waiting.popleft()
            size += len(submission.items)
            batch.append(submission)
        return batch

    async def _work_off(self, batch: list[_Submission]) -> None:
        try:
            live = [submission for submission in batch if not submission.answer.done()]
            if live:
                await self._answer(live)
        finally:
            self._items -= sum(len(submission.items) for submission in batch)

    async def _answer(self, batch: list[_Submission]) -> None:
        items: list[Item] = [item for submission in batch for item in submission.items]  # type: ignore[misc]
        try:
            results = iter(await self._work(items))
        except Exception as error:  # noqa: BLE001 - handed to the callers, whose fault it may be
            await self._answer_alone(batch, error)
            return
        for submission in batch:
            own: list[object] = [next(results) for _ in submission.items]
            if not submission.answer.done():
                submission.answer.set_result(own)

    async def _answer_alone(self, batch: list[_Submission], error: Exception) -> None:
        if len(batch) > 1:
            for submission in batch:
                await self._answer([submission])
        elif not batch[0].answer.done():
            batch[0].answer.set_exception(error)
