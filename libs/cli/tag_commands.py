"""`omnijourney tag`: one function per subcommand; `libs.cli.tags` does the work."""

import asyncio
from typing import Annotated, Any

import typer

from libs.cli import journeys, tags
from libs.cli.journeys import Command
from libs.cli.options import DataDir, configured
from libs.client import ClientSettings

tag = typer.Typer(name="tag", help="Tags of customers.", no_args_is_help=True)

Team = Annotated[str, typer.Option(help="The team (UUID).")]
Tag = Annotated[str, typer.Argument(help="The tag; letter case and width do not matter.")]


@tag.command("list")
def list_tags(*, team: Team, data_dir: DataDir = None) -> None:
    """List tags in use with how many customers have them."""
    _run(data_dir, tags.show(team))


@tag.command()
def rename(
    name: Tag,
    new_name: Annotated[str, typer.Argument(help="Its new name.")],
    *,
    team: Team,
    merge: Annotated[
        bool, typer.Option("--merge", help="Also if customers have the new one: both become one.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Give a tag another name for everyone who has it. Says which journeys and audiences go on naming the old one."""
    _run(data_dir, tags.rename(team, name, new_name, merge=merge))


@tag.command()
def delete(
    name: Tag,
    *,
    team: Team,
    force: Annotated[
        bool, typer.Option("--force", help="Also while journeys or saved audiences name it.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Take a tag from everyone who has it. Refused while journeys or saved audiences name it."""
    _run(data_dir, tags.delete(team, name, force=force))


def _run(data_dir: Any, command: Command) -> None:
    changes: dict[str, Any] = {"data_dir": data_dir} if data_dir is not None else {}
    settings = configured(ClientSettings, changes)
    raise typer.Exit(asyncio.run(journeys.run(settings, command)))
