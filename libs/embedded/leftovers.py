"""Ends servers that a former owner of the data directory left behind.

The kernel ends them with their owner, but not at once: PostgreSQL first writes its checkpoint. Where the
kernel knows no death signal a watcher may have been killed too. And a process id in an old pid file may long
belong to somebody else, which PostgreSQL cannot tell and would refuse to start.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from libs.embedded.errors import StartFailedError

_GONE_BY_ITSELF_S = 1.0
_FAST_S = 10.0
_POLL_S = 0.02


async def end_postgres(data: Path) -> None:
    """Waits for, then ends, a PostgreSQL that still runs on `data`; removes its pid file when it names
    somebody else.

    The caller holds the lock of the data directory: whoever runs there has no owner any more.
    Errors: StartFailedError when it will not end.
    """
    pid_file = data / "postmaster.pid"
    pid = _read_pid(pid_file)
    if pid is None:
        return
    if not works_in(pid, data):
        pid_file.unlink(missing_ok=True)
        return
    ladder = ((None, _GONE_BY_ITSELF_S), (signal.SIGINT, _FAST_S), (signal.SIGQUIT, _FAST_S))
    for signum, grace_s in ladder:
        if signum is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signum)
        if await _gone(pid, data, grace_s):
            return
    raise StartFailedError(
        f"a PostgreSQL (process {pid}) still runs on {data} and does not end: end it, then start again"
    )


async def _gone(pid: int, data: Path, grace_s: float) -> bool:
    deadline_s = time.monotonic() + grace_s
    while works_in(pid, data):
        if time.monotonic() >= deadline_s:
            return False
        await asyncio.sleep(_POLL_S)
    return True


def _read_pid(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text().splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None


def works_in(pid: int, data: Path) -> bool:
    """Whether process `pid` lives and is a server on `data`, its working directory."""
    process = Path("/proc") / str(pid)
    if Path("/proc/self").exists():
        try:
            return (process / "cwd").readlink() == data.resolve() and (process / "stat").read_text().rsplit(
                ")"
            )[-1].split()[0] != "Z"
        except OSError:
            return False
    listed = subprocess.run(
        ["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, timeout=5, check=False
    )
    return str(data) in listed.stdout
