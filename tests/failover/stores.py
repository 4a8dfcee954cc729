"""The stores of three hosts: PostgreSQL under Patroni with etcd, and a Redis cluster with replicas."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg
import yaml
from redis import Redis
from redis.exceptions import RedisError

from libs.embedded.binaries import find_postgres, find_valkey
from tests.failover.machine import Machine
from tools.paths import BUILD

PATRONI: Final = BUILD / "failover" / "venv" / "bin" / "patroni"
ETCD: Final = shutil.which("etcd")
PASSWORD: Final = "failover"
OWNER: Final = "omnijourney"
_ETCD_CLIENTS, _ETCD_PEERS, _PATRONI_API, _POSTGRES = 2379, 2380, 8008, 5432
_PRIMARY, _REPLICA = 6379, 6380
_SLOTS: Final = 16_384
_PATIENCE_S: Final = 300.0
_POLL_S: Final = 0.3
_TTL_S, _LOOP_S, _RETRY_S = 20, 3, 6
"""Patroni's: who leads loses the lead this long after its last word."""


def why_not() -> str:
    """What is missing for such stores; empty: nothing."""
    if ETCD is None:
        return "etcd is not installed (Debian: etcd-server)"
    if not PATRONI.is_file():
        return "Patroni is not installed: make failover does it"
    return ""


class Stores:
    """Both, on all machines."""

    def __init__(self, machines: Sequence[Machine], directory: Path, session: aiohttp.ClientSession) -> None:
        """Data in folders of `directory`."""
        self._machines = {machine.name: machine for machine in machines}
        self._directory = directory
        self._session = session

    @property
    def postgres_dsn(self) -> str:
        """The owner's, at whichever server takes writes."""
        servers = ",".join(f"{m.host.address}:{_POSTGRES}" for m in self._machines.values())
        return f"postgresql://{OWNER}:{PASSWORD}@{servers}/{OWNER}?target_session_attrs=read-write"

    @property
    def redis_url(self) -> str:
        """The cluster's."""
        nodes = ",".join(f"{m.host.address}:{_PRIMARY}" for m in self._machines.values())
        return f"redis+cluster://{nodes}"

    async def start(self) -> None:
        """Starts everything and waits until it serves."""
        for machine in self._machines.values():
            await self._start_etcd(machine)
            for port in (_PRIMARY, _REPLICA):
                await self._start_valkey(machine, port)
        for machine in self._machines.values():
            await self._start_patroni(machine)
        await asyncio.to_thread(self._join_cluster)
        await until("PostgreSQL leads and has replicas", self._whole)
        await self._create_database()

    # ---- PostgreSQL

    async def leader(self) -> str:
        """The host whose server takes writes; empty while there is none that is known."""
        for member in await self._members():
            if member["role"] == "leader" and member["state"] == "running":
                return str(member["name"])
        return ""

    async def switch_over(self) -> bool:
        """Has another server lead, as before maintenance."""
        leader = await self.leader()
        if not leader:
            return False
        url = f"http://{self._machines[leader].host.address}:{_PATRONI_API}/switchover"
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self._session.post(url, json={"leader": leader}) as answer:
                return answer.status == 200
        return False

    async def _whole(self) -> bool:
        """One leads, all others follow, one of them synchronously: whatever was committed is on two hosts."""
        roles = sorted(
            str(member["role"])
            for member in await self._members()
            if member["state"] in ("running", "streaming")
        )
        return roles == ["leader", *["replica"] * (len(self._machines) - 2), "sync_standby"]

    async def until_whole(self) -> None:
        """Waits for `_whole`, and for the Redis cluster. Errors: AssertionError."""
        await until("PostgreSQL leads and has replicas", self._whole)
        await until("the Redis cluster serves", self._redis_serves)

    async def _members(self) -> list[dict[str, Any]]:
        for machine in self._machines.values():
            if not machine.runs:
                continue
            url = f"http://{machine.host.address}:{_PATRONI_API}/cluster"
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with self._session.get(url, timeout=aiohttp.ClientTimeout(total=2)) as answer:
                    return list((await answer.json()).get("members", []))
        return []

    async def _create_database(self) -> None:
        connection = await asyncpg.connect(self.postgres_dsn.replace(f"/{OWNER}?", "/postgres?"))
        try:
            await connection.execute(f"CREATE DATABASE {OWNER}")
        finally:
            await connection.close()

    async def _start_etcd(self, machine: Machine) -> None:
        assert ETCD is not None
        address = machine.host.address
        peers = ",".join(f"{m.name}=http://{m.host.address}:{_ETCD_PEERS}" for m in self._machines.values())
        options = {
            "name": machine.name,
            "data-dir": self._folder(machine, "etcd"),
            "listen-client-urls": f"http://{address}:{_ETCD_CLIENTS}",
            "advertise-client-urls": f"http://{address}:{_ETCD_CLIENTS}",
            "listen-peer-urls": f"http://{address}:{_ETCD_PEERS}",
            "initial-advertise-peer-urls": f"http://{address}:{_ETCD_PEERS}",
            "initial-cluster": peers,
            # For a machine that all hosts share.
            "heartbeat-interval": 300,
            "election-timeout": 3_000,
        }
        await machine.run("etcd", [ETCD, *(f"--{name}={value}" for name, value in options.items())], {})

    async def _start_patroni(self, machine: Machine) -> None:
        file = self._directory / f"patroni-{machine.name}.yml"
        file.write_text(yaml.safe_dump(self._patroni(machine)))
        await machine.run("patroni", [str(PATRONI), str(file)], {"LC_ALL": "C"}, nobody=True)

    def _patroni(self, machine: Machine) -> Mapping[str, Any]:
        address = machine.host.address
        home = self._folder(machine, "postgres")
        network = address.rpartition(".")[0] + ".0/24"
        return {
            "scope": OWNER,
            "name": machine.name,
            "restapi": {
                "listen": f"{address}:{_PATRONI_API}",
                "connect_address": f"{address}:{_PATRONI_API}",
            },
            "etcd3": {"hosts": [f"{m.host.address}:{_ETCD_CLIENTS}" for m in self._machines.values()]},
            "bootstrap": {
                "dcs": {
                    "ttl": _TTL_S,
                    "loop_wait": _LOOP_S,
                    "retry_timeout": _RETRY_S,
                    # What was committed is on a second host, or it is not committed.
                    "synchronous_mode": True,
                    "synchronous_mode_strict": True,
                    "postgresql": {
                        "use_pg_rewind": True,
                        "parameters": {
                            "max_connections": 300,
                            "shared_buffers": "128MB",
                            "wal_keep_size": "256MB",
                            "unix_socket_directories": "",
                        },
                    },
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"],
            },
            "postgresql": {
                "listen": f"{address}:{_POSTGRES}",
                "connect_address": f"{address}:{_POSTGRES}",
                "data_dir": str(home / "data"),
                "bin_dir": str(find_postgres(home, None).directory),
                "pgpass": str(home / "pgpass"),
                "authentication": {
                    "superuser": {"username": OWNER, "password": PASSWORD},
                    "replication": {"username": "replicator", "password": PASSWORD},
                    "rewind": {"username": "rewinder", "password": PASSWORD},
                },
                "pg_hba": [
                    f"host all all {network} scram-sha-256",
                    f"host replication replicator {network} scram-sha-256",
                ],
            },
        }

    # ---- Redis

    def primaries(self) -> list[tuple[str, str]]:
        """Host and program of each primary that answers."""
        found: list[tuple[str, str]] = []
        for machine in self._machines.values():
            for port in (_PRIMARY, _REPLICA):
                with contextlib.suppress(RedisError, OSError), _redis(machine, port) as client:
                    if machine.runs and client.info("replication")["role"] == "master":
                        found.append((machine.name, f"valkey-{port}"))
        return found

    async def _redis_serves(self) -> bool:
        return await asyncio.to_thread(self._serves)

    def _serves(self) -> bool:
        for machine in self._machines.values():
            with contextlib.suppress(RedisError, OSError), _redis(machine, _PRIMARY) as client:
                state: dict[str, str] = client.execute_command("CLUSTER INFO")
                if state.get("cluster_state") == "ok":
                    continue
            return False
        return True

    async def _start_valkey(self, machine: Machine, port: int) -> None:
        options = {
            "port": port,
            "bind": machine.host.address,
            "protected-mode": "no",
            "dir": self._folder(machine, f"valkey-{port}"),
            "save": "",
            "appendonly": "no",
            "cluster-enabled": "yes",
            "cluster-node-timeout": 4_000,
            "cluster-replica-validity-factor": 0,
            "stream-node-max-bytes": 512,
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        await machine.run(f"valkey-{port}", [str(find_valkey()), *words], {})

    def _join_cluster(self) -> None:
        """Primaries on each host, each with its replica on the next one."""
        machines = list(self._machines.values())
        first = machines[0].host.address
        for machine in machines:
            for port in (_PRIMARY, _REPLICA):
                _until_answering(machine, port)
        for number, machine in enumerate(machines):
            with _redis(machine, _PRIMARY) as client:
                begin, end = number * _SLOTS // len(machines), (number + 1) * _SLOTS // len(machines) - 1
                client.execute_command("CLUSTER ADDSLOTSRANGE", begin, end)
            for port in (_PRIMARY, _REPLICA):
                with _redis(machine, port) as client:
                    # Two nodes that win an election at once have the epoch of one: each gets its own before.
                    client.execute_command("CLUSTER SET-CONFIG-EPOCH", 1 + number * 2 + (port == _REPLICA))
                    client.execute_command("CLUSTER MEET", first, _PRIMARY)
        for number, machine in enumerate(machines):
            owner = machines[number - 1]
            with _redis(owner, _PRIMARY) as client:
                node_id = client.execute_command("CLUSTER MYID").decode()
            _until_replicating(machine, node_id)

    def _folder(self, machine: Machine, name: str) -> Path:
        folder = self._directory / machine.name / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


async def until(what: str, holds: Callable[[], Awaitable[bool]], patience_s: float = _PATIENCE_S) -> None:
    """Asks until it holds. Errors: AssertionError."""
    give_up_s = time.monotonic() + patience_s
    while not await holds():
        if time.monotonic() > give_up_s:
            raise AssertionError(f"not so after {patience_s:.0f} s: {what}")
        await asyncio.sleep(_POLL_S)


def _redis(machine: Machine, port: int) -> Redis:
    return Redis(host=machine.host.address, port=port, protocol=2, socket_timeout=2, socket_connect_timeout=1)


def _until_answering(machine: Machine, port: int) -> None:
    _insist(f"Valkey on {machine.name}:{port}", lambda: _asked(machine, port, "PING"))


def _until_replicating(machine: Machine, of: str) -> None:
    """Knows the other node only some moments after they met."""
    _insist(f"a replica on {machine.name}", lambda: _asked(machine, _REPLICA, "CLUSTER REPLICATE", of))


def _asked(machine: Machine, port: int, *words: str) -> bool:
    with contextlib.suppress(RedisError, OSError), _redis(machine, port) as client:
        client.execute_command(*words)
        return True
    return False


def _insist(what: str, done: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + _PATIENCE_S
    while not done():
        if time.monotonic() > give_up_s:
            raise AssertionError(f"not so after {_PATIENCE_S:.0f} s: {what}")
        time.sleep(_POLL_S)
