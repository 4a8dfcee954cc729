"""The whole demo on a small file of the shop's form, through all five services, against figures made by hand."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from libs.demo.run import EXIT_FAULT, EXIT_INTERRUPTED, run_demo

pytestmark = pytest.mark.timeout(300)

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def row(  # noqa: PLR0917 - the columns of the file
    invoice: str, at: str, quantity: int, price: str, member: str, name: str = "MUG"
) -> str:
    return f"{invoice},1,{name},{quantity},2010-12-{at},{price},{member},United Kingdom"


def small_month() -> list[str]:
    """Two days of few customers.

    Points at £10 = 1: customer 2 earns 60 and 50 (two big baskets, one enrolment) and is a vip a day later;
    customer 3 earns 50, gives £600 back (60 asked, 50 there) and still has 50 cumulative points of the 100;
    customer 4 has a first order of £5 (1 point) and 104 hearts on two channels; customer 5 only a refund.
    """
    rows = [
        row("100", "01 08:26:00", 100, "6.00", "2.0"),
        row("101", "01 09:00:00", 100, "5.00", "3.0"),
        row("102", "01 09:30:00", 1, "5.00", "4.0"),
        row("103", "01 10:00:00", 1, "20.00", ""),
        row("C104", "01 10:30:00", -1, "20.00", ""),
        row("105", "01 10:45:00", 1, "0", ""),
        row("C106", "01 11:00:00", -100, "6.00", "3.0"),
        row("C107", "01 11:00:00", -1, "12.00", "5.0"),
        row("108", "01 12:00:00", 100, "5.00", "2.0"),
        row("109", "01 12:30:00", 1, "0", "6.0"),
        "110,1,MUG,many,2010-12-01 13:00:00,1,6.0,United Kingdom",
    ]
    # 4 has LINE and takes the cap of 100; 3 has none and is skipped.
    rows += [
        row(f"2{n:03d}", f"02 {6 + n // 30:02d}:{n % 30:02d}:00", 1, "1.00", "4.0", "RED HEART")
        for n in range(104)
    ]
    rows.insert(20, row("3000", "02 06:00:30", 1, "1.00", "3.0", "Sweetheart box"))
    return rows


EXPECTED = {
    "orders": 4 + 104 + 1,
    "refunds": 2,
    "anonymous": 3,
    "customers": 4,
    "points": {
        # 60 + 50 + 1 + 50 earned; £1 earns nothing; 60 and 1 asked back, of which 50 were there
        "earned": 161,
        "refunded": 50,
        "refund_shortfall": 11,
        "journey": 50,
        "balance": 161,
        "cumulative": 211,
    },
}


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file."""
    path = tmp_path_factory.mktemp("shop") / "small.csv"
    path.write_text("\n".join([HEADER, *small_month()]) + "\n")
    return path


def demo(month: Path, work: Path, **options: Any) -> tuple[int, dict[str, Any], str]:
    """Exit code, report and what was printed."""
    text = io.StringIO()
    report = work / "report.json"
    console = Console(file=text, width=140)
    code = run_demo(data=month, report=report, data_dir=work, console=console, **options)
    return code, json.loads(report.read_text()) if report.exists() else {}, text.getvalue()


def check_report(report: dict[str, Any]) -> None:
    found_points = {key: value for key, value in report["points"].items() if key != "entries"}
    assert {**{key: report[key] for key in EXPECTED if key != "points"}, "points": found_points} == EXPECTED
    big = report["journeys"]["big-basket"]
    assert big == {
        "status": "ACTIVE",
        "reason": None,
        "triggered": 2,
        "refused": 1,
        "completed": 2,
        "halted": 0,
        "messages": {"sent": 4, "failed": 0, "skipped": 0, "unknown": 0},
        "nodes": {
            "thanks": 2,
            "next-day": 2,
            "many-points": 2,
            "make-vip": 1,
            "bonus": 1,
            "reward": 1,
            "encourage": 1,
        },
    }
    favourite = report["journeys"]["favourite-item"]
    assert (favourite["status"], favourite["reason"]) == ("STOPPED", "LINE_CAP_REACHED")
    assert favourite["messages"] == {"sent": 100, "failed": 0, "skipped": 1, "unknown": 0}
    assert favourite["triggered"] == favourite["completed"] + favourite["halted"]
    vip = report["journeys"]["vip-welcome"]
    assert (vip["triggered"], vip["completed"], vip["nodes"]) == (1, 1, {"platinum": 1, "welcome": 1})
    assert report["channels"] == {
        "whatsapp": {"sent": 5, "received_by_emulator": 5},
        "line": {"sent": 100, "received_by_emulator": 100},
    }


def processes_in(work: Path) -> list[psutil.Process]:
    """Processes that still work in a directory."""
    found = []
    for process in psutil.process_iter(["environ", "cmdline"]):
        told = {**(process.info["environ"] or {}), "cmdline": " ".join(process.info["cmdline"] or [])}
        if process.pid != os.getpid() and any(str(work) in value for value in told.values()):
            found.append(process)
    return found


def at_half_time(do: Callable[[Path], None], work: Path, stop: threading.Event) -> Callable[[], None]:
    """A watcher for a thread: calls `do` once, when the emulators have accepted 40 LINE messages."""
    log = work / "demo" / "emulators" / "line.jsonl"

    def watch() -> None:
        while not stop.is_set():
            if log.exists() and log.read_bytes().count(b"\n") >= 40:
                do(work)
                return
            stop.wait(0.01)

    return watch


def kill_service(name: str) -> Callable[[Path], None]:
    """Kills a service's process as a crash would."""

    def kill(work: Path) -> None:
        for process in processes_in(work):
            if f"services.{name}" in " ".join(process.info["cmdline"] or []):
                process.send_signal(signal.SIGKILL)

    return kill


def test_killed_services_change_no_figure(month: Path, tmp_path: Path) -> None:
    services = ("journey", "channel_gateway", "segment")
    stop = threading.Event()
    killed: list[Path] = []

    def kill(work: Path) -> None:
        for service in services:
            kill_service(service)(work)
        killed.append(work)

    watcher = threading.Thread(target=at_half_time(kill, tmp_path, stop))
    watcher.start()
    try:
        code, report, text = demo(month, tmp_path)
    finally:
        stop.set()
        watcher.join()
    assert killed, "the replay ended before anything was killed"
    assert code == 0, text
    assert [service for service in services if f"{service} runs again" not in text] == []
    check_report(report)


def test_a_source_that_is_none_says_so(tmp_path: Path) -> None:
    code, report, text = demo(tmp_path / "missing.csv", tmp_path)
    assert (code, report) == (EXIT_FAULT, {})
    assert "missing.csv cannot be read" in text


def interrupt(month: Path, work: Path) -> None:
    """Starts the demo, and ends it by Ctrl-C when the first message was accepted."""
    command = [sys.executable, "-m", "libs.cli.main", "demo", "--data", str(month), "--data-dir", str(work)]
    accepted = work / "demo" / "emulators" / "whatsapp.jsonl"
    with subprocess.Popen(
        [*command, "--speed", "600"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as running:
        wait_until(lambda: accepted.exists() and accepted.read_bytes() != b"", running)
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does: everybody in the foreground hears it
        assert running.wait(timeout=60) == EXIT_INTERRUPTED
    assert processes_in(work) == []


@pytest.mark.rule("C-02b", "J-07c", "J-07i", "J-13b", "J-20b", "J-20c", "P-06d", "P-06e")
def test_a_small_month_comes_out_as_counted_by_hand_after_a_run_that_ctrl_c_ended(
    month: Path, tmp_path: Path
) -> None:
    interrupt(month, tmp_path)
    code, report, text = demo(month, tmp_path)
    assert code == 0, text
    check_report(report)
    assert "1, quantity is not a number" in text
    assert "no order and no refund: 1, sum is 0 or less" in text
    assert "cross-checks" in text
    assert "The same events simulated" in text
    assert "grpcurl" in text
    assert processes_in(tmp_path) == []


def wait_until(condition: Callable[[], bool], running: "subprocess.Popen[bytes]") -> None:
    """Fails with the program's output when it ends first, or after a minute."""
    deadline_s = time.monotonic() + 60
    while not condition():
        if running.poll() is not None or time.monotonic() > deadline_s:
            running.kill()
            assert running.stdout is not None
            pytest.fail(running.stdout.read().decode())
        threading.Event().wait(0.05)
