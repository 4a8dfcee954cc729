"""The embedded Valkey (or Redis): mailboxes in memory, no file on disk, loopback and a password."""

import asyncio
import os
import signal
import time
from pathlib import Path

import redis.asyncio
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from libs.embedded.account import SERVER_ENV, can_run, choose_account
from libs.embedded.binaries import find_valkey
from libs.embedded.datadir import DataDir
from libs.embedded.errors import EmbeddedError, StartFailedError
from libs.embedded.ports import LOOPBACK
from libs.embedded.process import Account, Child, Spec, describe_exit

_PASSWORD_FILE = "valkey.password"  # noqa: S105 - a file name
_START_TIMEOUT_S = 120
_POLL_S = 0.02
_MEMORY_SHARE = 4  # of the machine's memory, one part in this many
_MEMORY_BYTES_MIN = 256 * 1024 * 1024


def _memory_limit_bytes() -> int:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(_MEMORY_BYTES_MIN, machine // _MEMORY_SHARE)


def configuration(port: int, password: str, directory: Path) -> str:
    """The whole configuration file of the server."""
    return f"""
# Loopback and a password: the server answers nobody else.
bind {LOOPBACK}
port {port}
protected-mode yes
requirepass {password}
# Nothing is kept: what a mailbox held is rebuilt from PostgreSQL.
save ""
appendonly no
dir "{directory}"
# A mailbox is a stream with a message or two: a small first node takes 0.8 kB instead of 4.3.
stream-node-max-bytes 512
# Full means that a delivery is refused and tried again. Evicting a mailbox would silently lose its order.
maxmemory {_memory_limit_bytes()}
maxmemory-policy noeviction
daemonize no
loglevel notice
"""


class ValkeyServer:
    """One Valkey of a data directory. `start` may be called again after the server died."""

    name = "valkey"

    def __init__(self, directory: DataDir, port: int) -> None:
        self._directory = directory
        self._port = port
        self.child: Child | None = None

    @property
    def address(self) -> str:
        """URL of the server, password included."""
        return f"redis://:{self._directory.secret(_PASSWORD_FILE)}@{LOOPBACK}:{self._port}/0"

    async def start(self) -> None:
        """Starts the server and waits until it answers. Errors: BinariesMissingError, StartFailedError."""
        program = find_valkey()
        account = self._account(program)
        text = configuration(self._port, self._directory.secret(_PASSWORD_FILE), self._directory.valkey)
        self.child = Child.spawn(
            Spec(
                name=self.name,
                command=[str(program), "-"],
                env=SERVER_ENV,
                log=self._directory.logs / "valkey.log",
                cwd=self._directory.valkey,
                account=account,
                death_signal=signal.SIGTERM,
                stdin=text.encode(),  # not on the command line, which every user of the machine can read
            )
        )
        try:
            await self._until_ready(self.child)
        except BaseException:
            await self.stop(grace_s=1.0)
            raise

    def _account(self, program: Path) -> Account:
        """Root is given up where that is easy; unlike PostgreSQL this server does not insist."""
        try:
            return choose_account(program, self._directory.valkey)
        except EmbeddedError:
            if os.geteuid() == 0 and can_run(program, self._directory.valkey, Account.same()):
                return Account.same()
            raise

    async def _until_ready(self, child: Child) -> None:
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline_s:
            code = child.returncode
            if code is not None:
                raise StartFailedError(
                    f"Valkey ended at its start ({describe_exit(code)}); {child.log_end()}"
                )
            if await self._answers():
                return
            await asyncio.sleep(_POLL_S)
        raise StartFailedError(f"Valkey was not ready after {_START_TIMEOUT_S} s; {child.log_end()}")

    async def _answers(self) -> bool:
        client = redis.asyncio.from_url(self.address, protocol=2, socket_connect_timeout=1, socket_timeout=1)
        try:
            return bool(await client.ping())
        except (RedisConnectionError, TimeoutError):
            return False
        except RedisError as error:
            raise StartFailedError(
                f"Valkey refused its own password or is loading forever: {error}"
            ) from error
        finally:
            await client.aclose()

    async def stop(self, grace_s: float) -> None:
        """Ends the server: SIGTERM, after `grace_s` SIGKILL. Nothing can be lost."""
        if self.child is not None:
            await self.child.stop([(signal.SIGTERM, grace_s)])
