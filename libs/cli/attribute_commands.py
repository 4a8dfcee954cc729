"""`omnijourney attribute`: one function per subcommand; `libs.cli.attributes` does the work."""

from enum import StrEnum
from typing import Annotated

import typer

from libs.cli.options import AsJson, DataDir, Limit, run

attribute = typer.Typer(name="attribute", help="Custom attributes of customers.", no_args_is_help=True)


class TypeName(StrEnum):
    """Types as they are written."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"


Team = Annotated[str, typer.Option(help="The team (UUID).")]
Key = Annotated[str, typer.Argument(help="The attribute, by its key.")]
Kind = Annotated[TypeName, typer.Argument(help="Its type.")]


@attribute.command("list", epilog="Example: omnijourney attribute list --team $TEAM")
def list_attributes(
    *,
    team: Team,
    archived: Annotated[bool, typer.Option("--archived", help="Archived ones, too.")] = False,
    limit: Limit = 100,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List attributes: key, type and name."""
    from libs.cli import attributes

    run(data_dir, attributes.show(team, limit, archived=archived, as_json=as_json))


@attribute.command(epilog='Example: omnijourney attribute create size number --name "Shoe size" --team $TEAM')
def create(
    key: Annotated[str, typer.Argument(help="A letter, then up to 63 letters, digits and _; never changes.")],
    kind: Kind,
    *,
    team: Team,
    name: Annotated[str, typer.Option(help="Name shown to people. [default: the key]")] = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Define an attribute."""
    from libs.cli import attributes

    run(data_dir, attributes.create(team, key, kind, name, as_json=as_json))


@attribute.command(epilog='Example: omnijourney attribute rename size "Shoe size" --team $TEAM')
def rename(
    key: Key,
    name: Annotated[str, typer.Argument(help="Its new name.")],
    *,
    team: Team,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Give an attribute another name to be shown by; its key stays."""
    from libs.cli import attributes

    run(data_dir, attributes.rename(team, key, name, as_json=as_json))


@attribute.command(epilog="Example: omnijourney attribute retype size number --preview --team $TEAM")
def retype(
    key: Key,
    kind: Kind,
    *,
    team: Team,
    preview: Annotated[
        bool, typer.Option("--preview", help="Change nothing: say which values would fit.")
    ] = False,
    convert: Annotated[
        bool, typer.Option("--convert", help="Keep the values that fit; without it all are hidden.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Give an attribute another type. Running journeys that use it hear of it within 5 s."""
    from libs.cli import attributes

    run(data_dir, attributes.retype(team, key, kind, preview=preview, convert=convert, as_json=as_json))


@attribute.command(epilog="Example: omnijourney attribute archive size --team $TEAM")
def archive(key: Key, *, team: Team, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Put an attribute away: it keeps its values, and journeys that use it stop."""
    from libs.cli import attributes

    run(data_dir, attributes.archive(team, key, as_json=as_json))


@attribute.command(epilog="Example: omnijourney attribute restore size --team $TEAM")
def restore(key: Key, *, team: Team, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Take an attribute that was put away into use again."""
    from libs.cli import attributes

    run(data_dir, attributes.restore(team, key, as_json=as_json))


@attribute.command(epilog="Example: omnijourney attribute delete size --team $TEAM")
def delete(
    key: Key,
    *,
    team: Team,
    force: Annotated[
        bool, typer.Option("--force", help="Also while journeys or saved audiences name it.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Delete an attribute with everyone's value of it. Refused while journeys or saved audiences name it."""
    from libs.cli import attributes

    run(data_dir, attributes.delete(team, key, force=force, as_json=as_json))


@attribute.command(epilog="Example: omnijourney attribute merge shoe_size size --team $TEAM")
def merge(
    key: Annotated[str, typer.Argument(help="The attribute that goes, by its key.")],
    into_key: Annotated[str, typer.Argument(help="The one that stays, of the same type.")],
    *,
    team: Team,
    force: Annotated[
        bool, typer.Option("--force", help="Also while journeys or saved audiences name the one that goes.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make one attribute of two: who has a value of both keeps that of the one that stays."""
    from libs.cli import attributes

    run(data_dir, attributes.merge(team, key, into_key, force=force, as_json=as_json))
