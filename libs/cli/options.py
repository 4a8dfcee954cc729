"""Options that many commands have, and how a command is run with them. Loads nothing that help does not need."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from libs.cli.journeys import Command
    from libs.client import ClientSettings
    from libs.console.config import ConsoleSettings
    from libs.supervisor import InstallationSettings

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Data directory. [default: OMNIJOURNEY_DATA_DIR or .omnijourney]"),
]
Team = Annotated[str, typer.Option(help="The team (UUID).")]
AsJson = Annotated[bool, typer.Option("--json", help="A JSON object a line.")]
ServiceName = Literal["journey", "points", "channel_gateway", "segment", "stats"]
"""As the client has them."""
Limit = Annotated[int, typer.Option(min=0, help="At most so many; 0: all.")]
Settings = TypeVar("Settings", "InstallationSettings", "ClientSettings", "ConsoleSettings")


def run(data_dir: Path | None, command: Command) -> NoReturn:
    """Does what a command asks of the services of an installation, and ends with its exit code."""
    from libs.cli import journeys

    finish(journeys.run(client_settings(data_dir), command))


def finish(work: Coroutine[Any, Any, int]) -> NoReturn:
    """Does the work, and ends with its exit code."""
    import asyncio

    raise typer.Exit(asyncio.run(work))


def client_settings(data_dir: Path | None) -> ClientSettings:
    """Where the services are, and the token; a fault ends the command and names the variable."""
    from libs.client import ClientSettings

    return configured(ClientSettings, {"data_dir": data_dir} if data_dir is not None else {})


def configured(kind: type[Settings], changes: dict[str, Any]) -> Settings:
    """The settings from the environment with `changes`; a fault ends the command and names the variable, as a variable
    is named that nothing reads."""
    from pydantic import ValidationError

    from libs.cli.console import complain
    from libs.common.config import EXIT_CONFIG, fault_lines, unknown_variables

    for line in unknown_variables():
        complain(line)
    try:
        return kind(**changes)
    except ValidationError as error:
        for line in fault_lines(kind, error):
            complain(line)
        raise typer.Exit(EXIT_CONFIG) from None


def believed(at: datetime | None) -> datetime | None:
    """A time that the services take: one of the year 1, say, which a program left unset, has no instant in some zones.

    Raises BadParameter: it is the callback of an option.
    """
    from libs.common.times import OUT_OF_RANGE, in_range

    if at is not None and not in_range(at if at.tzinfo is not None else at.replace(tzinfo=UTC)):
        raise typer.BadParameter(OUT_OF_RANGE)
    return at
