"""Where peers are installed, and their processes."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tools.paths import BUILD

PLACE: Final = Path(os.environ.get("BENCH_PEERS", BUILD / "peers"))
PYTHON: Final = PLACE / "venv" / "bin" / "python"
SCRIPTS: Final = Path(__file__).parent
_END_S: Final = 10.0


class NotInstalledError(Exception):
    """A peer is not there; says which part."""


def need(file: Path, what: str) -> Path:
    """The file. Errors: NotInstalledError."""
    if not file.exists():
        raise NotInstalledError(f"{what} is not installed (make bench-peers)")
    return file


def need_package(name: str) -> None:
    """A package of the peers' environment. Errors: NotInstalledError."""
    need(PYTHON, "the peers' Python")
    if not any(PLACE.glob(f"venv/lib/python*/site-packages/{name}")):
        raise NotInstalledError(f"the package {name} is not installed (make bench-peers)")


@contextlib.asynccontextmanager
async def running(
    command: Sequence[str], log: Path, variables: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process with its output in `log`, ended at the end."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=output, stderr=output, env={**os.environ, **variables}
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _END_S)
            except TimeoutError:
                process.kill()
                await process.wait()
