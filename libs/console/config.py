"""Settings of the console, the only place that reads its environment."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from libs.client import ClientSettings
from libs.common.private_files import write_private

PORT_DEFAULT: Final = 7400
KEY_BYTES: Final = 32
_KEY: Final = re.compile(rf"[0-9a-fA-F]{{{2 * KEY_BYTES}}}", re.ASCII)
_KEY_FILE: Final = "console_key"

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
