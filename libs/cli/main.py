"""The `omnijourney` command: one function per subcommand, which does its work in a module of its own."""

import asyncio
from datetime import datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from libs.cli import contact_imports, journeys, tokens
from libs.cli.audit import export_audit
from libs.cli.console import out
from libs.cli.customers import customer
from libs.cli.emulator_commands import emulator
from libs.cli.journey_commands import journey
from libs.cli.message_commands import message
from libs.cli.migrate import run_migrate
from libs.cli.options import DataDir, configured
from libs.cli.points import check_points
from libs.cli.quickstart import first_message
from libs.cli.secrets import rotate_secrets, show_secrets
from libs.cli.seed_customers import seed_customers as made_up_customers
from libs.cli.stats import check_figures, rebuild_figures
from libs.cli.status import show_status
from libs.cli.tag_commands import tag
from libs.cli.up import run_up
from libs.client import ClientSettings, ServiceName
from libs.supervisor import InstallationOptions, InstallationSettings

app = typer.Typer(
    name="omnijourney",
    help="Customer journeys and loyalty points across LINE, WhatsApp, Messenger and Instagram.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

stats = typer.Typer(name="stats", help="Figures of journeys and teams.", no_args_is_help=True)
app.add_typer(stats)
points = typer.Typer(name="points", help="The ledger of points.", no_args_is_help=True)
app.add_typer(points)

token = typer.Typer(
    name="token", help="Who may call: clients of the API and their tokens.", no_args_is_help=True
)
app.add_typer(token)

secrets = typer.Typer(
    name="secrets", help="The keys that secrets at rest are encrypted with.", no_args_is_help=True
)
app.add_typer(secrets)

audit = typer.Typer(name="audit", help="Who changed what.", no_args_is_help=True)
app.add_typer(audit)
app.add_typer(journey)
app.add_typer(message)
app.add_typer(customer)
app.add_typer(tag)
app.add_typer(emulator)


@app.command()
def up(
    *,
    data_dir: DataDir = None,
    ports: Annotated[
        Literal["configured", "free"],
        typer.Option(help="'free' takes any free ports, so that several installations fit on one machine."),
    ] = "configured",
    clock_control: Annotated[
        bool, typer.Option("--clock-control", help="Let the clock be held, sped up and stepped (SetClock).")
    ] = False,
    emulators: Annotated[
        bool | None,
        typer.Option(
            "--emulators/--no-emulators",
            help="Send to emulators of the channels, or to the real ones. [default: to emulators, unless an address of"
            " a channel is set: OMNIJOURNEY_LINE_URL and so on]",
            show_default=False,
        ),
    ] = None,
    one_process: Annotated[
        bool,
        typer.Option(
            "--one-process", help="All five services in one process: less memory and CPU, for small machines."
        ),
    ] = False,
    tls: Annotated[
        Literal["configured", "on", "mutual"],
        typer.Option(
            help="'on' makes a CA and certificates in tls/ of the data directory and serves with them; 'mutual' also"
            " asks every caller for a certificate. [default: as OMNIJOURNEY_TLS_* say]",
            show_default=False,
        ),
    ] = "configured",
    log_dir: Annotated[
        Path | None,
        typer.Option(help="Where each process logs to a file. [default: logs/ of the data directory]"),
    ] = None,
    log_to_stderr: Annotated[
        bool, typer.Option("--log-to-stderr", help="Logs of the services appear here instead.")
    ] = False,
) -> None:
    """Start the five services, with their own PostgreSQL and Valkey unless addresses are set, until Ctrl-C."""
    changes: dict[str, Any] = {"data_dir": data_dir} if data_dir is not None else {}
    if clock_control:
        changes["clock_control"] = "on"
    if tls != "configured":
        changes |= {"tls_ca_file": None, "tls_cert_file": None, "tls_key_file": None, "tls_clients": "off"}
    settings = configured(InstallationSettings, changes)
    if tls == "mutual":
        settings = settings.model_copy(update={"tls_clients": "required"})
    options = InstallationOptions(
        settings=settings,
        own_ca=tls != "configured",
        free_ports=ports == "free",
        emulators=settings.no_channel_is_set if emulators is None else emulators,
        one_process=one_process,
        log_dir=log_dir,
        log_to_stderr=log_to_stderr,
    )
    raise typer.Exit(asyncio.run(run_up(options)))


@app.command()
def migrate(
    *,
    data_dir: DataDir = None,
    credentials_dir: Annotated[
        Path | None,
        typer.Option(help="Where the credentials files go. [default: credentials/ of the data directory]"),
    ] = None,
    rotate: Annotated[
        ServiceName | None,
        typer.Option(help="Give this service's role a new password; then start the service again."),
    ] = None,
) -> None:
    """Make schemas and roles with the owner's OMNIJOURNEY_POSTGRES_DSN, and each service's credentials file."""
    changes: dict[str, Any] = {"data_dir": data_dir} if data_dir is not None else {}
    settings = configured(InstallationSettings, changes)
    raise typer.Exit(asyncio.run(run_migrate(settings, credentials_dir, rotate)))


@app.command()
def demo(
    *,
    month: Annotated[int, typer.Option(min=1, max=12, help="Month of the grocer's year to replay.")] = 12,
    data: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Replay this file of the online shop's form instead."),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the figures to this file, as JSON.")] = None,
    speed: Annotated[
        float | None,
        typer.Option(min=1, help="Most domain seconds per real second. [default: as fast as all settles]"),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Replay a real month of a shop through all services and show what came of it."""
    # The readers of its data take a second to load, which no other command should wait for.
    try:
        from libs.demo.run import run_demo  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        typer.echo(f"the demo needs {missing.name}: pip install 'omnijourney[demo]'", err=True)
        raise typer.Exit(2) from missing

    raise typer.Exit(run_demo(month, data, report, speed, data_dir=data_dir))


@app.command()
def quickstart(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="What was made and what came, as a JSON object.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Make a team, a LINE account, content, a customer and a journey, send the first message, and show it.

    For an installation with emulators, as `omnijourney up` starts it: nothing leaves this machine.
    """
    changes: dict[str, Any] = {"data_dir": data_dir} if data_dir is not None else {}
    settings = configured(ClientSettings, changes)
    command = first_message(settings.data_dir, as_json=as_json)
    raise typer.Exit(asyncio.run(journeys.run(settings, command)))


@app.command()
def status(
    *,
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show which services serve, what each has still to do, and the clock. Exit code 1 if one does not serve."""
    changes: dict[str, Any] = {"data_dir": data_dir} if data_dir is not None else {}
    settings = configured(ClientSettings, changes)
    raise typer.Exit(asyncio.run(show_status(settings, as_json=as_json)))


@points.command()
def check(
    *,
    team: Annotated[str, typer.Option(help="Only this team (UUID). [default: every team]")] = "",
    incremental: Annotated[
        bool, typer.Option("--incremental", help="Only what is new since the last such check found nothing.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Check the ledger of points. Exit code 1 if a law is broken."""
    changes: dict[str, Any] = {"data_dir": data_dir} if data_dir is not None else {}
    settings = configured(ClientSettings, changes)
    raise typer.Exit(asyncio.run(check_points(settings, team, incremental=incremental)))


@stats.command("check")
def check_stats(
    team: Annotated[str, typer.Option(help="The team (UUID).")],
    data_dir: DataDir = None,
) -> None:
    """Compare figures with the records that they count. Exit code 1 if any differ."""
    changes: dict[str, Any] = {"data_dir": data_dir} if data_dir is not None else {}
    raise typer.Exit(asyncio.run(check_figures(configured(ClientSettings, changes), team)))


@stats.command()
def rebuild(
    team: Annotated[str, typer.Option(help="Only this team (UUID). [default: all]")] = "",
    data_dir: DataDir = None,
) -> None:
    """Count figures anew from the histories. The old ones are shown until it is done."""
    changes: dict[str, Any] = {"data_dir": data_dir} if data_dir is not None else {}
    raise typer.Exit(asyncio.run(rebuild_figures(configured(ClientSettings, changes), team)))


Team = Annotated[str, typer.Option(help="The team (UUID). [default: a client of the installation]")]
ClientId = Annotated[str, typer.Argument(help="The client's id, as `omnijourney token list` shows it.")]


@token.command("create")
def token_create(
    name: Annotated[str, typer.Argument(help="What people call it; who did it, in revisions and entries.")],
    *,
    scope: Annotated[
        list[tokens.ScopeName],
        typer.Option(
            help="What it may do; can be given several times. admin includes write, write includes read."
        ),
    ],
    team: Team = "",
    days: Annotated[
        float | None, typer.Option(min=0, help="Its token ends after so many days. [default: never]")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Make a client and print its token, which cannot be shown again."""
    _run_token(data_dir, tokens.create(team, name, scope, days))


@token.command("list")
def token_list(
    *,
    team: Team = "",
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
    data_dir: DataDir = None,
) -> None:
    """List clients, two lines each; tokens are never shown."""
    _run_token(data_dir, tokens.show(team, as_json=as_json))


@token.command("rotate")
def token_rotate(
    client_id: ClientId,
    *,
    team: Team = "",
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=168, help="So long the old token works beside the new one.")
    ] = 0.0,
    data_dir: DataDir = None,
) -> None:
    """Give a client a new token and print it."""
    _run_token(data_dir, tokens.rotate(team, client_id, overlap_hours))


@token.command("revoke")
def token_revoke(client_id: ClientId, *, team: Team = "", data_dir: DataDir = None) -> None:
    """Refuse a client's tokens from now on, in every service within 5 s."""
    _run_token(data_dir, tokens.revoke(team, client_id))


def _run_token(data_dir: Path | None, command: tokens.Command) -> None:
    changes: dict[str, Any] = {"data_dir": data_dir} if data_dir is not None else {}
    raise typer.Exit(asyncio.run(tokens.run(configured(ClientSettings, changes), command)))


@secrets.command("status")
def secrets_status(*, data_dir: DataDir = None) -> None:
    """Show which key encrypts how many secrets."""
    changes: dict[str, Any] = {"data_dir": data_dir} if data_dir is not None else {}
    raise typer.Exit(asyncio.run(show_secrets(configured(ClientSettings, changes))))


@secrets.command()
def rotate(*, data_dir: DataDir = None) -> None:
    """Encrypt with the first key of OMNIJOURNEY_SECRET_KEYS what is under another one. Exit code 1 if some is left."""
    changes: dict[str, Any] = {"data_dir": data_dir} if data_dir is not None else {}
    raise typer.Exit(asyncio.run(rotate_secrets(configured(ClientSettings, changes))))


@audit.command()
def export(
    *,
    team: Annotated[str, typer.Option(help="The team (UUID). [default: changes of no team]")] = "",
    since: Annotated[datetime | None, typer.Option(help="Changes from here on, local time.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Changes before this, local time.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Write who changed what to stdout, newest first, a JSON object a line."""
    changes: dict[str, Any] = {"data_dir": data_dir} if data_dir is not None else {}
    settings = configured(ClientSettings, changes)
    raise typer.Exit(asyncio.run(export_audit(settings, team, since, until)))


@app.command("seed-customers")
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
    changes: dict[str, Any] = {"data_dir": data_dir} if data_dir is not None else {}
    settings = configured(ClientSettings, changes)
    raise typer.Exit(asyncio.run(journeys.run(settings, made_up_customers(team, count, seed))))


@app.command("import")
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
    changes: dict[str, Any] = {"data_dir": data_dir} if data_dir is not None else {}
    settings = configured(ClientSettings, changes)
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
    raise typer.Exit(asyncio.run(journeys.run(settings, does(asked))))


@app.command()
def version() -> None:
    """Print the version."""
    out.print(f"omnijourney {installed_version('omnijourney')}", highlight=False)


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
