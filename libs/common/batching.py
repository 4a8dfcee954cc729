"""Calls that arrive together are worked off together: one transaction for many callers.

There is no timer: what comes while a batch is at work makes the next one, and a call that comes alone is worked off at
once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from libs.common.errors import ResourceExhausted

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Submission(NamedTuple):
    items: Sequence[object]
    bytes: int
    answer: asyncio.Future[list[object]]


class Batcher(Generic[Item, Result]):
    """Hands items to `work` in batches, one batch at a time, callers in the order of their coming.

    A call's items are never split. When a batch of several calls fails, each call is tried alone, so that one caller's
    fault is not the others'. `work` must therefore be safe to repeat.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[list[Item]], Awaitable[Sequence[Result]]],
        *,
        size_max: int,
        waiting_max: int,
        retry_after_s: float,
        bytes_of: Callable[[Item], int] | None = None,
        bytes_max: int = 0,
        away: tuple[type[Exception], ...] = (),
    ) -> None:
        """`work` answers in order, one result for each item.

        A batch has at most `size_max` items and, with `bytes_of`, at most `bytes_max` bytes; a larger call
        is its own batch. `waiting_max` items may wait or be at work; more are refused with `name` as the limit
        and `retry_after_s` as advice. Errors of the kinds `away` are nobody's own (a server does not answer): all calls
        of the batch get them at once.
        """
        self._name = name
        self._work = work
        self._size_max = size_max
        self._waiting_max = waiting_max
        self._retry_after_s = retry_after_s
        self._bytes_of = bytes_of
        self._bytes_max = bytes_max
        self._away = away
        self._waiting: deque[_Submission] = deque()
        self._items = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def pending(self) -> int:
        """Items that wait or are at work."""
        return self._items

    async def submit(self, items: Sequence[Item]) -> list[Result]:
        """The results of up to `size_max` items, in order. Raises ResourceExhausted, and what `work` raises."""
        if not items:
            return []
        assert len(items) <= self._size_max, "checked at the edge"
        if self._items + len(items) > self._waiting_max:
            raise ResourceExhausted.overloaded(self._name, self._retry_after_s)
        size = sum(map(self._bytes_of, items)) if self._bytes_of else 0
        answer: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Submission(items, size, answer))
        self._items += len(items)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=self._name)
        return await answer  # type: ignore[return-value]  # the results of `work`, sorted back

    async def submit_one(self, item: Item) -> Result:
        """The result of one item. Raises as `submit` does."""
        (result,) = await self.submit([item])
        return result

    async def drain(self) -> None:
        """Returns when nothing waits and nothing is at work."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while self._waiting:
            batch = self._next()
            try:
                live = [submission for submission in batch if not submission.answer.done()]
                if live:
                    await self._answer(live)
            finally:
                self._items -= sum(len(submission.items) for submission in batch)

    def _next(self) -> list[_Submission]:
        batch = [self._waiting.popleft()]
        items, size = len(batch[0].items), batch[0].bytes
        while self._waiting:
            items += len(self._waiting[0].items)
            size += self._waiting[0].bytes
            if items > self._size_max or (self._bytes_of and size > self._bytes_max):
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _answer(self, batch: list[_Submission]) -> None:
        items: list[Item] = [item for submission in batch for item in submission.items]  # type: ignore[misc]
        try:
            results = await self._work(items)
            if len(results) != len(items):
                raise AssertionError(f"{self._name}: {len(results)} results for {len(items)} items")
        except asyncio.CancelledError:
            for submission in (*batch, *self._waiting):
                submission.answer.cancel()
            raise
        except self._away as error:
            _fail(batch, error)
            return
        except Exception as error:  # noqa: BLE001 - handed to the callers, whose fault it may be
            if len(batch) == 1:
                _fail(batch, error)
            else:
                for submission in batch:
                    await self._answer([submission])
            return
        start = 0
        for submission in batch:
            end = start + len(submission.items)
            if not submission.answer.done():
                submission.answer.set_result(list(results[start:end]))
            start = end


def _fail(batch: Sequence[_Submission], error: Exception) -> None:
    for submission in batch:
        if not submission.answer.done():
            submission.answer.set_exception(error)
