"""`omnijourney secrets`: one function per subcommand."""

from __future__ import annotations

import typer

from libs.cli.options import AsJson, DataDir, client_settings, finish

secrets = typer.Typer(
    name="secrets", help="The keys that secrets at rest are encrypted with.", no_args_is_help=True
)


@secrets.command("status", epilog="Example: omnijourney secrets status")
def secrets_status(*, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show which key encrypts how many secrets."""
    from libs.cli.secrets import show_secrets

    finish(show_secrets(client_settings(data_dir), as_json=as_json))


@secrets.command(epilog="Example: omnijourney secrets rotate")
def rotate(*, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Encrypt with the first key of OMNIJOURNEY_SECRET_KEYS what is under another one. Exit code 1 if some is left."""
    from libs.cli.secrets import rotate_secrets

    finish(rotate_secrets(client_settings(data_dir), as_json=as_json))
