"""Single calls gathered into batches: whatever waits while a batch is at work makes the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from libs.common.errors import ResourceExhausted

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """`submit` items one by one; `work` gets them in batches, in order, one batch at a time."""

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        size_max: int,
        waiting_max: int,
        name: str,
    ) -> None:
        """`work` answers in order, one result for each item. `waiting_max` items may wait; more are refused."""
        self._work = work
        self._size_max = size_max
        self._waiting_max = waiting_max
        self._name = name
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._task: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """The item's result. Raises what `work` raised for its batch, ResourceExhausted when too many wait."""
        if len(self._waiting) >= self._waiting_max:
            raise ResourceExhausted.overloaded(self._name, 1.0)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=self._name)
        return await future

    async def _run(self) -> None:
        while self._waiting:
            batch = self._waiting[: self._size_max]
            del self._waiting[: len(batch)]
            try:
                results = await self._work([item for item, _ in batch])
            except Exception as error:  # noqa: BLE001 - handed to everyone who waits for it
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)
