"""`python -m libs.probe host:port`: exits 0 when the service there serves, 1 when not. For health checks.

Asks `grpc.health.v1.Health/Check` over a socket, with the standard library alone: what is asked of every service every
few seconds must not load gRPC for one request, which takes twenty times the CPU. Speaks TLS where
`OMNIJOURNEY_TLS_CA_FILE` or `OMNIJOURNEY_TLS_CERT_FILE` is set, as in the service's own environment.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from collections.abc import Iterator, Mapping

TIMEOUT_S = 1.0
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# Kinds and flags of frames, RFC 9113.
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _GOAWAY = 0, 1, 3, 4, 7
_END_STREAM, _END_HEADERS = 0x1, 0x4
_STREAM = 1
_EMPTY_MESSAGE = bytes(5)
"""A message of no bytes, as gRPC frames it: not compressed, its length."""
_SERVING = struct.pack(">BI", 0, 2) + b"\x08\x01"
"""`HealthCheckResponse(status=SERVING)`, framed."""


def serves(target: str, environment: Mapping[str, str]) -> bool:
    """Whether the server at `host:port` reports SERVING for itself as a whole. Raises OSError when it cannot be asked,
    ValueError for what is no address."""
    host, _, port = target.rpartition(":")
    until_s = time.monotonic() + TIMEOUT_S
    connection = socket.create_connection((host, int(port)), TIMEOUT_S)
    with connection, _secured(connection, host, environment) as asked:
        scheme = b"http" if asked is connection else b"https"
        asked.sendall(_request(scheme, target.encode()))
        answer = b"".join(_answer(asked, until_s))
    return answer == _SERVING


def _secured(connection: socket.socket, host: str, environment: Mapping[str, str]) -> socket.socket:
    ca_file = environment.get("OMNIJOURNEY_TLS_CA_FILE")
    cert_file = environment.get("OMNIJOURNEY_TLS_CERT_FILE")
    if not (ca_file or cert_file):
        return connection
    import ssl  # noqa: PLC0415 - half of what this takes, and seldom needed

    context = ssl.create_default_context(cafile=ca_file or None)
    context.set_alpn_protocols(["h2"])
    if cert_file:
        context.load_cert_chain(cert_file, environment.get("OMNIJOURNEY_TLS_KEY_FILE") or None)
    return context.wrap_socket(connection, server_hostname=host)


def _request(scheme: bytes, authority: bytes) -> bytes:
    headers = (
        (b":method", b"POST"),
        (b":scheme", scheme),
        (b":path", b"/grpc.health.v1.Health/Check"),
        (b":authority", authority),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
    )
    # Each header as a literal with a new name, neither indexed nor compressed: RFC 7541, 6.2.2.
    block = b"".join(b"\x00" + _text(name) + _text(value) for name, value in headers)
    return b"".join(
        (
            _PREFACE,
            _frame(_SETTINGS, 0, 0, b""),
            _frame(_HEADERS, _END_HEADERS, _STREAM, block),
            _frame(_DATA, _END_STREAM, _STREAM, _EMPTY_MESSAGE),
        )
    )


def _text(text: bytes) -> bytes:
    return bytes((len(text),)) + text


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _answer(connection: socket.socket, until_s: float) -> Iterator[bytes]:
    """What the data frames of the answer hold, until it ends. Raises OSError."""
    while True:
        size, kind, flags, stream = struct.unpack(">IBBI", b"\x00" + _exactly(connection, 9, until_s))
        payload = _exactly(connection, size, until_s)
        if kind == _DATA:
            yield payload
        if kind in (_RST_STREAM, _GOAWAY) or (
            stream == _STREAM and flags & _END_STREAM and kind in (_DATA, _HEADERS)
        ):
            return


def _exactly(connection: socket.socket, size: int, until_s: float) -> bytes:
    """So many bytes. Raises OSError when they do not come in time."""
    read = b""
    while len(read) < size:
        connection.settimeout(max(0.001, until_s - time.monotonic()))
        part = connection.recv(size - len(read))
        if not part:
            raise ConnectionResetError
        read += part
    return read


if __name__ == "__main__":
    try:
        served = serves(sys.argv[1], os.environ)  # noqa: TID251 - as small as it can be: no settings are loaded
    except OSError:
        served = False
    sys.exit(0 if served else 1)
