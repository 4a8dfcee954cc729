"""`omnijourney customer …`: what is held of a person, and the end of it."""

from __future__ import annotations

from typing import Annotated

import typer

from libs.cli.options import AsJson, DataDir, Limit, Team, run

customer = typer.Typer(
    name="customer", help="Customers, and all that is held of a person.", no_args_is_help=True
)
CustomerId = Annotated[str, typer.Argument(help="The customer (UUID).")]


@customer.command("list", epilog="Example: omnijourney customer list --keyword ann --team $TEAM")
def list_customers(
    *,
    team: Team,
    keyword: Annotated[str, typer.Option(help="In name, member id, phone or e-mail address.")] = "",
    limit: Limit = 100,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List customers."""
    from libs.cli import records

    run(data_dir, records.customers(team, keyword, limit, as_json=as_json))


@customer.command(epilog="Example: omnijourney customer show M-1 --team $TEAM")
def show(
    who: Annotated[str, typer.Argument(help="Id, member id, phone (+886…) or e-mail address.")],
    *,
    team: Team,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show a customer with tags, attributes and identities."""
    from libs.cli import records

    run(data_dir, records.customer(team, who, as_json=as_json))


@customer.command("export", epilog="Example: omnijourney customer export $CUSTOMER --team $TEAM")
def export_person(customer_id: CustomerId, *, team: Team, data_dir: DataDir = None) -> None:
    """Write all that the five services hold of a person to stdout, a JSON object a line."""
    from libs.cli import persons

    run(data_dir, persons.export_person(team, customer_id))


@customer.command("erase", epilog="Example: omnijourney customer erase $CUSTOMER --team $TEAM --yes")
def erase_person(
    customer_id: CustomerId,
    *,
    team: Team,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. It cannot be undone.")] = False,
    follow: Annotated[bool, typer.Option(help="Show how far it is until it is done.")] = True,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Erase a person in all five services; figures stay. It cannot be undone."""
    from libs.cli import persons

    if not yes:
        typer.confirm(f"Erase customer {customer_id} for good?", abort=True)
    run(data_dir, persons.erase_person(team, customer_id, follow=follow, as_json=as_json))


@customer.command(epilog="Example: omnijourney customer merge $CUSTOMER $OTHER --team $TEAM")
def merge(
    survivor: Annotated[str, typer.Argument(help="The customer who stays (UUID).")],
    loser: Annotated[str, typer.Argument(help="The customer who goes (UUID); cannot be undone.")],
    *,
    team: Team,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make two customers one: all that one has is the other's. Exit code 1 if it is not done within a minute."""
    from libs.cli import customers

    run(data_dir, customers.merge(team, survivor, loser, as_json=as_json))


@customer.command(epilog="Example: omnijourney customer conflicts --team $TEAM")
def conflicts(
    *,
    team: Team,
    two_people: Annotated[str, typer.Option(help="Settle this pair: they are two people.")] = "",
    limit: Limit = 100,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List pairs of customers whom one event named, newest first, but for those that are settled."""
    from libs.cli import customers

    run(
        data_dir,
        customers.settle(team, two_people, as_json=as_json)
        if two_people
        else customers.conflicts(team, limit, as_json=as_json),
    )
