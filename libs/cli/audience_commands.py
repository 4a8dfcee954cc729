"""`omnijourney audience`: one function per subcommand."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from libs.cli.options import AsJson, DataDir, Limit, Team, run

audience = typer.Typer(name="audience", help="Saved audiences, and who is in them.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Name or id of the saved audience.")]


@audience.command("list", epilog="Example: omnijourney audience list --team $TEAM")
def list_audiences(
    *, team: Team, limit: Limit = 100, as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """List saved audiences."""
    from libs.cli import records

    run(data_dir, records.audiences(team, limit, as_json=as_json))


@audience.command(epilog="Example: omnijourney audience show VIP --team $TEAM --language en")
def show(
    name: Name,
    *,
    team: Team,
    language: Annotated[Literal["zh-TW", "en"], typer.Option(help="Of the line.")] = "en",
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Say in one line who is in an audience."""
    from libs.cli import records

    run(data_dir, records.describe_audience(team, name, language, as_json=as_json))


@audience.command(epilog="Example: omnijourney audience count VIP --team $TEAM")
def count(name: Name, *, team: Team, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Count who is in an audience now."""
    from libs.cli import records

    run(data_dir, records.count_audience(team, name, as_json=as_json))


@audience.command(epilog="Example: omnijourney audience customers VIP --team $TEAM --limit 0 --json")
def customers(
    name: Name, *, team: Team, limit: Limit = 100, as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """List who is in an audience now."""
    from libs.cli import records

    run(data_dir, records.audience_customers(team, name, limit, as_json=as_json))
