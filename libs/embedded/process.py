"""A child process that dies with us: started through the launcher, stopped by a ladder of signals."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_LAUNCHER = Path(__file__).with_name("launch.py")
_POLL_S_MIN, _POLL_S_MAX = 0.005, 0.1  # a start or stop is noticed at once, a death after a long life soon
_LOG_TAIL_BYTES = 4_096
_LOG_KEEP_BYTES = (
    16 * 1024 * 1024
)  # a log larger than this is set aside as `.1` when its process starts again


@dataclass(frozen=True, slots=True)
class Account:
    """Who a child runs as, and so who must own its files."""

    uid: int
    gid: int
    launcher_options: tuple[str, ...] = ()

    @classmethod
    def same(cls) -> "Account":
        """The account of this process."""
        return cls(os.geteuid(), os.getegid())

    @classmethod
    def dropped(cls, uid: int, gid: int) -> "Account":
        """Another user; only root can become one."""
        return cls(uid, gid, ("--drop", f"{uid}:{gid}"))

    @classmethod
    def namespaced(cls) -> "Account":
        """This account for the files, an unprivileged one in a user namespace for the program itself."""
        return cls(os.geteuid(), os.getegid(), ("--userns",))


@dataclass(frozen=True, slots=True)
class Spec:
    """What to run."""

    name: str
    """For messages."""
    command: Sequence[str]
    """Absolute path of the program and its arguments."""
    env: Mapping[str, str]
    """The whole environment of the child."""
    log: Path | None = None
    """Takes stdout and stderr, appended; None: both go where ours go."""
    cwd: Path | None = None
    """Working directory, entered under the child's own account; None: ours."""
    account: Account = field(default_factory=Account.same)
    death_signal: signal.Signals = signal.SIGKILL
    """What the child gets from the kernel when we are gone."""
    stdin: bytes = b""
    """What the child reads on its standard input."""


def launcher_command(spec: Spec) -> list[str]:
    """The command line that runs `spec` below the launcher."""
    options = [
        "--parent",
        str(os.getpid()),
        "--signal",
        str(int(spec.death_signal)),
        *spec.account.launcher_options,
    ]
    if spec.cwd is not None:
        options += ["--chdir", str(spec.cwd)]
    return [sys.executable, "-I", "-S", str(_LAUNCHER), *options, "--", *spec.command]


def run_to_end(spec: Spec, timeout_s: float | None = None) -> "subprocess.CompletedProcess[str]":
    """Runs a program that ends by itself; its output is returned. Raises subprocess.TimeoutExpired."""
    return subprocess.run(
        launcher_command(spec),
        env=dict(spec.env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def describe_exit(returncode: int) -> str:
    """`exit code 3` or `signal SIGKILL`."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"signal {signal.Signals(-returncode).name}"
    except ValueError:
        return f"signal {-returncode}"


def log_tail(log: Path, lines: int = 8) -> str:
    """The last lines of a log, for messages; empty when there is none."""
    if not log.is_file():
        return ""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _LOG_TAIL_BYTES))
        text = stream.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])


def inherited_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """The environment of this process with `changes`, for children that are programs of ours."""
    return {**os.environ, **changes}


class Child:
    """A running child. Bound to no event loop, so that one loop may start it and another one stop it."""

    def __init__(self, spec: Spec, process: "subprocess.Popen[bytes]") -> None:
        self.spec = spec
        self.started_at_s = time.monotonic()
        self._process = process

    @classmethod
    def spawn(cls, spec: Spec) -> "Child":
        """Starts the child. Call it from the main thread: the child is ended when the thread that forked
        ends.

        Errors: RuntimeError in another thread; OSError when the launcher itself cannot be started.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(
                f"{spec.name} must be started from the main thread: it ends with the thread that starts it"
            )
        output = _open_log(spec.log)
        try:
            process = subprocess.Popen(
                launcher_command(spec),
                stdin=subprocess.PIPE if spec.stdin else subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(spec.env),
            )
        finally:
            if output is not None:
                os.close(output)
        if process.stdin is not None:
            with process.stdin:
                process.stdin.write(spec.stdin)
        return cls(spec, process)

    @property
    def pid(self) -> int:
        """Process id of the program itself (of its watcher where the kernel knows no death signal)."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative: ended by that signal."""
        return self._process.poll()

    def log_end(self) -> str:
        """For messages: which log, and how it ends."""
        return f"the end of {self.spec.log}:\n{log_tail(self.spec.log)}" if self.spec.log else "it has no log"

    def send(self, signum: signal.Signals) -> None:
        """Sends a signal, unless the child has ended."""
        self._process.send_signal(signum)

    async def wait(self, timeout_s: float | None = None) -> int | None:
        """Waits for the end. Returns the return code, or None when `timeout_s` passed first."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                if self.returncode is None:
                    await self._end()
        return self.returncode

    async def _end(self) -> None:
        """Ends with the child, asleep until then where the kernel can tell."""
        try:
            watched = os.pidfd_open(self.pid)
        except (
            AttributeError,
            OSError,
        ):  # another system than Linux, or a kernel or sandbox that does not know it
            await self._end_polled()
            return
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        try:
            loop.add_reader(watched, ended.set)
            await ended.wait()
        finally:
            loop.remove_reader(watched)
            os.close(watched)
        await self._end_polled()  # it has ended, and is looked at once

    async def _end_polled(self) -> None:
        pause_s = _POLL_S_MIN
        while self.returncode is None:
            await asyncio.sleep(pause_s)
            pause_s = min(_POLL_S_MAX, pause_s * 1.5)

    async def stop(self, ladder: Sequence[tuple[signal.Signals, float]]) -> int:
        """Sends each signal of `ladder`, waits the seconds beside it, and sends SIGKILL after the last.

        Returns the return code.
        """
        for signum, grace_s in ladder:
            self.send(signum)
            code = await self.wait(grace_s)
            if code is not None:
                return code
        self.send(signal.SIGKILL)
        code = await self.wait()
        assert code is not None
        return code


def _open_log(log: Path | None) -> int | None:
    if log is None:
        return None
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.is_file() and log.stat().st_size > _LOG_KEEP_BYTES:
        log.replace(log.with_name(log.name + ".1"))
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
