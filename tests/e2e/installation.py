"""`omnijourney up` as a person runs it: the real command, real servers, all five services."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from libs.client import ServiceName
from libs.client.found import InstallationFile

STARTS_WITHIN_S: Final = 600.0
"""Nothing is that slow: so long `up` itself waits for a service that runs."""


@dataclass
class Up:
    """The command while it runs."""

    process: subprocess.Popen[bytes]
    data_dir: Path

    def everything(self) -> list[int]:
        """Process ids of the command and all that it started."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [self.process.pid, *(child.pid for child in children)]

    def pid_of(self, service: ServiceName) -> int:
        """Process id of a service."""
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if child.cmdline()[-1:] == [f"services.{service}"]:
                    return child.pid
        raise LookupError(service)


@contextlib.contextmanager
def up(data_dir: Path, *options: str, variables: Mapping[str, str] | None = None) -> Iterator[Up]:
    """Starts the command on free ports and waits until it is up; kills what is left of it in the end."""
    command = [
        sys.executable,
        "-m",
        "libs.cli.main",
        "up",
        "--ports",
        "free",
        "--data-dir",
        str(data_dir),
        *(() if "--emulators" in options else ("--no-emulators",)),
        *options,
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMNIJOURNEY_")}
    environment |= variables or {}
    with (data_dir.with_name("output")).open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        deadline_s = time.monotonic() + STARTS_WITHIN_S
        while InstallationFile(data_dir).read() is None:
            told = data_dir.with_name("output").read_text()
            assert process.poll() is None, f"it ended with {process.returncode}:\n{told}"
            assert time.monotonic() < deadline_s, f"it did not come up:\n{told}"
            time.sleep(0.05)
        yield Up(process, data_dir)
    finally:
        everything = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.kill()
        process.wait(10)
        # They end with it, and write until then.
        psutil.wait_procs(everything, 10)
