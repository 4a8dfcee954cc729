"""The launcher alone: the program never outlives the one who asked for it, with the kernel's help and without."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.integration.embedded.holder import still_running

LAUNCHER = Path("libs/embedded/launch.py").absolute()
_PARENT = """
import os, subprocess, sys
options = sys.argv[2:]
child = subprocess.Popen([sys.executable, "-I", "-S", sys.argv[1], "--parent", str(os.getpid()), "--signal", "15",
                          *options, "--", "/bin/sleep", "60"])
print(child.pid, flush=True)
child.wait()
"""


def _start(*options: str) -> tuple["subprocess.Popen[str]", int]:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(LAUNCHER), *options], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    return parent, int(parent.stdout.readline())


def _sleeper(pid: int) -> psutil.Process:
    """The `sleep` itself, once it runs: the launched process or its child."""
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:
        process = psutil.Process(pid)
        for found in (process, *process.children()):
            if found.name() == "sleep":
                return found
    raise AssertionError("it never started")


@pytest.mark.parametrize("options", [(), ("--watch",)], ids=["death signal", "watcher"])
def test_it_ends_with_its_parent(options: tuple[str, ...]) -> None:
    parent, pid = _start(*options)
    with parent:
        sleeper = _sleeper(pid)
        parent.kill()
    assert still_running([pid, sleeper.pid]) == []


@pytest.mark.parametrize("options", [(), ("--watch",)], ids=["death signal", "watcher"])
def test_it_obeys_and_tells_how_it_ended(options: tuple[str, ...]) -> None:
    parent, pid = _start(*options)
    with parent:
        sleeper = _sleeper(pid)
        psutil.Process(pid).terminate()
        assert parent.wait(10) == 0  # the parent saw its child end
    assert still_running([sleeper.pid]) == []


def test_it_starts_nothing_for_a_parent_that_is_gone() -> None:
    done = subprocess.run(
        [sys.executable, str(LAUNCHER), "--parent", "1", "--signal", "15", "--", "/bin/echo", "started"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (97, "")
