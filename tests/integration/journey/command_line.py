"""`omnijourney journey …` as people run it: a process of its own."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import NamedTuple

from libs.testing.fixtures import Servers
from tests.integration.journey.whole_site import Site


class Done(NamedTuple):
    """What a command did."""

    code: int | None
    out: str
    err: str


async def command(site: Site, servers: Servers, folder: Path, *arguments: str) -> Done:
    """`omnijourney journey …` of the team, in `folder`."""
    environment = {"OMNIJOURNEY_JOURNEY_TARGET": site.journey_target, "OMNIJOURNEY_TOKEN": servers.token}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "libs.cli.main", "journey", *arguments, "--team", site.team_id),
        cwd=folder,
        env=environment | {"PYTHONPATH": str(Path.cwd())},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Done(process.returncode, out.decode(), err.decode())
