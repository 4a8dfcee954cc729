"""Command lines, log tails and exit texts."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from libs.embedded import ports
from libs.embedded.ports import free_port, is_free
from libs.embedded.process import (
    Account,
    Child,
    Spec,
    describe_exit,
    inherited_environment,
    launcher_command,
    log_tail,
)


@pytest.mark.parametrize(
    ("code", "text"), [(0, "exit code 0"), (3, "exit code 3"), (-9, "signal SIGKILL"), (-123, "signal 123")]
)
def test_how_a_process_ended(code: int, text: str) -> None:
    assert describe_exit(code) == text


def test_the_launcher_is_told_everything() -> None:
    spec = Spec(
        "x",
        ["/bin/x", "-v"],
        {},
        cwd=Path("/data"),
        account=Account.dropped(1, 2),
        death_signal=signal.SIGINT,
    )
    command = launcher_command(spec)
    assert command[1:3] == ["-I", "-S"]
    assert command[3].endswith("/launch.py")
    assert command[4:] == [
        *("--parent", str(os.getpid()), "--signal", "2", "--drop", "1:2", "--chdir", "/data", "--"),
        *("/bin/x", "-v"),
    ]


@pytest.mark.parametrize("told_by_the_kernel", [True, False])
async def test_the_end_of_a_child_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, *, told_by_the_kernel: bool
) -> None:
    if not told_by_the_kernel:
        monkeypatch.delattr(os, "pidfd_open")
    child = Child.spawn(Spec("ends", [sys.executable, "-c", "import sys; sys.exit(3)"], dict(os.environ)))
    assert tuple(await asyncio.gather(child.wait(), child.wait(60.0))) == (3, 3)
    assert await child.wait(0.0) == 3
    lasting = Child.spawn(
        Spec("lasts", [sys.executable, "-c", "import time; time.sleep(60)"], dict(os.environ))
    )
    assert await lasting.wait(0.0) is None
    assert await lasting.stop([(signal.SIGTERM, 60.0)]) == -signal.SIGTERM
    assert await lasting.wait() == -signal.SIGTERM


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert log_tail(log) == ""
    log.write_text("x" * 10_000 + "\n" + "\n".join(str(number) for number in range(20)) + "\n")
    assert log_tail(log, lines=3) == "17\n18\n19"


def test_changes_win_over_the_inherited_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIJOURNEY_A", "old")
    monkeypatch.setenv("OMNIJOURNEY_B", "kept")
    changed = inherited_environment({"OMNIJOURNEY_A": "new"})
    assert (changed["OMNIJOURNEY_A"], changed["OMNIJOURNEY_B"]) == ("new", "kept")


def test_free_ports_differ_and_lie_below_those_of_outgoing_connections() -> None:
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == 20
    assert all(20_000 <= port < 32_000 and is_free(port) for port in ports)


def test_a_port_handed_to_one_process_is_not_handed_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although nobody listens on it yet, or no more."""
    port = free_port()
    monkeypatch.setattr(ports, "_LOWEST", port)
    monkeypatch.setattr(ports, "_HIGHEST", port + 1)
    monkeypatch.setattr(ports, "_handed_out", {})  # as another process has it
    assert is_free(port)
    with pytest.raises(OSError, match="no free port"):
        free_port()
