"""Three hosts with stores and services of their own: an installation that has no part which is there once."""

import asyncio
import os
import random
import secrets
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from libs.client import Client
from libs.client.health import is_serving
from libs.client.services import SERVICES, ServiceName
from libs.common import credentials
from libs.common.config import DEFAULT_PORTS
from libs.common.db.roles import token_of
from libs.embedded.ports import LOOPBACK
from libs.embedded.process import Child, Spec
from libs.emulators.config import EmulatorSettings
from libs.supervisor.plan import EMULATED
from tests.failover.edge import Edge
from tests.failover.machine import Machine
from tests.failover.network import OPERATOR, hosts
from tests.failover.processes import EveryProcess, every_process
from tests.failover.stores import Stores, until

HOSTS: Final = ("alpha", "beta", "gamma")
WHOLE: Final = HOSTS[:2]
"""Hosts with all five services; all hosts have journey, and the last has it twice."""
TOKEN: Final = "failover-token-of-some-length"
HTTP_PORT: Final = 7480
_SECOND_JOURNEY: Final = 7411
_EMULATOR_PORTS: Final = {channel: 8100 + number for number, channel in enumerate(EMULATED)}
_WHATSAPP_RATE: Final = 1_000
_LEASE_S: Final = 3


@dataclass(frozen=True, slots=True)
class Site:
    """Everything running; a `tests.chaos.arena.Place`."""

    machines: Mapping[str, Machine]
    stores: Stores
    client: Client
    instruments: EveryProcess
    session: aiohttp.ClientSession
    http_url: str
    channel_urls: Mapping[str, str]
    receipts: Path
    deaths: Counter[str]

    @property
    def postgres_dsn(self) -> str:
        """The administrator's."""
        return self.stores.postgres_dsn

    async def until_whole(self) -> None:
        """Until all stores have their replicas again and all services serve."""
        await self.stores.until_whole()
        await until("all services serve", self._serves)

    async def _serves(self) -> bool:
        return all(await asyncio.gather(*map(is_serving, _all_targets(self.machines))))


@asynccontextmanager
async def site(directory: Path, rng: random.Random) -> AsyncIterator[Site]:
    """Everything running, and gone in the end. Errors: OSError, AssertionError."""
    deaths: Counter[str] = Counter()
    logs = directory / "logs"
    async with AsyncExitStack() as stack:
        network = stack.enter_context(hosts(HOSTS))
        machines = {host.name: Machine(host, logs, deaths) for host in network}
        for machine in machines.values():
            stack.push_async_callback(machine.close)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20))
        )
        stores = Stores(list(machines.values()), directory, session)
        await stores.start()
        folder = directory / "credentials"
        await _migrate(stores, directory, folder)
        receipts = directory / "emulators"
        _emulators(stack, receipts, logs)
        keys = secrets.token_hex(32)
        for machine in machines.values():
            await _start_services(machine, machines, stores, folder, keys)
        edge = await stack.enter_async_context(
            Edge.running([(machines[name].host.address, HTTP_PORT) for name in WHOLE], rng)
        )
        targets = {service: _target(machines, service) for service in SERVICES}
        tools_token = token_of(stores.postgres_dsn, credentials.TOOLS)
        client = await stack.enter_async_context(Client(targets, TOKEN, tools_token))
        addresses = {service: _addresses(machines, service) for service in SERVICES}
        instruments = await stack.enter_async_context(every_process(addresses, TOKEN, tools_token))
        urls = {channel: _url(OPERATOR, port) for channel, port in _EMULATOR_PORTS.items()}
        found = Site(machines, stores, client, instruments, session, edge.url, urls, receipts, deaths)
        await found.until_whole()
        yield found


async def _migrate(stores: Stores, directory: Path, folder: Path) -> None:
    migrated = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "libs.cli.main", "migrate", "--credentials-dir", str(folder)),
        env={
            **os.environ,
            "OMNIJOURNEY_POSTGRES_DSN": stores.postgres_dsn,
            "OMNIJOURNEY_TOKEN": TOKEN,
            "OMNIJOURNEY_DATA_DIR": str(directory / "migrate"),
        },
        stdout=asyncio.subprocess.DEVNULL,
    )
    if await migrated.wait():
        raise AssertionError("the database could not be prepared")


def _emulators(stack: AsyncExitStack, receipts: Path, logs: Path) -> None:
    """Outside of all hosts, as the channels are."""
    emulators = EmulatorSettings.model_construct()
    ports = {f"OMNIJOURNEY_EMULATOR_{name.upper()}_PORT": str(port) for name, port in _EMULATOR_PORTS.items()}
    variables = {
        "OMNIJOURNEY_EMULATOR_HOST": OPERATOR,
        "OMNIJOURNEY_EMULATOR_DATA_DIR": str(receipts),
        "OMNIJOURNEY_EMULATOR_TOKEN": emulators.token,
        "OMNIJOURNEY_EMULATOR_SECRET": emulators.secret,
        "OMNIJOURNEY_EMULATOR_WHATSAPP_RATE": str(_WHATSAPP_RATE),
        **ports,
    }
    child = Child.spawn(
        Spec(
            name="emulators",
            command=[sys.executable, "-m", "libs.emulators"],
            env={**os.environ, **variables},
            log=logs / "emulators.log",
        )
    )
    stack.push_async_callback(child.stop, [])


async def _start_services(
    machine: Machine, machines: Mapping[str, Machine], stores: Stores, folder: Path, secret_keys: str
) -> None:
    variables = {
        "OMNIJOURNEY_REDIS_URL": stores.redis_url,
        "OMNIJOURNEY_BIND_HOST": machine.host.address,
        "OMNIJOURNEY_CLOCK_CONTROL": "on",
        "OMNIJOURNEY_LEASE_SECONDS": str(_LEASE_S),
        "OMNIJOURNEY_SECRET_KEYS": secret_keys,
        "OMNIJOURNEY_HTTP_PORT": str(HTTP_PORT),
        **{f"OMNIJOURNEY_{service.upper()}_TARGET": _target(machines, service) for service in SERVICES},
        **{f"OMNIJOURNEY_{name.upper()}_URL": _url(LOOPBACK, port) for name, port in _EMULATOR_PORTS.items()},
    }
    outside = [f"{OPERATOR}:{port}" for port in _EMULATOR_PORTS.values()]
    await machine.run("edge", [sys.executable, "-m", "tests.failover.edge", *outside], {})
    services: Sequence[ServiceName] = SERVICES if machine.name in WHOLE else ("journey",)
    for service in services:
        own = {**variables, credentials.FILE_VARIABLE: str(folder / f"{service}.env")}
        command = [sys.executable, "-m", f"services.{service}"]
        await machine.run(service, command, own)
        if machine.name not in WHOLE:
            own |= {
                "OMNIJOURNEY_JOURNEY_PORT": str(_SECOND_JOURNEY),
                "OMNIJOURNEY_JOURNEY_METRICS_PORT": "0",
            }
            await machine.run(f"{service}-2", command, own)


def _target(machines: Mapping[str, Machine], service: ServiceName) -> str:
    """All processes of a service, as gRPC names several addresses."""
    return "ipv4:" + ",".join(_addresses(machines, service))


def _addresses(machines: Mapping[str, Machine], service: ServiceName) -> list[str]:
    port = DEFAULT_PORTS[service]
    found = [f"{machines[name].host.address}:{port}" for name in WHOLE]
    if service == "journey":
        last = machines[HOSTS[-1]].host.address
        found += [f"{last}:{port}", f"{last}:{_SECOND_JOURNEY}"]
    return found


def _all_targets(machines: Mapping[str, Machine]) -> list[str]:
    return [address for service in SERVICES for address in _addresses(machines, service)]


def _url(host: str, port: int) -> str:
    return f"http://{host}:{port}"
