"""The command in the foreground, with stub services: Ctrl-C, a second Ctrl-C, a crash."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.embedded.holder import still_running

_SCRIPT = Path(__file__).with_name("up_stubs.py")
_ROOT = Path(__file__).parents[3]


@contextlib.contextmanager
def _up(data_dir: Path, *flags: str) -> Iterator["subprocess.Popen[str]"]:
    """The command, up."""
    process = subprocess.Popen(
        [sys.executable, str(_SCRIPT), str(data_dir), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "try" in line:
                break
        else:
            pytest.fail(f"it did not come up: exit code {process.wait()}")
        yield process
    finally:
        process.kill()
        process.communicate()


def _everything(process: "subprocess.Popen[str]") -> list[int]:
    return [process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_everything(data_dir: Path, number: signal.Signals) -> None:
    with _up(data_dir) as process:
        running = _everything(process)
        assert len(running) > 10
        process.send_signal(number)
        assert process.wait(60) == 0
        assert still_running(running, 0.1) == []


def test_it_is_down_soon_even_if_a_service_does_not_obey(data_dir: Path) -> None:
    with _up(data_dir, "--stubborn") as process:
        running = _everything(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert still_running(running, 0.1) == []


def test_a_second_signal_hurries(data_dir: Path) -> None:
    with _up(data_dir, "--stubborn", "--patient") as process:
        running = _everything(process)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.7)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert still_running(running, 0.1) == []


def test_a_killed_supervisor_leaves_nothing_and_the_next_start_is_fine(data_dir: Path) -> None:
    with _up(data_dir) as process:
        running = _everything(process)
        process.kill()
        process.wait(60)
        assert still_running(running) == []
    with _up(data_dir) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_a_signal_during_the_start_ends_everything_too(data_dir: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, str(_SCRIPT), str(data_dir)],
        text=True,
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )
    with process:
        while not (data_dir / "logs").exists():  # it has begun: PostgreSQL is being made
            assert process.poll() is None
            time.sleep(0.01)
        running = _everything(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert still_running(running, 0.1) == []
