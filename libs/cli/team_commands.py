"""`omnijourney team`: one function per subcommand."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from libs.cli.options import AsJson, DataDir, Limit, run

team = typer.Typer(name="team", help="Teams: the tenants, which own all else.", no_args_is_help=True)


class ModuleName(StrEnum):
    """The modules that a team can have, as people write them."""

    JOURNEYS = "journeys"
    POINTS = "points"
    CUSTOM_ATTRIBUTES = "custom_attributes"
    SOCIAL_CDP = "social_cdp"


@team.command("list", epilog="Example: omnijourney team list --json")
def list_teams(*, limit: Limit = 100, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List teams."""
    from libs.cli import records

    run(data_dir, records.teams(limit, as_json=as_json))


@team.command(epilog="Example: omnijourney team show $TEAM --json")
def show(
    team_id: Annotated[str, typer.Argument(metavar="TEAM", help="The team (UUID).")],
    *,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show a team with its settings."""
    from libs.cli import records

    run(data_dir, records.team(team_id, as_json=as_json))


@team.command(epilog='Example: omnijourney team create "My shop" --module journeys --module points')
def create(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    *,
    zone: Annotated[str, typer.Option(help="Its time zone (IANA).")] = "Asia/Taipei",
    currency: Annotated[str, typer.Option(help="Its currency (ISO 4217).")] = "TWD",
    module: Annotated[
        list[ModuleName] | None, typer.Option(help="A module that it has; may be repeated.")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make a team, and print its id."""
    from libs.cli import records

    run(data_dir, records.new_team(name, zone, currency, module or (), as_json=as_json))
