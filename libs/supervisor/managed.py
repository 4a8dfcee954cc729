"""One process of an installation: how it is started and how one sees that it is ready."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import aiohttp

from libs.client.health import is_serving
from libs.common.tls import Tls
from libs.embedded.process import Child, Spec

_PROBE_TIMEOUT_S = 5.0
"""A process that is only busy, on a machine that is, may not answer within one second."""
Probe = Callable[[], Awaitable[bool]]


@dataclass(slots=True)
class ManagedProcess:
    """A process that is started again when it dies."""

    spec: Spec
    ready: Probe
    """Whether it answers now."""
    child: Child | None = None

    @property
    def name(self) -> str:
        """For messages."""
        return self.spec.name

    async def start(self) -> None:
        """Starts it, without waiting until it is ready. Errors: OSError."""
        self.child = Child.spawn(self.spec)


def grpc_probe(target: str, tls: Tls | None = None) -> Probe:
    """Asks the health service at `target`."""

    async def probe() -> bool:
        return await is_serving(target, _PROBE_TIMEOUT_S, tls)

    return probe


def all_of(probes: Sequence[Probe]) -> Probe:
    """Asks whether every one of them says yes."""

    async def probe() -> bool:
        return all(await asyncio.gather(*(one() for one in probes)))

    return probe


def http_probe(*urls: str, tls: Tls | None = None) -> Probe:
    """Asks whether every one of `urls` answers 200."""
    context = tls.client_context() if tls is not None else True

    async def probe() -> bool:
        timeout = aiohttp.ClientTimeout(total=_PROBE_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            try:
                for url in urls:
                    async with session.get(url, ssl=context) as answer:
                        if answer.status != 200:
                            return False
            except (aiohttp.ClientError, TimeoutError):
                return False
        return True

    return probe
