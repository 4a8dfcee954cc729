"""`omnijourney import` and `seed-customers`: contacts from a file, and made up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from libs.cli.options import DataDir, client_settings, finish, run

contacts = typer.Typer(name="contacts")


@contacts.command("import", epilog="Example: omnijourney import people.csv --team $TEAM --preview")
def import_contacts(
    file: Annotated[
        str, typer.Argument(help="CSV as spreadsheets write it: a path, or an address of http(s).")
    ],
    *,
    team: Annotated[str, typer.Option(help="The team (UUID).")],
    channel: Annotated[
        Literal["", "line", "whatsapp", "messenger", "instagram"],
        typer.Option(help="Of which channel the contacts are. [default: of none]", show_default=False),
    ] = "",
    account: Annotated[str, typer.Option(help="The channel account (UUID); with --channel.")] = "",
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            help="'Heading=field' for a column whose heading does not say what it is, 'Heading=' to pass over it;"
            " can be given several times.",
        ),
    ] = None,
    preview: Annotated[
        bool,
        typer.Option("--preview", help="Only show what columns are and what the first lines would change."),
    ] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="End the import of this file early; what was applied stays.")
    ] = False,
    triggers: Annotated[bool, typer.Option("--triggers", help="What it changes starts journeys.")] = False,
    deduct_cumulative: Annotated[
        bool, typer.Option("--deduct-cumulative", help="Negative points lower the cumulative points, too.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Also if the file was imported before.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write lines that failed to this file, to be corrected and loaded.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Import contacts from a file, and show how far it is until it has ended.

    Goes on by itself when this command is broken off; the same command follows it again, or goes on with the upload.
    Exit code 3: some lines failed; 1: the file was refused, or the import has failed.
    """
    from libs.cli import contact_imports, journeys

    settings = client_settings(data_dir)
    asked = contact_imports.Asked(
        team_id=team,
        source=file,
        channel=channel,
        account_id=account,
        mapping=tuple(mapping or ()),
        triggers=triggers,
        deduct_cumulative=deduct_cumulative,
        again=again,
        report=report,
        as_json=as_json,
    )
    does = contact_imports.preview if preview else contact_imports.cancel if cancel else contact_imports.load
    finish(journeys.run(settings, does(asked)))


@contacts.command("seed-customers", epilog="Example: omnijourney seed-customers 10000 --team $TEAM --seed 1")
def seed_customers(
    count: Annotated[int, typer.Argument(min=1, max=10_000_000, help="How many customers.")],
    *,
    team: Annotated[str, typer.Option(help="The team (UUID).")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same customers.")] = 1,
    data_dir: DataDir = None,
) -> None:
    """Make up customers, for trying and measuring: 5 tags and 10 attributes each. Not for a team that is live.

    What is there already stays; a run that was broken off goes on when it is started again.
    """
    from libs.cli.seed_customers import seed_customers as made_up_customers

    run(data_dir, made_up_customers(team, count, seed))
