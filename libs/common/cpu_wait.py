"""Whether a thread gets a CPU when it is ready to run: by the kernel's own account, whoever takes the others."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Final

_ACCOUNT: Final = Path("/proc/thread-self/schedstat")
_LENGTH_MAX: Final = 100


class CpuWait:
    """Measures the thread that makes it; a context manager, since it holds a file open."""

    def __init__(self, account: Path = _ACCOUNT) -> None:
        """`account` holds the nanoseconds that the thread ran and waited. Without one nothing is known."""
        self._file: int | None = None
        try:
            self._file = os.open(account, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # another system than Linux, or a kernel without accounts
            return
        self._ran_ns, self._waited_ns = self._read(self._file)

    def share(self) -> float | None:
        """Of the time since the last call in which the thread was ready to run, the part in which it waited, 0 to 1.

        None when that is not known. Costs some microseconds.
        """
        if self._file is None:
            return None
        ran_ns, waited_ns = self._read(self._file)
        ran, waited = ran_ns - self._ran_ns, waited_ns - self._waited_ns
        self._ran_ns, self._waited_ns = ran_ns, waited_ns
        return waited / (ran + waited) if ran + waited > 0 else None

    def _read(self, file: int) -> tuple[int, int]:
        ran, waited, _ = os.pread(file, _LENGTH_MAX, 0).split()
        return int(ran), int(waited)

    def __enter__(self) -> CpuWait:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Measures no more."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
