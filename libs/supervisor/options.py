"""What an installation is started with: the environment, and what the caller asks for beside it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from libs.client.services import SERVICES, ServiceName
from libs.common.config import DEFAULT_PORTS, METRICS_PORT_DISTANCE, TlsSettings, whole_dsn, whole_redis_url
from libs.console.config import PORT_DEFAULT as CONSOLE_PORT
from libs.embedded.keepalive import Listener, log_event

Port = Annotated[int, Field(ge=0, le=65535)]


class InstallationSettings(TlsSettings):
    """`OMNIJOURNEY_<FIELD>`. A value that is handed in wins over the environment."""

    model_config = SettingsConfigDict(env_prefix="OMNIJOURNEY_", env_ignore_empty=True)

    postgres_password: SecretStr = SecretStr("")
    """The password where `postgres_dsn` has none: as it is, with whatever characters."""
    postgres_dsn: SecretStr = SecretStr("")
    """Administrator's address of a PostgreSQL; empty: the embedded one."""
    redis_password: SecretStr = SecretStr("")
    """The password where `redis_url` has none: as it is, with whatever characters."""
    redis_url: SecretStr = SecretStr("")
    """Address of a Redis or Valkey; empty: the embedded one."""
    data_dir: Path = Path(".omnijourney")
    backup_dir: Path | None = None
    """Where `omnijourney backup` keeps backups of the embedded PostgreSQL, and that server its log, for restores to any
    moment. Empty: there is neither."""
    token: SecretStr = SecretStr("")
    """API token; empty: the generated one of the data directory."""
    secret_keys: SecretStr = SecretStr("")
    """Keys that secrets at rest are encrypted with, for channel_gateway alone; empty: the generated one of the data
    directory."""
    bind_host: str = "127.0.0.1"
    """Address that the services listen on."""
    clock_control: Literal["off", "on"] = "off"
    """Whether the installation's clock may be changed."""
    whatsapp_url: str = ""
    """Base address of the WhatsApp Cloud API; empty: the adapter's own default."""
    line_url: str = ""
    """Base address of the LINE Messaging API; empty: the adapter's own default."""
    messenger_url: str = ""
    """Base address of the Messenger Send API; empty: the adapter's own default."""
    instagram_url: str = ""
    """Base address of Instagram accounts with a login of their own; empty: the adapter's own default."""
    link_url: str = ""
    """Address under which customers reach `/l` of the HTTP edge; empty: links go out as they are, but with emulators,
    where it is this machine's."""
    http_port: Port = 7480
    """Webhooks in, served by channel_gateway. Each port: 0 takes any free one."""
    journey_port: Port = DEFAULT_PORTS["journey"]
    points_port: Port = DEFAULT_PORTS["points"]
    channel_gateway_port: Port = DEFAULT_PORTS["channel_gateway"]
    segment_port: Port = DEFAULT_PORTS["segment"]
    stats_port: Port = DEFAULT_PORTS["stats"]
    journey_metrics_port: Port | None = None
    """Of each service: none is its port plus 100."""
    points_metrics_port: Port | None = None
    channel_gateway_metrics_port: Port | None = None
    segment_metrics_port: Port | None = None
    stats_metrics_port: Port | None = None
    console_port: Port = CONSOLE_PORT
    """The console for browsers."""
    emulator_whatsapp_port: Port = 7491
    emulator_line_port: Port = 7492
    emulator_messenger_port: Port = 7493
    emulator_instagram_port: Port = 7494

    @property
    def no_channel_is_set(self) -> bool:
        """Whether no address of a channel is configured: nobody has said that messages go to people."""
        return not any((self.whatsapp_url, self.line_url, self.messenger_url, self.instagram_url))

    @field_validator("postgres_dsn")
    @classmethod
    def _is_postgres_address(cls, given: SecretStr, info: ValidationInfo) -> SecretStr:
        return whole_dsn(given, info)

    @field_validator("redis_url")
    @classmethod
    def _is_redis_address(cls, given: SecretStr, info: ValidationInfo) -> SecretStr:
        return whole_redis_url(given, info)

    def port_of(self, service: ServiceName) -> int:
        """The configured gRPC port."""
        port: int = getattr(self, f"{service}_port")
        return port

    def metrics_port_of(self, service: ServiceName) -> int:
        """The configured metrics port, or the one that follows from the gRPC port."""
        port: int | None = getattr(self, f"{service}_metrics_port")
        if port is not None:
            return port
        own = self.port_of(service)
        return own + METRICS_PORT_DISTANCE if own else 0


def _silent(_text: str) -> None:
    """Says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationOptions:
    """What the caller decides."""

    settings: InstallationSettings = field(default_factory=InstallationSettings)
    free_ports: bool = False
    """Takes any free ports, whatever is configured: several installations fit on one machine."""
    emulators: bool = False
    """Starts the channel emulators and points the adapters at them."""
    console: bool = False
    """Starts the console, too."""
    log_dir: Path | None = None
    """Where the logs of the processes go, a file each; None: `logs` of the data directory."""
    log_to_stderr: bool = False
    """Sends the logs of the services to our own stderr instead."""
    own_ca: bool = False
    """Makes a CA and certificates of its own in the data directory, and serves with TLS."""
    one_process: bool = False
    """Runs all five services in one process instead of one each (docs/adr/0028): for small machines."""
    services: Sequence[ServiceName] = SERVICES
    more_workers: Mapping[ServiceName, int] = field(default_factory=dict)
    """Further processes of a service, `<service>-2` and so on, on free ports of their own: they share its work."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Has the last word over the environment of every process."""
    commands: Mapping[ServiceName, Sequence[str]] = field(default_factory=dict)
    """Runs other programs instead of the services named here, and leaves their migrations out."""
    clock_start: datetime | None = None
    """Where domain time begins, held, in a fresh data directory; None: now, at the rate of real time."""
    listener: Listener = log_event
    """Hears of processes that died and run again."""
    progress: Callable[[str], None] = _silent
    """Hears what the start has come to, in words for people."""

    def __post_init__(self) -> None:
        """Raises ValueError for what one process cannot be."""
        parted = tuple(self.services) != SERVICES or self.more_workers or self.commands
        if self.one_process and parted:
            raise ValueError("one process is all five services, each once")
