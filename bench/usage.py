"""What processes cost: CPU time and memory by process, the children of a server with it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Final

import psutil

_SAMPLE_S: Final = 0.5


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all its children, those that have ended too. Errors: NoSuchProcess."""
    root = psutil.Process(pid)
    own = root.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in root.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            total += times.user + times.system
    return total


def memory_bytes(pid: int) -> int:
    """What a process and its children hold alone, and what they share once."""
    root = psutil.Process(pid)
    total = 0
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total


class Usage:
    """CPU seconds by process since `start`, and peaks of memory while `sampling`."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        """`pids`: process by name; children count as part of it."""
        self._pids = dict(pids)
        self._began: dict[str, float] = {}
        self.peak_bytes: dict[str, int] = {}

    def start(self) -> None:
        """Counts from here."""
        self._began = self._now()

    def spent(self) -> dict[str, float]:
        """CPU seconds by process since `start`."""
        return {name: value - self._began[name] for name, value in self._now().items()}

    def memory(self) -> dict[str, int]:
        """Bytes by process now."""
        return {name: memory_bytes(pid) for name, pid in self._pids.items()}

    def _now(self) -> dict[str, float]:
        return {name: cpu_seconds(pid) for name, pid in self._pids.items()}

    @contextlib.asynccontextmanager
    async def sampling(self) -> AsyncIterator[None]:
        """Looks at the memory every half second while the block runs."""
        task = asyncio.create_task(self._sample())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _sample(self) -> None:
        while True:
            for name, size in (await asyncio.to_thread(self.memory)).items():
                self.peak_bytes[name] = max(size, self.peak_bytes.get(name, 0))
            await asyncio.sleep(_SAMPLE_S)
