"""Which processes run with which ports and which environment: decided before anything is started."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from libs.client.services import ServiceName
from libs.common.rpc.frame_server import socket_of
from libs.common.rpc.local import EVERYWHERE
from libs.embedded import secret_key
from libs.embedded.errors import EmbeddedError
from libs.embedded.ports import LOOPBACK, free_port, is_free
from libs.supervisor.options import InstallationOptions

EMULATED = ("whatsapp", "line", "messenger", "instagram")
OWNERS_ONLY = frozenset({"OMNIJOURNEY_POSTGRES_DSN", "OMNIJOURNEY_POSTGRES_PASSWORD", "OMNIJOURNEY_TOKEN"})
"""Variables of ours that no process gets."""
_CALLS_FOLDER = "calls"
_PORT_MAX = 65_535


class PortTakenError(EmbeddedError):
    """At least one port that is to be listened on is in use."""


class AlreadyRunningError(EmbeddedError):
    """Another process runs an installation in the same data directory."""

    def __init__(self, data_dir: Path, pid: int | None) -> None:
        who = f"process {pid}" if pid is not None else "another process"
        super().__init__(
            f"{who} runs an installation in {data_dir} already: end it, or set OMNIJOURNEY_DATA_DIR to another"
            " directory"
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """All ports of an installation, by what listens there: a service, `<service>_metrics`, `http`, `console`, or
    `emulator_<channel>`; and of further workers of a service, by their names."""

    bind_host: str
    ports: Mapping[str, int]
    workers: Mapping[str, int] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The address under which this machine reaches what listens on `bind_host`."""
        return LOOPBACK if self.bind_host in EVERYWHERE else self.bind_host

    def target(self, name: str) -> str:
        """`host:port` of one listener."""
        return f"{self.host}:{self.ports[name] if name in self.ports else self.workers[name]}"

    def url(self, name: str, *, tls: bool = False) -> str:
        """`http://host:port` of one listener, or `https`."""
        return f"{'https' if tls else 'http'}://{self.target(name)}"


def make_plan(options: InstallationOptions) -> Plan:
    """Fixes every port; those that are to be any free one are chosen here."""
    settings = options.settings
    wanted: dict[str, int] = {}
    for service in options.services:
        wanted[service] = settings.port_of(service)
        wanted[f"{service}_metrics"] = settings.metrics_port_of(service)
    wanted["http"] = settings.http_port
    if options.console:
        wanted["console"] = settings.console_port
    if options.emulators:
        for channel in EMULATED:
            wanted[f"emulator_{channel}"] = getattr(settings, f"emulator_{channel}_port")
    ports = {
        name: free_port(settings.bind_host) if options.free_ports or port == 0 else port
        for name, port in wanted.items()
    }
    workers = {
        name: free_port(settings.bind_host)
        for service in options.services
        for name in worker_names(options, service)
    }
    return Plan(settings.bind_host, ports, workers)


def worker_names(options: InstallationOptions, service: ServiceName) -> list[str]:
    """Names of the further workers of a service."""
    return [f"{service}-{number}" for number in range(2, 2 + options.more_workers.get(service, 0))]


def check_ports(plan: Plan) -> None:
    """Errors: PortTakenError, which names every port that is taken and the variable that changes it."""
    faults = list(_port_faults(plan))
    if faults:
        raise PortTakenError(
            "\n".join(faults)
            + "\nEnd what listens there, or set the variable to another port (0: any free one)"
        )


def _port_faults(plan: Plan) -> Iterator[str]:
    users: dict[int, str] = {}
    for name, port in plan.ports.items():
        variable = f"OMNIJOURNEY_{name.upper()}_PORT"
        if port in users:
            yield f"port {port} is given to both {users[port]} and {name}: change {variable}"
            continue
        users[port] = name
        try:
            free = is_free(port, plan.bind_host)
        except OSError as error:
            yield f"cannot listen on {plan.bind_host}:{port} for {name} ({error.strerror}): see {variable}"
            continue
        if not free:
            yield f"port {port} on {plan.bind_host} is taken, {name} needs it: see {variable}"


def environment(options: InstallationOptions, plan: Plan, redis_url: str, data_dir: Path) -> dict[str, str]:
    """The variables that every process of the installation gets on top of our own environment, without `OWNERS_ONLY`;
    what a service alone may know is in its credentials file."""
    settings = options.settings
    variables = {
        "OMNIJOURNEY_REDIS_URL": redis_url,
        # Whatever our own environment has: `secret_environment` says who gets them.
        "OMNIJOURNEY_SECRET_KEYS": "",
        "OMNIJOURNEY_DATA_DIR": str(data_dir),
        "OMNIJOURNEY_CALLS_DIR": str(calls_folder(data_dir) or "") if not options.one_process else "",
        "OMNIJOURNEY_BIND_HOST": plan.bind_host,
        "OMNIJOURNEY_CLOCK_CONTROL": settings.clock_control,
        "OMNIJOURNEY_EMULATOR_HOST": plan.host,
        "OMNIJOURNEY_EMULATOR_DATA_DIR": str(data_dir / "emulators"),
    }
    files = {"CA": settings.tls_ca_file, "CERT": settings.tls_cert_file, "KEY": settings.tls_key_file}
    for kind, file in files.items():
        variables[f"OMNIJOURNEY_TLS_{kind}_FILE"] = str(file.absolute()) if file is not None else ""
    variables["OMNIJOURNEY_TLS_CLIENTS"] = settings.tls_clients
    for name, port in plan.ports.items():
        variables[f"OMNIJOURNEY_{name.upper()}_PORT"] = str(port)
    for service in options.services:
        variables[f"OMNIJOURNEY_{service.upper()}_TARGET"] = plan.target(service)
    for channel, url in channel_urls(options, plan).items():
        variables[f"OMNIJOURNEY_{channel.upper()}_URL"] = url
    if options.emulators and not settings.link_url:
        # Whoever tries things out opens links on this machine.
        variables["OMNIJOURNEY_LINK_URL"] = plan.url("http", tls=settings.tls_cert_file is not None) + "/l"
    return {**variables, **options.environment}


def calls_folder(data_dir: Path) -> Path | None:
    """Where the services have the sockets by which they call each other; None: its path is too long for sockets."""
    folder = data_dir / _CALLS_FOLDER
    return folder if socket_of(folder, _PORT_MAX) is not None else None


def secret_environment(options: InstallationOptions, service: ServiceName, data_dir: Path) -> dict[str, str]:
    """The keys of secrets at rest, for the service that keeps some. Errors: DataDirUnusableError."""
    if service != "channel_gateway":
        return {}
    return {
        "OMNIJOURNEY_SECRET_KEYS": options.settings.secret_keys.get_secret_value() or secret_key(data_dir)
    }


def worker_environment(plan: Plan, service: ServiceName, name: str) -> dict[str, str]:
    """What differs for a further worker of a service: it serves on ports that nobody else has."""
    return {
        f"OMNIJOURNEY_{service.upper()}_PORT": str(plan.workers[name]),
        f"OMNIJOURNEY_{service.upper()}_METRICS_PORT": "0",
        "OMNIJOURNEY_HTTP_PORT": "0",
    }


def certificate_environment(directory: Path, holder: str, clients: str) -> dict[str, str]:
    """What the process of an installation with a CA of its own is told that holds this certificate."""
    return {
        "OMNIJOURNEY_TLS_CA_FILE": str(directory / "ca.pem"),
        "OMNIJOURNEY_TLS_CERT_FILE": str(directory / f"{holder}.pem"),
        "OMNIJOURNEY_TLS_KEY_FILE": str(directory / f"{holder}.key"),
        "OMNIJOURNEY_TLS_CLIENTS": clients,
    }


def channel_urls(options: InstallationOptions, plan: Plan) -> dict[str, str]:
    """Where the adapters find the channels, as far as it is not their own default."""
    if options.emulators:
        return {channel: plan.url(f"emulator_{channel}") for channel in EMULATED}
    configured = {channel: str(getattr(options.settings, f"{channel}_url")) for channel in EMULATED}
    return {channel: url for channel, url in configured.items() if url}


def service_command(options: InstallationOptions, service: ServiceName) -> list[str]:
    """The command line of a service."""
    override = options.commands.get(service)
    return list(override) if override else [sys.executable, "-m", f"services.{service}"]


TOGETHER = "services"
"""Name of the process that is all five, and of its certificate."""


def together_command() -> list[str]:
    """The command line of all five services in one process."""
    return [sys.executable, "-m", "services"]


def console_command() -> list[str]:
    """The command line of the console."""
    return [sys.executable, "-m", "libs.console"]


def emulators_command() -> list[str]:
    """The command line of the channel emulators."""
    return [sys.executable, "-m", "libs.emulators"]
