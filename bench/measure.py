"""What one measured case is, and the meter that takes it."""

import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

import msgspec

Item = TypeVar("Item")


class Figure(msgspec.Struct, frozen=True):
    """One measured case.

    ``rate_per_s``: items a second, median over the rounds. ``client_us``: CPU time that this process spent on
    one item, in microseconds, over all rounds; the servers' own is not in it.
    """

    name: str
    batch: int
    items: int
    rate_per_s: float
    client_us: float


class Meter:
    """Times the stages of some rounds; rounds are repeated so that one slow moment does not decide."""

    def __init__(self) -> None:
        """A meter without samples."""
        self._samples: defaultdict[tuple[str, int], list[tuple[int, float, float]]] = defaultdict(list)

    @contextmanager
    def time(self, name: str, batch: int, items: int) -> Iterator[None]:
        """The block handles ``items`` items, ``batch`` at a time."""
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        yield
        cpu_s = time.process_time() - cpu_s
        self._samples[name, batch].append((items, time.perf_counter() - wall_s, cpu_s))

    def figures(self) -> list[Figure]:
        """One figure for each stage and batch size, in the order of their first sample."""
        return [_figure(name, batch, samples) for (name, batch), samples in self._samples.items()]


def _figure(name: str, batch: int, samples: list[tuple[int, float, float]]) -> Figure:
    items = sum(count for count, _, _ in samples)
    rate_per_s = statistics.median(count / wall_s for count, wall_s, _ in samples)
    return Figure(name, batch, items, rate_per_s, sum(cpu_s for _, _, cpu_s in samples) / items * 1e6)


def chunks(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of ``size``, the last one shorter."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


async def timed_ms(took: list[float], work: Callable[[], Awaitable[Any]]) -> Any:
    """What `work` answers; how long it took is added to `took`."""
    began = time.perf_counter()
    answer = await work()
    took.append((time.perf_counter() - began) * 1e3)
    return answer
