"""`omnijourney up`, `quickstart`, `status`, `doctor`, `migrate`, `demo`, `version`: one function per subcommand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from libs.cli.options import AsJson, DataDir, ServiceName, client_settings, configured, finish, run

installation = typer.Typer(name="installation")


@installation.command(epilog="Example: omnijourney up --ports free")
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
    console: Annotated[
        bool, typer.Option("--console/--no-console", help="Serve the console for browsers, too.")
    ] = True,
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
    from libs.cli.up import run_up
    from libs.supervisor import InstallationOptions, InstallationSettings

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
        console=console,
        one_process=one_process,
        log_dir=log_dir,
        log_to_stderr=log_to_stderr,
    )
    finish(run_up(options))


@installation.command(epilog="Example: omnijourney quickstart --json")
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
    from libs.cli.quickstart import first_message

    run(data_dir, first_message(client_settings(data_dir).data_dir, as_json=as_json))


@installation.command(epilog="Example: omnijourney status --json")
def status(
    *,
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show which services serve, what each has still to do, and the clock. Exit code 1 if one does not serve."""
    from libs.cli.status import show_status

    finish(show_status(client_settings(data_dir), as_json=as_json))


@installation.command(epilog="Example: omnijourney doctor --no-accounts")
def doctor(
    *,
    accounts: Annotated[
        bool, typer.Option(help="Ask the channels whether they take the credentials of each account.")
    ] = True,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Look at all that an installation stands on, and say what to do. Exit code 1 if something has to be mended.

    Variables, disk, PostgreSQL, migrations, privileges, Redis, clocks, services, channel accounts.
    """
    from libs.cli.doctor import show_findings
    from libs.supervisor import InstallationSettings

    client = client_settings(data_dir)
    settings = configured(InstallationSettings, {"data_dir": data_dir} if data_dir is not None else {})
    finish(show_findings(settings, client, accounts=accounts, as_json=as_json))


@installation.command(
    epilog="Example: omnijourney migrate --credentials-dir /var/lib/omnijourney/credentials"
)
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
    from libs.cli.migrate import run_migrate
    from libs.supervisor import InstallationSettings

    changes: dict[str, Any] = {"data_dir": data_dir} if data_dir is not None else {}
    settings = configured(InstallationSettings, changes)
    finish(run_migrate(settings, credentials_dir, rotate))


@installation.command(epilog="Example: omnijourney demo --month 5 --report figures.json")
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
    watch: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Watch it by Prometheus, with the dashboards of this folder (deploy).",
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Replay a real month of a shop through all services and show what came of it."""
    # The readers of its data take a second to load, which no other command should wait for.
    try:
        from libs.demo.run import run_demo
    except ModuleNotFoundError as missing:
        typer.echo(f"the demo needs {missing.name}: pip install 'omnijourney[demo]'", err=True)
        raise typer.Exit(2) from missing

    raise typer.Exit(run_demo(month, data, report, speed, watch=watch, data_dir=data_dir))


@installation.command(epilog="Example: omnijourney console --address 127.0.0.1:7400")
def console(
    *,
    address: Annotated[
        str,
        typer.Option(
            help="host:port to listen on. [default: OMNIJOURNEY_BIND_HOST and OMNIJOURNEY_CONSOLE_PORT]",
            show_default=False,
        ),
    ] = "",
    data_dir: DataDir = None,
) -> None:
    """Serve the console for browsers, until Ctrl-C, for an installation that runs already."""
    from libs.cli.serve_console import run_console
    from libs.console.config import ConsoleSettings

    changes: dict[str, Any] = {"data_dir": data_dir} if data_dir is not None else {}
    if address:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise typer.BadParameter("must be host:port, for example 127.0.0.1:7400", param_hint="--address")
        changes |= {"bind_host": host.strip("[]"), "console_port": int(port)}
    finish(run_console(configured(ConsoleSettings, changes)))


@installation.command(epilog="Example: omnijourney version")
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed_version

    from libs.cli.console import out

    out.print(f"omnijourney {installed_version('omnijourney')}", highlight=False)
