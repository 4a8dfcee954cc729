"""`omnijourney …` as people run it, in a process of its own for each call, which need not import its modules anew."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pkgutil
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Final, NamedTuple

import libs.cli

_context: Final = multiprocessing.get_context("forkserver")
_modules: Final = [f"libs.cli.{found.name}" for found in pkgutil.iter_modules(libs.cli.__path__)]
_context.set_forkserver_preload(_modules)


class Done(NamedTuple):
    """What a command did."""

    code: int | None
    out: str
    err: str


async def omnijourney(*arguments: str, environment: Mapping[str, str], folder: Path | None = None) -> Done:
    """Runs the command in `folder`, with `environment` and no other variables, until it ends."""
    with tempfile.TemporaryDirectory() as made:
        told = Path(made)
        process = ForkServerProcess(
            target=_run, args=(arguments, dict(environment), folder or Path.cwd(), told)
        )
        process.start()
        await asyncio.to_thread(process.join)
        return Done(process.exitcode, (told / "out").read_text(), (told / "err").read_text())


def _run(arguments: tuple[str, ...], environment: dict[str, str], folder: Path, told: Path) -> None:
    from libs.cli.main import main  # noqa: PLC0415 - imported by the server that forks, once

    for name, stream in (("out", sys.stdout), ("err", sys.stderr)):
        with (told / name).open("wb") as file:
            os.dup2(file.fileno(), stream.fileno())
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["omnijourney", *arguments]
    main()
