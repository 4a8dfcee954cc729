"""Options that many commands have, and the settings that they change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import ValidationError

from libs.cli.console import err
from libs.client import ClientSettings
from libs.common.config import EXIT_CONFIG, fault_lines, unknown_variables
from libs.supervisor import InstallationSettings

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Data directory. [default: OMNIJOURNEY_DATA_DIR or .omnijourney]"),
]
Settings = TypeVar("Settings", InstallationSettings, ClientSettings)


def configured(kind: type[Settings], changes: dict[str, Any]) -> Settings:
    """The settings from the environment with `changes`; a fault ends the command and names the variable, as a variable
    is named that nothing reads."""
    for line in unknown_variables():
        err.print(line, highlight=False, markup=False, soft_wrap=True)
    try:
        return kind(**changes)
    except ValidationError as error:
        for line in fault_lines(kind, error):
            err.print(line, highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(EXIT_CONFIG) from None
