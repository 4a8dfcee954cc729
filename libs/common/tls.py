"""TLS between all parts: the files that say who a process is and whom it believes, and what is made of them.

A process with a certificate speaks TLS on every port of its own and to every other service; one with a CA alone speaks
it as a client. `clients` says whether callers need a certificate, too.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

import grpc

Clients = Literal["off", "required"]


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM. Read when something is made of them: a renewed certificate counts from the next start on."""

    ca_file: Path | None
    """Peers are verified with it; None: with the system's."""
    cert_file: Path | None = None
    """Whole chain, the process' own certificate first."""
    key_file: Path | None = None
    clients: Clients = "off"

    def check(self) -> None:
        """Raises OSError or ValueError (`ssl.SSLError` is an OSError) where the files cannot be used together."""
        self.client_context()

    def server_credentials(self) -> grpc.ServerCredentials:
        """For a gRPC server. Raises OSError."""
        assert self.cert_file is not None, "a server has a certificate"
        assert self.key_file is not None, "a certificate has a key"
        required = self.clients == "required"
        ca = self.ca_file.read_bytes() if self.ca_file is not None and required else None
        pair = (self.key_file.read_bytes(), self.cert_file.read_bytes())
        return grpc.ssl_server_credentials([pair], ca, required)

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """For a gRPC channel, with the own certificate where there is one. Raises OSError."""
        ca = self.ca_file.read_bytes() if self.ca_file is not None else None
        if self.cert_file is None or self.key_file is None:
            return grpc.ssl_channel_credentials(ca)
        return grpc.ssl_channel_credentials(ca, self.key_file.read_bytes(), self.cert_file.read_bytes())

    def server_context(self) -> ssl.SSLContext:
        """For a port that is not gRPC's. Raises OSError."""
        assert self.cert_file is not None, "a server has a certificate"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.cert_file, self.key_file, _no_passphrase)
        if self.clients == "required":
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca_file)
        return context

    def client_context(self) -> ssl.SSLContext:
        """For a client that is not gRPC's. Raises OSError."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.cert_file is not None:
            context.load_cert_chain(self.cert_file, self.key_file, _no_passphrase)
        return context

    def of_redis(self, url: str) -> str:
        """An address of Redis, with the CA where it is to be verified (`rediss`) and names none itself."""
        parts = urlsplit(url)
        if self.ca_file is None or not parts.scheme.startswith("rediss"):
            return url
        if "ssl_ca_certs" in parse_qs(parts.query):
            return url
        query = "&".join(filter(None, (parts.query, f"ssl_ca_certs={quote(str(self.ca_file))}")))
        return urlunsplit(parts._replace(query=query))


def _no_passphrase() -> str:
    """A key that has one is refused; OpenSSL would ask the terminal."""
    return ""
