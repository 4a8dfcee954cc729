"""`omnijourney audit`: one function per subcommand."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from libs.cli.options import DataDir, believed, client_settings, finish

audit = typer.Typer(name="audit", help="Who changed what.", no_args_is_help=True)


@audit.command(epilog="Example: omnijourney audit export --team $TEAM --since 2026-05-01")
def export(
    *,
    team: Annotated[str, typer.Option(help="The team (UUID). [default: changes of no team]")] = "",
    since: Annotated[
        datetime | None, typer.Option(callback=believed, help="Changes from here on, local time.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(callback=believed, help="Changes before this, local time.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write who changed what to stdout, newest first, a JSON object a line."""
    from libs.cli.audit import export_audit

    finish(export_audit(client_settings(data_dir), team, since, until))
