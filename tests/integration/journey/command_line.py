"""`omnijourney journey …` as people run it: a process of its own."""

from __future__ import annotations

from pathlib import Path

from libs.testing.fixtures import Servers
from tests.command_line import Done, omnijourney
from tests.integration.journey.whole_site import Site


async def command(site: Site, servers: Servers, folder: Path, *arguments: str) -> Done:
    """`omnijourney journey …` of the team, in `folder`."""
    environment = {"OMNIJOURNEY_JOURNEY_TARGET": site.journey_target, "OMNIJOURNEY_TOKEN": servers.token}
    return await omnijourney(
        "journey", *arguments, "--team", site.team_id, environment=environment, folder=folder
    )
