"""The emulators as a process of their own."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from libs.emulators.server import CHANNELS

COMMAND = [sys.executable, "-m", "libs.emulators"]


def test_the_process_says_its_ports_and_stops_when_told(tmp_path: Path) -> None:
    ports = [flag for channel in CHANNELS for flag in (f"--{channel}-port", "0")]
    flags = [*ports, "--data-dir", str(tmp_path)]
    with subprocess.Popen([*COMMAND, *flags], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        for channel in CHANNELS:
            with urllib.request.urlopen(f"{ready[channel]}/_emulator/health", timeout=5) as answer:
                assert json.load(answer)["channel"] == channel
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        flags = ["--only", "line", "--line-port", port, "--data-dir", str(tmp_path)]
        done = subprocess.run([*COMMAND, *flags], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert port in done.stderr
    assert "--line-port" in done.stderr
