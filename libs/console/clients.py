"""Clients of the public contracts, one for each token that somebody is signed in with."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, timedelta
from typing import Final

import grpc

from libs.common.clock import Clock, SystemClock
from libs.common.tls import Tls
from omnijourney.client import AsyncClient, CallError, ServiceName
from omnijourney.common.v1.installation_service_pb2 import GetClockRequest
from omnijourney.common.v1.installation_service_pb2_grpc import InstallationServiceStub
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.team_pb2 import Team

CLIENTS_MAX: Final = 200
"""Clients that are kept with their connections; the one that was used longest ago is closed first."""
CALL_S: Final = 10.0
"""What one call of a page may take, seconds."""
TEAM_KEPT_S: Final = 5.0
"""How long a team's settings are shown as they were read."""
_TEAMS_MAX: Final = 500


class Clients:
    """Opens them when they are first asked for."""

    def __init__(
        self,
        targets: Mapping[ServiceName, str],
        tls: Tls | None,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Clock | None = None,
    ) -> None:
        """`targets`: `host:port` of every service."""
        self._targets = dict(targets)
        self._tls = tls
        self._monotonic = monotonic
        self._clock = clock or SystemClock()
        self._open: OrderedDict[bytes, AsyncClient] = OrderedDict()
        self._teams: OrderedDict[tuple[bytes, str], tuple[float, Team]] = OrderedDict()
        self._lag: tuple[float, timedelta] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def of(self, token: str) -> AsyncClient:
        """The client that shows this token."""
        key = _digest(token)
        found = self._open.get(key)
        if found is None:
            found = self._open[key] = AsyncClient(self._targets, token, tls=self._tls)
        self._open.move_to_end(key)
        while len(self._open) > CLIENTS_MAX:
            _, oldest = self._open.popitem(last=False)
            task = asyncio.create_task(oldest.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        return found

    async def team(self, token: str, team_id: str) -> Team:
        """A team, as this token sees it. Raises CallError."""
        key = (_digest(token), team_id)
        kept = self._teams.get(key)
        if kept is not None and self._monotonic() - kept[0] < TEAM_KEPT_S:
            return kept[1]
        answer = await self.of(token).segment.GetTeam(segment.GetTeamRequest(team_id=team_id), timeout=CALL_S)
        self._teams[key] = (self._monotonic(), answer.team)
        self._teams.move_to_end(key)
        while len(self._teams) > _TEAMS_MAX:
            self._teams.popitem(last=False)
        return answer.team

    def forget_team(self, token: str, team_id: str) -> None:
        """Its settings were changed here: they are read anew."""
        self._teams.pop((_digest(token), team_id), None)

    async def clock_lag(self, token: str) -> timedelta:
        """How far the installation's clock is behind the machine's, as it was a few seconds ago at most: a demo's is
        years behind. Nothing where it cannot be read; the token has to allow it."""
        if self._lag is None or self._monotonic() - self._lag[0] >= TEAM_KEPT_S:
            stub = InstallationServiceStub(self.of(token).channel("segment"))
            try:
                at = (await stub.GetClock(GetClockRequest(), timeout=CALL_S)).now
            except (CallError, grpc.aio.AioRpcError):
                return timedelta()
            self._lag = (self._monotonic(), self._clock.now() - at.ToDatetime(tzinfo=UTC))
        return self._lag[1]

    async def close(self) -> None:
        """Closes all connections; calls that are under way fail."""
        opened = list(self._open.values())
        self._open.clear()
        await asyncio.gather(*(one.close() for one in opened), *self._closing)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
