"""`omnijourney webhook`: one function per subcommand."""

from __future__ import annotations

from typing import Annotated

import typer

from libs.cli.options import AsJson, DataDir, Limit, Team, run

webhook = typer.Typer(
    name="webhook", help="Webhooks to teams' programs, and what could not be delivered.", no_args_is_help=True
)
Subscription = Annotated[
    str, typer.Argument(help="The webhook (UUID), as `omnijourney webhook list` shows it.")
]


@webhook.command("list", epilog="Example: omnijourney webhook list --team $TEAM")
def list_webhooks(
    *, team: Team, limit: Limit = 100, as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """List where a team's events are sent."""
    from libs.cli import records

    run(data_dir, records.subscriptions(team, limit, as_json=as_json))


@webhook.command("dead", epilog="Example: omnijourney webhook dead $WEBHOOK --team $TEAM")
def dead_letters(
    subscription: Subscription,
    *,
    team: Team,
    limit: Limit = 100,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List what could not be delivered, and why."""
    from libs.cli import records

    run(data_dir, records.dead_letters(team, subscription, limit, as_json=as_json))


@webhook.command(epilog="Example: omnijourney webhook replay $WEBHOOK --team $TEAM")
def replay(
    subscription: Subscription,
    *,
    team: Team,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only this one, by its webhook id; may be repeated. [default: all]"),
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Deliver again what could not be delivered."""
    from libs.cli import records

    run(data_dir, records.replay(team, subscription, only or (), as_json=as_json))
