"""`omnijourney token`: one function per subcommand."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from libs.cli.options import AsJson, DataDir, Limit, client_settings, finish

if TYPE_CHECKING:
    from libs.cli.tokens import Command


class ScopeName(StrEnum):
    """The scopes that a client can have, as people write them."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
    OPERATE = "operate"


token = typer.Typer(
    name="token", help="Who may call: clients of the API and their tokens.", no_args_is_help=True
)
Team = Annotated[str, typer.Option(help="The team (UUID). [default: a client of the installation]")]
ClientId = Annotated[str, typer.Argument(help="The client's id, as `omnijourney token list` shows it.")]


@token.command(
    "create", epilog='Example: omnijourney token create "my shop" --team $TEAM --scope write --days 90'
)
def token_create(
    name: Annotated[str, typer.Argument(help="What people call it; who did it, in revisions and entries.")],
    *,
    scope: Annotated[
        list[ScopeName],
        typer.Option(
            help="What it may do; can be given several times. admin includes write, write includes read."
        ),
    ],
    team: Team = "",
    days: Annotated[
        float | None, typer.Option(min=0, help="Its token ends after so many days. [default: never]")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make a client and print its token, which cannot be shown again."""
    from libs.cli import tokens

    _run_token(data_dir, tokens.create(team, name, scope, days, as_json=as_json))


@token.command("list", epilog="Example: omnijourney token list --team $TEAM --json")
def token_list(
    *,
    team: Team = "",
    limit: Limit = 100,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List clients, two lines each; tokens are never shown."""
    from libs.cli import tokens

    _run_token(data_dir, tokens.show(team, limit, as_json=as_json))


@token.command("rotate", epilog="Example: omnijourney token rotate $CLIENT --team $TEAM --overlap-hours 24")
def token_rotate(
    client_id: ClientId,
    *,
    team: Team = "",
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=168, help="So long the old token works beside the new one.")
    ] = 0.0,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Give a client a new token and print it."""
    from libs.cli import tokens

    _run_token(data_dir, tokens.rotate(team, client_id, overlap_hours, as_json=as_json))


@token.command("revoke", epilog="Example: omnijourney token revoke $CLIENT --team $TEAM")
def token_revoke(
    client_id: ClientId, *, team: Team = "", as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """Refuse a client's tokens from now on, in every service within 5 s."""
    from libs.cli import tokens

    _run_token(data_dir, tokens.revoke(team, client_id, as_json=as_json))


def _run_token(data_dir: Path | None, command: Command) -> None:
    from libs.cli import tokens

    finish(tokens.run(client_settings(data_dir), command))
