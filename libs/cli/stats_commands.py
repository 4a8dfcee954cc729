"""`omnijourney stats`: one function per subcommand."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import typer

from libs.cli.options import AsJson, DataDir, Team, believed, client_settings, finish, run

JourneyName = Annotated[str, typer.Argument(help="Name or id of the journey.")]

stats = typer.Typer(name="stats", help="Figures of journeys and teams.", no_args_is_help=True)


@stats.command("check", epilog="Example: omnijourney stats check --team $TEAM")
def check_stats(
    team: Annotated[str, typer.Option(help="The team (UUID).")],
    *,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Compare figures with the records that they count. Exit code 1 if any differ."""
    from libs.cli.stats import check_figures

    finish(check_figures(client_settings(data_dir), team, as_json=as_json))


@stats.command(epilog="Example: omnijourney stats rebuild --team $TEAM")
def rebuild(
    team: Annotated[str, typer.Option(help="Only this team (UUID). [default: all]")] = "",
    *,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Count figures anew from the histories. The old ones are shown until it is done."""
    from libs.cli.stats import rebuild_figures

    finish(rebuild_figures(client_settings(data_dir), team, as_json=as_json))


@stats.command(epilog="Example: omnijourney stats overview Welcome --team $TEAM")
def overview(name: JourneyName, *, team: Team, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show the figures of a journey over all time."""
    from libs.cli import figures

    run(data_dir, figures.overview(team, name, as_json=as_json))


@stats.command(epilog="Example: omnijourney stats nodes Welcome --team $TEAM")
def nodes(name: JourneyName, *, team: Team, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show who entered, passed and dropped off at each node of a journey, who waits there, and why."""
    from libs.cli import figures

    run(data_dir, figures.nodes(team, name, as_json=as_json))


@stats.command(epilog="Example: omnijourney stats messages Welcome --team $TEAM")
def messages(name: JourneyName, *, team: Team, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show what became of the messages of a journey, by node and channel."""
    from libs.cli import figures

    run(data_dir, figures.messages(team, name, as_json=as_json))


@stats.command(epilog="Example: omnijourney stats lift Welcome --team $TEAM")
def lift(name: JourneyName, *, team: Team, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show what splits of a journey changed that hold somebody out: lift with its 95 % interval."""
    from libs.cli import figures

    run(data_dir, figures.lift(team, name, as_json=as_json))


@stats.command("team", epilog="Example: omnijourney stats team --team $TEAM")
def team_figures(*, team: Team, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show the figures of a team over all time."""
    from libs.cli import figures

    run(data_dir, figures.team(team, as_json=as_json))


@stats.command(epilog="Example: omnijourney stats order shop 1001 --team $TEAM")
def order(
    shop_id: Annotated[str, typer.Argument(help="The shop.")],
    order_id: Annotated[str, typer.Argument(help="The order's id at the shop.")],
    *,
    team: Team,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show which journey an order is of, and why, or why of none."""
    from libs.cli import figures

    run(data_dir, figures.order(team, shop_id, order_id, as_json=as_json))


@stats.command(
    epilog="Example: omnijourney stats series Welcome --team $TEAM --by day --since 2026-05-01 --until 2026-06-01"
)
def series(
    name: Annotated[str, typer.Argument(help="Name or id of the journey; none with `--of team`.")] = "",
    *,
    team: Team,
    since: Annotated[
        datetime, typer.Option(callback=believed, help="From here on, local time, a full quarter of an hour.")
    ],
    until: Annotated[
        datetime, typer.Option(callback=believed, help="Until here, local time, a full quarter of an hour.")
    ],
    by: Annotated[
        Literal["hour", "day"], typer.Option(help="Length of the steps, in the team's zone.")
    ] = "day",
    of: Annotated[
        Literal["journey", "nodes", "messages", "team"], typer.Option(help="Whose figures a line has.")
    ] = "journey",
    data_dir: DataDir = None,
) -> None:
    """Write figures of a journey or a team by hour or day, as CSV: a year of hours at most."""
    from libs.cli.series import series as write

    if (of == "team") is bool(name):
        raise typer.BadParameter("takes the name of a journey, or --of team", param_hint="name")

    run(data_dir, write(team, name, of, by, (since, until)))
