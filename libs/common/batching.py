"""Calls that arrive together are worked off together: one transaction for many callers.

There is no timer: what comes while a batch is at work makes the next one, and a call that comes alone is worked off at
once.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

import structlog

from libs.common.callers import caller
from libs.common.errors import ResourceExhausted

Item = TypeVar("Item")
Result = TypeVar("Result")

_log = structlog.get_logger(__name__)

_HOPELESS: Final = 8
"""After so many items of a call that failed alone, where none was done, the rest is not tried."""


@dataclass(frozen=True)
class Lanes(Generic[Item]):
    """Work of one lane is done in order, one batch at a time; lanes go on beside each other."""

    count: int
    lane_of: Callable[[Item], int]
    """The lane of an item, 0 to `count` - 1: items that must not be worked on at the same time have the same."""
    together_max: int = 0
    """Up to so many items, of all lanes together, make one batch while no other is at work: for work whose cost is the
    batch rather than its items."""


class _Call:
    """Items of one caller that belong to one lane, and where their results go."""

    __slots__ = ("answer", "bytes", "items")

    def __init__(self, items: Sequence[Any], size: int) -> None:
        self.items = items
        self.bytes = size
        self.answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()


class _Lane:
    """Calls that wait, in the order of their coming. `busy`: some of the lane are at work."""

    __slots__ = ("busy", "calls", "waiting")

    def __init__(self) -> None:
        self.calls: deque[_Call] = deque()
        self.waiting = 0
        self.busy = False


class Batcher(Generic[Item, Result]):
    """Hands items to `work` in batches: one at a time, or one a lane; callers in the order of their coming.

    A call's items of one lane are done together unless that fails. When a batch of several calls fails, each call is
    tried alone, so that one caller's fault is not the others'; with `failed`, the items of a call that fails are tried
    in ever smaller parts, in their order, so that one item's fault is not its neighbours'. `work` must therefore be
    safe to repeat. A batch is of many callers and runs as the process itself: whose items they are is checked when they
    are handed in.
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
        lanes: Lanes[Item] | None = None,
        team_of: Callable[[Item], UUID] | None = None,
        shared_by: Callable[[Item], Hashable] | None = None,
        failed: Callable[[Exception], Result | None] | None = None,
    ) -> None:
        """`work` answers in order, one result for each item.

        A batch has at most `size_max` items and, with `bytes_of`, at most `bytes_max` bytes; a larger call
        is its own batch. `waiting_max` items may wait or be at work; more are refused with `name` as the limit
        and `retry_after_s` as advice. Errors of the kinds `away` are nobody's own (a server does not answer): all calls
        of the batch get them at once. Without `lanes` there is one. With `team_of`, clients of one team are held to
        items of that team. With `shared_by`, what waits is shared: of one of these no more wait than there is room
        for more, so that whoever comes next finds as much room as the largest has; a call is all of one. `failed` makes
        the result of an item that fails alone, of a call that has others; None: the
        error is no item's.
        """
        self._name = name
        self._work = work
        self._size_max = size_max
        self._waiting_max = waiting_max
        self._retry_after_s = retry_after_s
        self._bytes_of = bytes_of
        self._bytes_max = bytes_max
        self._away = away
        self._team_of = team_of
        self._failed = failed
        self._shared_by = shared_by
        self._shares: Counter[Hashable] = Counter()
        self._context = contextvars.copy_context()
        self._lane_of = lanes.lane_of if lanes else None
        self._together_max = lanes.together_max if lanes else 0
        self._lanes = [_Lane() for _ in range(lanes.count if lanes else 1)]
        self._items = 0
        self._is_starting = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pending(self) -> int:
        """Items that wait or are at work."""
        return self._items

    @property
    def waiting(self) -> int:
        """Items that wait."""
        return sum(lane.waiting for lane in self._lanes)

    async def submit(self, items: Sequence[Item]) -> list[Result]:
        """The results of up to `size_max` items, in order. Raises NotFound for an item of a team that the caller does
        not see, ResourceExhausted, and what `work` raises: some items, those of other lanes, may be done then."""
        if not items:
            return []
        if self._team_of is not None:
            caller().require(map(self._team_of, items))
        assert len(items) <= self._size_max, "checked at the edge"
        if self._shared_by is not None:
            return await self._submit_shared(self._shared_by(items[0]), items)
        return await self._submit(items)

    async def _submit_shared(self, owner: Hashable, items: Sequence[Item]) -> list[Result]:
        if self._shares[owner] + len(items) > self._waiting_max - self._items:
            raise ResourceExhausted.overloaded(self._name, self._retry_after_s)
        self._shares[owner] += len(items)
        try:
            return await self._submit(items)
        finally:
            self._shares[owner] -= len(items)
            if not self._shares[owner]:
                del self._shares[owner]

    async def _submit(self, items: Sequence[Item]) -> list[Result]:
        if self._items + len(items) > self._waiting_max:
            raise ResourceExhausted.overloaded(self._name, self._retry_after_s)
        if self._lane_of is None:
            return await self._put(0, items)
        if len(items) == 1:
            return await self._put(self._lane_of(items[0]), items)
        return await self._put_apart(items, self._lane_of)

    async def submit_one(self, item: Item) -> Result:
        """The result of one item. Raises as `submit` does."""
        (result,) = await self.submit([item])
        return result

    async def drain(self) -> None:
        """Returns when nothing waits and nothing is at work."""
        while self._items:
            await (asyncio.wait(self._tasks) if self._tasks else asyncio.sleep(0))

    async def _put_apart(self, items: Sequence[Item], lane_of: Callable[[Item], int]) -> list[Result]:
        indexes: dict[int, list[int]] = {}
        for index, item in enumerate(items):
            indexes.setdefault(lane_of(item), []).append(index)
        answers = [self._put(lane, [items[index] for index in own]) for lane, own in indexes.items()]
        # All are awaited even if one fails, so that no failure is left unseen.
        parts = await asyncio.gather(*answers, return_exceptions=True)
        results: dict[int, Result] = {}
        for own, part in zip(indexes.values(), parts, strict=True):
            if isinstance(part, BaseException):
                raise part
            results.update(zip(own, part, strict=True))
        return [results[index] for index in range(len(items))]

    def _put(self, lane: int, items: Sequence[Item]) -> asyncio.Future[list[Result]]:
        call = _Call(items, sum(map(self._bytes_of, items)) if self._bytes_of else 0)
        self._lanes[lane].calls.append(call)
        self._lanes[lane].waiting += len(items)
        self._items += len(items)
        self._start_soon()
        return call.answer

    def _start_soon(self) -> None:
        """Starts what can be started once everything that is ready to run has run: it may bring more calls."""
        if not self._is_starting:
            self._is_starting = True
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        self._is_starting = False
        for lanes in self._startable():
            for lane in lanes:
                lane.busy = True
            task = asyncio.get_running_loop().create_task(
                self._run(lanes), name=self._name, context=self._context.copy()
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _startable(self) -> list[list[_Lane]]:
        """Lanes whose calls are to be worked on now, those of one batch together."""
        ready = [lane for lane in self._lanes if lane.calls and not lane.busy]
        if sum(lane.waiting for lane in ready) > self._together_max:
            return [[lane] for lane in ready]
        # Little is one batch of all lanes, and gathers until nothing else is at work.
        return [ready] if ready and not any(lane.busy for lane in self._lanes) else []

    async def _run(self, lanes: list[_Lane]) -> None:
        batch = [call for lane in lanes for call in self._take(lane)]
        try:
            live = [call for call in batch if not call.answer.done()]
            if live:
                await self._answer(live)
        except asyncio.CancelledError:
            for call in (*batch, *(call for lane in self._lanes for call in lane.calls)):
                call.answer.cancel()
            raise
        finally:
            self._items -= sum(len(call.items) for call in batch)
            for lane in lanes:
                lane.busy = False
            self._start_soon()

    def _take(self, lane: _Lane) -> list[_Call]:
        batch = [lane.calls.popleft()]
        items, size = len(batch[0].items), batch[0].bytes
        while lane.calls:
            items += len(lane.calls[0].items)
            size += lane.calls[0].bytes
            if items > self._size_max or (self._bytes_of and size > self._bytes_max):
                break
            batch.append(lane.calls.popleft())
        lane.waiting -= sum(len(call.items) for call in batch)
        return batch

    async def _answer(self, batch: list[_Call]) -> None:
        items: list[Item] = [item for call in batch for item in call.items]
        try:
            results = await self._work(items)
            if len(results) != len(items):
                raise AssertionError(f"{self._name}: {len(results)} results for {len(items)} items")
        except self._away as error:
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001 - handed to the callers, whose fault it may be
            await self._answer_apart(batch, error)
        else:
            start = 0
            for call in batch:
                end = start + len(call.items)
                # The caller may have given up meanwhile.
                if not call.answer.done():
                    call.answer.set_result(list(results[start:end]))
                start = end

    async def _answer_apart(self, batch: list[_Call], error: Exception) -> None:
        if len(batch) == 1:
            await self._answer_items(batch[0], error)
            return
        _log.warning(
            "batch failed, its calls go one by one", batcher=self._name, calls=len(batch), error=str(error)
        )
        for call in batch:
            await self._answer([call])

    async def _answer_items(self, call: _Call, error: Exception) -> None:
        """Answers a call that failed with `error`."""
        if self._failed is None or len(call.items) == 1 or self._failed(error) is None:
            _fail([call], error)
            return
        _log.warning(
            "a call failed, its items go apart", batcher=self._name, items=len(call.items), error=str(error)
        )
        try:
            results = await self._in_parts(call.items, self._failed, [])
        except Exception as fault:  # noqa: BLE001 - handed to the caller
            _fail([call], fault)
            return
        if not call.answer.done():
            call.answer.set_result(results)

    async def _in_parts(
        self, items: Sequence[Item], failed: Callable[[Exception], Result | None], seen: list[bool]
    ) -> list[Result]:
        """The results of items that failed together. `seen`: of each part that was tried alone, whether it was done;
        where nothing ever is, the fault is no item's, and the last one is raised."""
        results: list[Result] = []
        middle = len(items) // 2
        for part in (items[:middle], items[middle:]):
            try:
                results += await self._work(list(part))
                seen.append(True)
            except self._away:
                raise
            except Exception as error:
                result = failed(error)
                if result is None:
                    raise
                if len(part) > 1:
                    results += await self._in_parts(part, failed, seen)
                    continue
                seen.append(False)
                if len(seen) >= _HOPELESS and not any(seen):
                    raise
                _log.error("an item failed alone", batcher=self._name, exc_info=error)
                results.append(result)
        return results


def _fail(batch: Iterable[_Call], error: Exception) -> None:
    for call in batch:
        if not call.answer.done():
            call.answer.set_exception(error)
