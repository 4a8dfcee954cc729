"""Configuration by environment.

Each service's `config.py` derives its `Settings` from `ServiceSettings` and is the only place of the service that reads
the environment. A field `send_rate_max` is read from `OMNIJOURNEY_SEND_RATE_MAX`; the ports are read from variables
that name the service, as `OMNIJOURNEY_POINTS_PORT`. An empty variable counts as absent. Faults name the variable. What
the environment does not say is taken from the service's credentials file, where it has one.
"""

import difflib
import os
import re
import sys
from collections.abc import Collection, Iterator
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, TypeVar
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from libs.common import crash, credentials, trace_export
from libs.common.rpc.limits import CLIENT_RATE_DEFAULT
from libs.common.tls import Clients, Tls
from libs.common.variables import PREFIX, VARIABLES

EXIT_CONFIG: Final = 2
"""Exit code of a process whose configuration is wrong."""

DEFAULT_PORTS: Final = {
    "journey": 7401,
    "points": 7402,
    "channel_gateway": 7403,
    "segment": 7404,
    "stats": 7405,
}
METRICS_PORT_DISTANCE: Final = 100
"""The metrics port is the gRPC port and this, unless it is set."""
_REDIS_ADDRESS: Final = re.compile(r"rediss?(\+cluster)?://[^/\s]")
_COLLECTOR_ADDRESS: Final = re.compile(r"https?://[^/\s@]+:[0-9]{1,5}/?")
_OF_TESTS: Final = f"{PREFIX}TEST_"
_PER_SERVICE: Final = frozenset({"port", "metrics_port"})
AHEAD_MAX: Final = timedelta(minutes=5)
"""How far ahead a time that comes from outside may lie."""
AHEAD_MAX_CONTROLLED: Final = timedelta(days=1)
"""The same where the clock may be changed: there, minutes of domain time pass within a millisecond."""


class TlsSettings(BaseSettings):
    """Who a process is to others, and whom it believes: files in PEM."""

    tls_ca_file: Path | None = None
    """Certificates of the authorities with which peers are verified: services, callers that have to show a certificate,
    and `rediss://`. Empty: the system's."""
    tls_key_file: Path | None = None
    """Key of the certificate."""
    tls_cert_file: Path | None = Field(default=None, validate_default=True)
    """Certificate and its chain. With one, every port and every call to another service is TLS; empty: none is."""
    tls_clients: Clients = "off"
    """Whether callers of gRPC and of metrics have to show a certificate of `tls_ca_file`."""

    @field_validator("tls_ca_file", "tls_key_file")
    @classmethod
    def _is_there(cls, given: Path | None) -> Path | None:
        if given is not None:
            try:
                given.read_bytes()
            except OSError as error:
                raise ValueError(f"cannot be read ({error.strerror})") from error
        return given

    @field_validator("tls_ca_file")
    @classmethod
    def _is_an_authority(cls, given: Path | None) -> Path | None:
        refuse_unusable(Tls(given))
        return given

    @field_validator("tls_cert_file")
    @classmethod
    def _goes_with_its_key(cls, given: Path | None, info: ValidationInfo) -> Path | None:
        key = info.data.get("tls_key_file")
        if (given is None) != (key is None) and "tls_key_file" in info.data:
            raise ValueError("must be set if and only if OMNIJOURNEY_TLS_KEY_FILE is")
        if given is not None and key is not None:
            refuse_unusable(Tls(None, given, key))
        return given

    @field_validator("tls_clients")
    @classmethod
    def _can_be_verified(cls, given: Clients, info: ValidationInfo) -> Clients:
        whole = info.data.get("tls_ca_file", True) and info.data.get("tls_cert_file", True)
        if given == "required" and not whole:
            raise ValueError("'required' needs OMNIJOURNEY_TLS_CA_FILE and OMNIJOURNEY_TLS_CERT_FILE")
        return given

    @property
    def tls(self) -> Tls | None:
        """How the process serves and calls; None: without TLS."""
        if self.tls_cert_file is None:
            return None
        return Tls(self.tls_ca_file, self.tls_cert_file, self.tls_key_file, self.tls_clients)


def refuse_unusable(tls: Tls) -> None:
    """Raises ValueError, for a validator, where the files cannot be used together."""
    try:
        tls.check()
    except OSError as error:
        raise ValueError(f"cannot be used ({error.strerror or error})") from error


def whole_dsn(given: SecretStr, info: ValidationInfo) -> SecretStr:
    """The address of PostgreSQL with the password of the field `postgres_password`, for a validator; empty as it is.
    Raises ValueError for what is no address."""
    if not given:
        return given
    parts = _with_password(given, info, "postgres_password")
    if parts.scheme not in {"postgresql", "postgres"} or not (parts.username and parts.password):
        raise ValueError("must be postgresql://user:password@host:port/database")
    return SecretStr(urlunsplit(parts))


def whole_redis_url(given: SecretStr, info: ValidationInfo) -> SecretStr:
    """The same of Redis, with the password of the field `redis_password`."""
    if not given:
        return given
    parts = _with_password(given, info, "redis_password")
    if not _REDIS_ADDRESS.match(given.get_secret_value()):
        raise ValueError("must be redis://…, rediss://…, redis+cluster://… or rediss+cluster://…")
    return SecretStr(urlunsplit(parts))


def _with_password(given: SecretStr, info: ValidationInfo, field: str) -> SplitResult:
    """An address, with a field as its password where it has none. Raises ValueError where a password broke it."""
    parts = urlsplit(given.get_secret_value())
    if "@" in parts.path + parts.query + parts.fragment:
        # What follows a / ? or # of a password would be looked for as the host.
        raise ValueError(
            "has a password with / ? or #: percent-encode it (%2F, %3F, %23), or leave it out and set"
            f" {PREFIX}{field.upper()}"
        )
    password = info.data.get(field, SecretStr("")).get_secret_value()
    if not password or parts.password:
        return parts
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.rstrip(':')}:{quote(password, safe='')}@{host}")


class ServiceSettings(TlsSettings):
    """What all services are configured by. Subclasses set `service` and add their own fields."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, validate_default=False)

    service: ClassVar[str]
    """Name of the service, as its schema."""

    postgres_password: SecretStr = SecretStr("")
    """The password where `postgres_dsn` has none: as it is, with whatever characters."""
    postgres_dsn: SecretStr = SecretStr("")
    """Address under which the service logs in, as its own role: `postgresql://user:password@host:port/database`, the
    password percent-encoded. That of another role is taken for the owner's, by which the service makes its own schema
    first. Empty: embedded."""
    credentials_file: Path | None = None
    """File of the service's own credentials, which `omnijourney migrate` writes: lines `VARIABLE=value`."""
    redis_password: SecretStr = SecretStr("")
    """The password where `redis_url` has none: as it is, with whatever characters."""
    redis_url: SecretStr = SecretStr("")
    """Redis or Valkey, `redis://…`, or nodes of a cluster, `redis+cluster://host:port,host:port`. Empty: embedded."""
    data_dir: Path = Path(".omnijourney")
    """Where the embedded servers keep their data, and the token that is generated when none is given."""
    token: SecretStr = SecretStr("")
    """Token that a service without a token of its own lets in and shows to the others. Empty: the one in the data
    directory."""
    service_token: SecretStr = SecretStr("")
    """The service's own token, which it shows to the others; whom it lets in, the database then says alone. Stands in
    the credentials file."""
    calls_dir: Path | None = None
    """Where services of this machine have sockets by which they call each other, unless TLS is on: a folder that is
    there, and closed to other users. Empty: they call each other by gRPC only."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged."""
    traces_endpoint: str = ""
    """Where sampled traces go by OTLP over gRPC: `http://host:4317`, or `https://…` with TLS. It needs the extra
    `traces`. Empty: there are none, and nothing is started for them."""
    traces_ratio: float = Field(default=0.01, ge=0, le=1)
    """Share of what comes in that is traced; the same in every service."""
    bind_host: str = "127.0.0.1"
    """Address that ports are opened on."""
    port: int = Field(default=-1, ge=-1, le=65_535)
    """gRPC port; 0 takes any free one."""
    metrics_port: int = Field(default=-1, ge=-1, le=65_535)
    """Port of the Prometheus endpoint; 0 takes any free one."""
    clock_control: Literal["off", "on"] = "off"
    """Whether the installation's clock may be changed by RPC."""
    pooler_address: str = Field(default="", pattern=r"^(\S+:[0-9]{1,5})?$")
    """`host:port` of a PgBouncer in transaction mode, by which statements go to PostgreSQL; connections that listen or
    hold locks, three a process at most, go to `postgres_dsn` itself. Empty: all go there."""
    pool_size_max: int = Field(default=8, ge=1, le=100)
    """Most connections to PostgreSQL that the process holds."""
    client_rate_max: int = Field(default=CLIENT_RATE_DEFAULT, ge=1, le=1_000_000)
    """Calls a second of one API client; twice as many at once."""
    crash_points: str = ""
    """Points at which the process kills itself, `point:probability:seed,…` (`libs/common/crash.py`). For tests of
    recovery; empty, as everywhere else, none."""

    @field_validator("postgres_dsn")
    @classmethod
    def _is_postgres_address(cls, given: SecretStr, info: ValidationInfo) -> SecretStr:
        return whole_dsn(given, info)

    @field_validator("credentials_file")
    @classmethod
    def _can_be_read(cls, given: Path | None) -> Path | None:
        if given is not None:
            try:
                credentials.read(given)
            except OSError as error:
                raise ValueError(f"cannot be read ({error.strerror}): run `omnijourney migrate`") from error
        return given

    @field_validator("calls_dir")
    @classmethod
    def _is_closed_to_others(cls, given: Path | None) -> Path | None:
        if given is not None and not (given.is_dir() and given.stat().st_mode & 0o077 == 0):
            raise ValueError("must be a folder that is there and closed to other users (mode 0700)")
        return given

    @field_validator("redis_url")
    @classmethod
    def _is_redis_address(cls, given: SecretStr, info: ValidationInfo) -> SecretStr:
        return whole_redis_url(given, info)

    @field_validator("traces_endpoint")
    @classmethod
    def _can_be_traced_to(cls, given: str) -> str:
        if given and not _COLLECTOR_ADDRESS.fullmatch(given):
            raise ValueError("must be http://host:port or https://host:port of an OTLP receiver for gRPC")
        if given and not trace_export.is_installed():
            raise ValueError(trace_export.NEEDED)
        return given

    @field_validator("crash_points")
    @classmethod
    def _names_crash_points(cls, given: str) -> str:
        crash.parse(given)
        return given

    @property
    def ahead_max(self) -> timedelta:
        """How far ahead a time that comes from outside may lie; beyond it becomes the time of receipt."""
        return AHEAD_MAX_CONTROLLED if self.clock_control == "on" else AHEAD_MAX

    @property
    def ports(self) -> dict[str, int]:
        """The ports that it will listen on, by their fields."""
        return {"port": self.grpc_port, "metrics_port": self.prometheus_port}

    @property
    def grpc_port(self) -> int:
        """The gRPC port, the service's default filled in."""
        return DEFAULT_PORTS[self.service] if self.port < 0 else self.port

    @property
    def prometheus_port(self) -> int:
        """The metrics port, its default filled in; any free one where the gRPC port is."""
        if self.metrics_port >= 0:
            return self.metrics_port
        return self.grpc_port + METRICS_PORT_DISTANCE if self.grpc_port else 0

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the service's credentials file; nothing else."""
        return init_settings, _Environment(settings_cls), _Credentials(settings_cls)


class MailSourceSettings(ServiceSettings):
    """What services are configured by that send mail to customers' actors."""

    mailbox_mails_max: int = Field(default=200_000, ge=1)
    """Mails in all mailboxes together (some 1 kB each in Redis) from which on no more are delivered. Soft; the same in
    every service."""
    mail_backlog_max: int = Field(default=500_000, ge=1)
    """History rows that may wait to be delivered before input from outside is refused, in each process."""


class _Environment(PydanticBaseSettingsSource):
    def get_field_value(
        self,
        field: FieldInfo,
        field_name: str,
    ) -> tuple[Any, str, bool]:
        return os.environ.get(variable_of(self.settings_cls, field_name)) or None, field_name, False

    def __call__(self) -> dict[str, Any]:
        values = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in values.items() if value is not None}


class _Credentials(_Environment):
    """What the credentials file says; a fault of the file is told by the field that names it."""

    def get_field_value(
        self,
        field: FieldInfo,
        field_name: str,
    ) -> tuple[Any, str, bool]:
        return self._said.get(variable_of(self.settings_cls, field_name)) or None, field_name, False

    @cached_property
    def _said(self) -> dict[str, str]:
        file = self.current_state.get("credentials_file")
        try:
            return credentials.read(Path(file)) if file else {}
        except (OSError, ValueError):
            return {}


def variable_of(settings: type[BaseSettings], field_name: str) -> str:
    """The environment variable that a field is read from."""
    if field_name in _PER_SERVICE:
        service: str = settings.service if issubclass(settings, ServiceSettings) else ""
        return f"{PREFIX}{service.upper()}_{field_name.upper()}"
    return (settings.model_config.get("env_prefix") or PREFIX) + field_name.upper()


def peer_target(service: str) -> Any:
    """The default of a field `<service>_target`: where that service listens on this machine."""

    def target() -> str:
        port = os.environ.get(f"{PREFIX}{service.upper()}_PORT") or DEFAULT_PORTS[service]
        return f"127.0.0.1:{port}"

    return Field(default_factory=target, pattern=r"^\S+:[0-9]{1,5}$")


def unknown_variables(more: Collection[str] = ()) -> Iterator[str]:
    """A line for each variable of the environment that has our prefix and is read by nothing; `more` are known, too.

    Values are not shown. What is not known may be of another release or mistyped, which only a person can tell: it is
    said, and refused by nobody.
    """
    known = {PREFIX + name for name in VARIABLES} | set(more)
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and not name.startswith(_OF_TESTS) and name not in known:
            like = difflib.get_close_matches(name, known, 1)
            yield f"{name}: no part of the product reads it" + (f"; is {like[0]} meant?" if like else "")


SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def load_or_exit(settings: type[SettingsT], **given: Any) -> SettingsT:
    """The settings from the environment, where they are not `given`; else a line for each fault on stderr, and the end
    of the process. A variable that nothing reads is a line, too."""
    for line in unknown_variables([variable_of(settings, name) for name in settings.model_fields]):
        sys.stderr.write(line + "\n")
    try:
        return settings(**given)
    except ValidationError as error:
        for line in fault_lines(settings, error):
            sys.stderr.write(line + "\n")
        raise SystemExit(EXIT_CONFIG) from None


def credentials_dir_or_exit() -> Path:
    """Where a process that is several services finds the credentials of each; else a line, and the end of the
    process."""
    directory = os.environ.get(credentials.DIRECTORY_VARIABLE)
    if not directory:
        sys.stderr.write(f"{credentials.DIRECTORY_VARIABLE}: must be set: run `omnijourney migrate`\n")
        raise SystemExit(EXIT_CONFIG)
    return Path(directory)


def fault_lines(settings: type[BaseSettings], error: ValidationError) -> list[str]:
    """A line for each fault, naming the variable; values of secrets are not shown."""
    lines = []
    for fault in error.errors(include_url=False, include_context=False):
        name = str(fault["loc"][0]) if fault["loc"] else ""
        field = settings.model_fields.get(name)
        secret = field is not None and field.annotation is SecretStr
        given = "" if secret or field is None else f" (it is {fault['input']!r})"
        variable = variable_of(settings, name) if field is not None else name
        lines.append(f"{variable}: {fault['msg']}{given}")
    return lines
