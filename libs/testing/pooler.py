"""PgBouncer in transaction mode for tests, before the session's PostgreSQL."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from libs.common.config import DEFAULT_PORTS
from libs.common.db.roles import role_of, service_dsn
from libs.embedded.ports import free_port
from libs.embedded.process import log_tail

_PATIENCE_S: Final = 60.0
_SETTINGS: Final = """\
[databases]
* = host=127.0.0.1 port={behind}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = 4
max_client_conn = 500
server_tls_sslmode = disable
"""


@contextmanager
def running_pooler(directory: Path, owner_dsn: str, more_roles: Sequence[str] = ()) -> Iterator[str]:
    """One that lets the roles of services in, those of `more_roles` (services of tests), too; its `host:port`. Stopped
    at the end. `directory` is one that other users read."""
    port, users = free_port(), directory / "users.txt"
    logins = {
        role_of(service): urlsplit(service_dsn(owner_dsn, service)).password
        for service in (*DEFAULT_PORTS, *more_roles)
    }
    users.write_text("".join(f'"{role}" "{password}"\n' for role, password in logins.items()))
    settings = directory / "pgbouncer.ini"
    settings.write_text(_SETTINGS.format(behind=urlsplit(owner_dsn).port, port=port, users=users))
    with (directory / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen(
            [pooler_binary() or "pgbouncer", "--user", "nobody", str(settings)], stdout=log, stderr=log
        )
    try:
        _wait_for(port, process, directory / "pgbouncer.log")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(_PATIENCE_S)


def pooler_binary() -> Path | None:
    """PgBouncer, where the machine has one."""
    found = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    return Path(found) if found else None


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1.0):
                return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(log_tail(log))
