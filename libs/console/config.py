"""Settings of the console, the only place that reads its environment."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from libs.client import ClientSettings
from libs.common.private_files import write_private
from libs.common.variables import PREFIX
from libs.console.people import People

PORT_DEFAULT: Final = 7400
KEY_BYTES: Final = 32
_KEY: Final = re.compile(rf"[0-9a-fA-F]{{{2 * KEY_BYTES}}}", re.ASCII)
_KEY_FILE: Final = "console_key"
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
"""Hosts that are reached without leaving this machine."""

Port = Annotated[int, Field(ge=0, le=65535)]


class ConsoleSettings(ClientSettings):
    """`OMNIJOURNEY_<FIELD>`: where the services are, as every client finds them, and what the console alone has."""

    bind_host: str = "127.0.0.1"
    """Address that the console listens on."""
    console_port: Port = PORT_DEFAULT
    """Port of the console; 0 takes any free one."""
    console_url: str = ""
    """Address under which browsers reach the console where something stands before it, for example
    `https://console.example.com`. Empty: as they say themselves."""
    console_session_keys: SecretStr = SecretStr("")
    """Keys that the console's sessions are encrypted with, 64 hexadecimal digits each, separated by commas: the first
    encrypts, all of them decrypt. The same in every process of the console. Empty: one that is made in the data
    directory."""
    console_oidc_issuer: str = ""
    """Identity provider that people may sign in by, as it calls itself: `https://login.example.com/realms/shop`. Empty:
    by tokens only."""
    console_oidc_client_id: str = ""
    """What the identity provider knows the console by. The redirect address to give there is
    `<OMNIJOURNEY_CONSOLE_URL>/sign-in/provider/back`."""
    console_oidc_client_secret: SecretStr = SecretStr("")
    """Secret of that client."""
    console_oidc_scopes: str = "openid email profile"
    """What is asked of the identity provider, with spaces between."""
    console_oidc_people_file: Path | None = None
    """TOML file that says who acts as which API client, by a claim of their ID token; see docs/console.md."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged."""

    @field_validator("console_url")
    @classmethod
    def _is_an_address(cls, given: str) -> str:
        parts = urlsplit(given)
        if given and (parts.scheme not in {"http", "https"} or not parts.netloc or parts.path.strip("/")):
            raise ValueError("must be http://host[:port] or https://host[:port], without a path")
        return given.rstrip("/")

    @field_validator("console_session_keys")
    @classmethod
    def _are_keys(cls, given: SecretStr) -> SecretStr:
        if given and not all(map(_KEY.fullmatch, _words(given))):
            raise ValueError(
                f"each must be {2 * KEY_BYTES} hexadecimal digits (openssl rand -hex {KEY_BYTES})"
            )
        return given

    @field_validator("console_oidc_issuer")
    @classmethod
    def _is_an_issuer(cls, given: str) -> str:
        parts = urlsplit(given)
        safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
        if given and not (safe and parts.netloc and not parts.query and not parts.fragment):
            raise ValueError("must be https://host[:port][/path]; http only on this machine")
        return given

    @field_validator("console_oidc_people_file")
    @classmethod
    def _says_who_is_who(cls, given: Path | None) -> Path | None:
        if given is not None:
            try:
                People.read(given)
            except OSError as error:
                raise ValueError(f"cannot be read: {error}") from error
        return given

    @model_validator(mode="after")
    def _provider_is_whole(self) -> ConsoleSettings:
        """All or nothing: a console that half knows its provider would fail at the first person."""
        if not self.console_oidc_issuer:
            return self
        names = (
            "console_url",
            "console_oidc_client_id",
            "console_oidc_client_secret",
            "console_oidc_people_file",
        )
        if missing := [f"{PREFIX}{name.upper()}" for name in names if not getattr(self, name)]:
            raise ValueError(f"{PREFIX}CONSOLE_OIDC_ISSUER needs {', '.join(missing)}, too")
        if "openid" not in self.console_oidc_scopes.split():
            raise ValueError(f"{PREFIX}CONSOLE_OIDC_SCOPES must have openid")
        return self

    @property
    def serves_https(self) -> bool:
        """Whether browsers come by TLS."""
        return self.tls_cert_file is not None or self.console_url.startswith("https:")

    def session_keys(self) -> list[bytes]:
        """The configured keys, else the one of the data directory, which is made if there is none. Raises OSError."""
        words = _words(self.console_session_keys) or [_generated_key(self.data_dir / _KEY_FILE)]
        return [bytes.fromhex(word) for word in words]


def _words(keys: SecretStr) -> list[str]:
    return [word for word in re.split(r"[\s,]+", keys.get_secret_value()) if word]


def _generated_key(file: Path) -> str:
    if not file.is_file():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(file, f"{secrets.token_hex(KEY_BYTES)}\n".encode())
    word = file.read_text().strip()
    if not _KEY.fullmatch(word):
        raise OSError(f"{file} holds no key: delete it, and everybody signs in again")
    return word
