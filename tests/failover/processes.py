"""Every process of a service asked by itself: calls to the service go to one after the other, and what one has done
since it was asked last says nothing of the next."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from libs.client import Client, ServiceName
from libs.demo.conductor import InstallationInstruments, Lag


@dataclass(frozen=True, slots=True)
class EveryProcess:
    """`libs.demo.conductor.Instruments` of services that are several processes each."""

    processes: Mapping[ServiceName, Sequence[InstallationInstruments]]

    async def set_clock(self, at: datetime) -> int:
        """See `Instruments`."""
        return await self.processes["segment"][0].set_clock(at)

    async def lag(self, service: ServiceName, version: int, wait_s: float = 0.0) -> Lag:
        """See `Instruments`: what all have to do, what each has done, and the first timer that one knows of."""
        lags = await asyncio.gather(*(each.lag(service, version, wait_s) for each in self.processes[service]))
        timers = [lag.next_timer for lag in lags if lag.next_timer is not None]
        return Lag(
            sum(lag.pending for lag in lags),
            " ".join(lag.progress for lag in lags),
            min(timers, default=None),
        )


@asynccontextmanager
async def every_process(
    addresses: Mapping[ServiceName, Sequence[str]], token: str, tools_token: str
) -> AsyncIterator[EveryProcess]:
    """Asks each of the addresses."""
    async with AsyncExitStack() as stack:
        processes: dict[ServiceName, list[InstallationInstruments]] = {}
        for service, each in addresses.items():
            for address in each:
                client = await stack.enter_async_context(Client({service: address}, token, tools_token))
                processes.setdefault(service, []).append(InstallationInstruments(client))
        yield EveryProcess(processes)
