"""`omnijourney journey …` as people run it: a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from libs.testing.fixtures import Servers
from tests.command_line import Done, omnijourney


class Called(Protocol):
    """Whom the command calls, and for which team."""

    team_id: str

    @property
    def journey_target(self) -> str:
        """Where journey is called."""
        ...


async def command(site: Called, servers: Servers, folder: Path, *arguments: str) -> Done:
    """`omnijourney journey …` of the team, in `folder`."""
    environment = {"OMNIJOURNEY_JOURNEY_TARGET": site.journey_target, "OMNIJOURNEY_TOKEN": servers.token}
    return await omnijourney(
        "journey", *arguments, "--team", site.team_id, environment=environment, folder=folder
    )
