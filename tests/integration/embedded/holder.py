"""Processes that hold a data directory, and what is left of them."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_SCRIPT = Path(__file__).with_name("hold.py")


@dataclass(frozen=True)
class Holder:
    """A process that is attached to a data directory."""

    process: "subprocess.Popen[str]"
    owner: bool
    postgres_dsn: str
    redis_url: str
    token: str
    pids: dict[str, int]

    @classmethod
    def start(cls, data_dir: Path, prefix: Sequence[str] = ()) -> "Holder":
        """Starts it and waits until it is attached. `prefix` goes before its command line."""
        process = subprocess.Popen(
            [*prefix, sys.executable, str(_SCRIPT), str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"it did not attach: exit code {process.wait(10)}"
        return cls(process, **json.loads(line))

    def descendants(self) -> list[int]:
        """Process ids of everything that it started."""
        return [child.pid for child in psutil.Process(self.process.pid).children(recursive=True)]

    def kill(self) -> None:
        """As a crash: nothing of it runs any more."""
        self.process.kill()
        self.process.wait(10)

    def end(self) -> int:
        """Lets it detach. Returns its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(20)

    def reap(self) -> None:
        """After a test, however it went."""
        self.process.kill()
        self.process.wait(10)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


Hold = Callable[..., Holder]


def still_running(pids: Sequence[int], within_s: float = 10.0) -> list[int]:
    """Waits until processes have ended. Returns those that run even then."""
    alive = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            alive.append(psutil.Process(pid))
    _, left = psutil.wait_procs(alive, timeout=within_s)
    return [process.pid for process in left]
