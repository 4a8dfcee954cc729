"""`omnijourney status`: health, unsettled work and clock of every service."""

import asyncio
import dataclasses
import json
from dataclasses import dataclass
from typing import Literal

import grpc
from rich.markup import escape
from rich.table import Table

from libs.cli.console import EXIT_FAULT, out
from libs.client import Client, ClientSettings, ServiceName, is_serving
from omnijourney.common.v1.installation_service_pb2 import GetClockRequest, GetLagRequest

_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One line of the table."""

    service: ServiceName
    target: str
    serving: bool
    pending: int | None = None
    """Things accepted and not settled; None when it could not be asked."""
    oldest_pending: str | None = None
    """RFC 3339, domain time."""
    next_timer: str | None = None
    clock: str | None = None
    """Domain time as this service sees it."""
    clock_rate: float | None = None
    fault: str | None = None
    """Why it could not be asked."""


async def show_status(settings: ClientSettings, *, as_json: bool) -> int:
    """Prints the state of every service. Returns the exit code: 1 if one does not serve or cannot be asked."""
    async with Client(settings.targets(), settings.api_token(), tls=settings.tls_of_calls()) as client:
        found = await asyncio.gather(*(_ask(client, service) for service in client.known))
    if as_json:
        out.print_json(json.dumps([dataclasses.asdict(status) for status in found]))
    else:
        out.print(_table(found))
    return 0 if all(status.serving and status.fault is None for status in found) else EXIT_FAULT


async def _ask(client: Client, service: ServiceName) -> ServiceStatus:
    target = client.targets[service]
    if not await is_serving(target, _TIMEOUT_S, client.tls):
        return ServiceStatus(service, target, serving=False)
    operations = client.installation(service)
    try:
        lag, clock = await asyncio.gather(
            operations.GetLag(GetLagRequest(), timeout=_TIMEOUT_S),
            operations.GetClock(GetClockRequest(), timeout=_TIMEOUT_S),
        )
    except grpc.aio.AioRpcError as error:
        return ServiceStatus(service, target, serving=True, fault=f"{error.code().name}: {error.details()}")
    return ServiceStatus(
        service,
        target,
        serving=True,
        pending=lag.pending,
        oldest_pending=lag.oldest_pending_time.ToJsonString()
        if lag.HasField("oldest_pending_time")
        else None,
        next_timer=lag.next_timer_time.ToJsonString() if lag.HasField("next_timer_time") else None,
        clock=clock.now.ToJsonString(),
        clock_rate=clock.rate,
    )


def _table(found: list[ServiceStatus]) -> Table:
    """Fits 80 columns. Times are domain times, in UTC."""
    table = Table(box=None, padding=(0, 1, 0, 0), caption=_clock(found), caption_justify="left")
    for heading in ("service", "gRPC", "state", "pending", "oldest", "next timer"):
        justify: Literal["left", "right"] = "right" if heading == "pending" else "left"
        table.add_column(heading, header_style="bold", justify=justify, no_wrap=heading != "state")
    for status in found:
        state = "[green]serving[/]" if status.serving else "[red]away[/]"
        if status.fault is not None:
            state = f"[red]{escape(status.fault)}[/]"
        pending = "–" if status.pending is None else f"{status.pending:,}"
        times = (_short(status.oldest_pending), _short(status.next_timer))
        table.add_row(status.service, status.target, state, pending, *times)
    return table


def _clock(found: list[ServiceStatus]) -> str:
    """What the services take for the present; they may lag behind each other by a moment."""
    answering = [status for status in found if status.clock is not None]
    if not answering:
        return ""
    return f"clock {_short(answering[0].clock)} UTC, {answering[0].clock_rate:g} s a second"


def _short(time: str | None) -> str:
    """`12-24 18:00:05` of an RFC 3339 time."""
    return "–" if time is None else time[5:19].replace("T", " ")
