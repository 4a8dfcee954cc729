"""`omnijourney tag`: one function per subcommand; `libs.cli.tags` does the work."""

from typing import Annotated

import typer

from libs.cli.options import AsJson, DataDir, Limit, Team, run

tag = typer.Typer(name="tag", help="Tags of customers.", no_args_is_help=True)

Tag = Annotated[str, typer.Argument(help="The tag; letter case and width do not matter.")]


@tag.command("list", epilog="Example: omnijourney tag list --team $TEAM")
def list_tags(*, team: Team, limit: Limit = 100, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List tags in use with how many customers have them."""
    from libs.cli import records

    run(data_dir, records.tags(team, limit, as_json=as_json))


@tag.command(epilog="Example: omnijourney tag rename vip VIP --team $TEAM --merge")
def rename(
    name: Tag,
    new_name: Annotated[str, typer.Argument(help="Its new name.")],
    *,
    team: Team,
    merge: Annotated[
        bool, typer.Option("--merge", help="Also if customers have the new one: both become one.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Give a tag another name for everyone who has it. Says which journeys and audiences go on naming the old one."""
    from libs.cli import tags

    run(data_dir, tags.rename(team, name, new_name, merge=merge, as_json=as_json))


@tag.command(epilog="Example: omnijourney tag delete old --team $TEAM")
def delete(
    name: Tag,
    *,
    team: Team,
    force: Annotated[
        bool, typer.Option("--force", help="Also while journeys or saved audiences name it.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Take a tag from everyone who has it. Refused while journeys or saved audiences name it."""
    from libs.cli import tags

    run(data_dir, tags.delete(team, name, force=force, as_json=as_json))
