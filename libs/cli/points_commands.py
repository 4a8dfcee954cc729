"""`omnijourney points`: one function per subcommand."""

from __future__ import annotations

from typing import Annotated

import typer

from libs.cli.options import AsJson, DataDir, Limit, Team, client_settings, finish, run

points = typer.Typer(name="points", help="The ledger of points.", no_args_is_help=True)


@points.command(epilog="Example: omnijourney points check --team $TEAM --incremental")
def check(
    *,
    team: Annotated[str, typer.Option(help="Only this team (UUID). [default: every team]")] = "",
    incremental: Annotated[
        bool, typer.Option("--incremental", help="Only what is new since the last such check found nothing.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Check the ledger of points. Exit code 1 if a law is broken."""
    from libs.cli.points import check_points

    finish(check_points(client_settings(data_dir), team, incremental=incremental, as_json=as_json))


@points.command(epilog="Example: omnijourney points balance $CUSTOMER --team $TEAM")
def balance(
    customer: Annotated[str, typer.Argument(help="The customer (UUID).")],
    *,
    team: Team,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show a customer's points: balance and cumulative."""
    from libs.cli import records

    run(data_dir, records.balance(team, customer, as_json=as_json))


@points.command(epilog="Example: omnijourney points history --customer $CUSTOMER --team $TEAM")
def history(
    *,
    team: Team,
    customer: Annotated[str, typer.Option(help="Only of this customer (UUID). [default: of all]")] = "",
    limit: Limit = 100,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List changes of points of the last 30 days, newest first."""
    from libs.cli import records

    run(data_dir, records.history(team, customer, limit, as_json=as_json))
