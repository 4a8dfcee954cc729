"""`omnijourney customer …`: what is held of a person, and the end of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.cli import journeys, persons
from libs.cli.options import DataDir, configured
from libs.client import ClientSettings

customer = typer.Typer(
    name="customer", help="All that is held of a person; people who are one.", no_args_is_help=True
)
Team = Annotated[str, typer.Option(help="The team (UUID).")]
CustomerId = Annotated[str, typer.Argument(help="The customer (UUID).")]


@customer.command("export")
def export_person(customer_id: CustomerId, *, team: Team, data_dir: DataDir = None) -> None:
    """Write all that the five services hold of a person to stdout, a JSON object a line."""
    _run(data_dir, persons.export_person(team, customer_id))


@customer.command("erase")
def erase_person(
    customer_id: CustomerId,
    *,
    team: Team,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. It cannot be undone.")] = False,
    follow: Annotated[bool, typer.Option(help="Show how far it is until it is done.")] = True,
    data_dir: DataDir = None,
) -> None:
    """Erase a person in all five services; figures stay. It cannot be undone."""
    if not yes:
        typer.confirm(f"Erase customer {customer_id} for good?", abort=True)
    _run(data_dir, persons.erase_person(team, customer_id, follow=follow))


def _run(data_dir: Path | None, command: journeys.Command) -> None:
    changes: dict[str, Any] = {"data_dir": data_dir} if data_dir is not None else {}
    raise typer.Exit(asyncio.run(journeys.run(configured(ClientSettings, changes), command)))
