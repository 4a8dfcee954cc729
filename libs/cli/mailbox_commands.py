"""`omnijourney mailbox`: one function per subcommand."""

from __future__ import annotations

from typing import Annotated

import typer

from libs.cli.options import AsJson, DataDir, Limit, Team, run

mailbox = typer.Typer(name="mailbox", help="Mailboxes of customers, and who is parked.", no_args_is_help=True)
Customer = Annotated[str, typer.Argument(help="The customer (UUID).")]


@mailbox.command(epilog="Example: omnijourney mailbox show $CUSTOMER --team $TEAM")
def show(customer: Customer, *, team: Team, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show what waits in a customer's mailbox, oldest first."""
    from libs.cli import records

    run(data_dir, records.mails(team, customer, as_json=as_json))


@mailbox.command(epilog="Example: omnijourney mailbox parked --team $TEAM")
def parked(*, team: Team, limit: Limit = 100, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List customers whose mail failed again and again: they are parked until somebody looks."""
    from libs.cli import records

    run(data_dir, records.parked(team, limit, as_json=as_json))


@mailbox.command(epilog="Example: omnijourney mailbox retry $CUSTOMER --team $TEAM")
def retry(customer: Customer, *, team: Team, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Let a parked customer try again, when the cause is gone."""
    from libs.cli import records

    run(data_dir, records.retry(team, customer, as_json=as_json))
