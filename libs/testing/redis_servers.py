"""Valkey or Redis processes for tests: single ones that can be stopped and started, and a cluster of three."""

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from libs.embedded.binaries import find_valkey
from libs.embedded.ports import free_port
from libs.embedded.process import log_tail

_PATIENCE_S = 60.0
_POLL_S = 0.01
_SLOTS = 16_384


@dataclass
class RedisServer:
    """One server process on loopback."""

    binary: Path
    directory: Path
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"redis://127.0.0.1:{self.port}"

    def client(self) -> Redis:
        """A plain client, to look at the server from outside."""
        return Redis(port=self.port, protocol=2)

    def start(self) -> None:
        """Start and wait until it answers."""
        own = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory), "--save", "")
        with (self.directory / f"{self.port}.log").open("ab") as log:
            self._process = subprocess.Popen([self.binary, *own, *self.options], stdout=log, stderr=log)
        with self.client() as client:
            wait_until(lambda: self._lives() and client.ping())

    def _lives(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise AssertionError(log_tail(self.directory / f"{self.port}.log"))
        return True

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it as an operator does, or otherwise."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(_PATIENCE_S)
            self._process = None


def wait_until(condition: Callable[[], object]) -> None:
    """Ask until the answer is yes. Raises AssertionError after some seconds."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        with contextlib.suppress(RedisError, OSError):
            if condition():
                return
        time.sleep(_POLL_S)
    raise AssertionError("the servers are not as expected")


def valkey_binary() -> Path:
    """The server of the embedded installation."""
    return Path(find_valkey())


def redis_binary() -> Path | None:
    """Another make of server, where the machine has one."""
    found = shutil.which("redis-server")
    return Path(found) if found else None


@contextmanager
def running(binary: Path, directory: Path, *options: str) -> Iterator[RedisServer]:
    """One server, stopped at the end."""
    server = RedisServer(binary, directory, options)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def running_cluster(binary: Path, directory: Path, nodes: int = 3) -> Iterator[list[RedisServer]]:
    """A cluster of primaries with all slots, stopped at the end."""
    with ExitStack() as stack:
        servers = []
        buses = [free_port() for _ in range(nodes)]
        for number, bus in enumerate(buses):
            options = ["--cluster-enabled", "yes", "--cluster-config-file", f"nodes-{number}.conf"]
            # By default the bus is at port + 10,000, among the ports of the kernel's outgoing connections.
            options += ["--cluster-port", str(bus)]
            servers.append(stack.enter_context(running(binary, directory, *options)))
        for number, server in enumerate(servers):
            first, last = number * _SLOTS // nodes, (number + 1) * _SLOTS // nodes - 1
            with server.client() as client:
                client.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
                client.execute_command("CLUSTER MEET", "127.0.0.1", servers[0].port, buses[0])
        wait_until_whole(servers)
        yield servers


def wait_until_whole(servers: Sequence[RedisServer]) -> None:
    """Until every node of a cluster knows the others and serves."""
    for server in servers:
        with server.client() as client:
            wait_until(lambda client=client: _is_whole(client, len(servers)))  # type: ignore[misc]


def _is_whole(client: Redis, nodes: int) -> bool:
    state: dict[str, str] = client.execute_command("CLUSTER INFO")  # type: ignore[no-untyped-call]
    return state.get("cluster_state") == "ok" and state.get("cluster_known_nodes") == str(nodes)
