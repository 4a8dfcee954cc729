"""Asks hourly how many people opened the messages of nodes, where a channel tells sums only."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from libs.common.clock import Clock
from libs.common.errors import Unavailable
from libs.common.feeds.follower import AWAY
from libs.common.logging import about
from libs.common.tasks import set_within
from omnijourney.internal.v1 import opens_service_pb2 as pb
from services.stats import metrics
from services.stats.clients.opens import QUESTIONS_MAX, Opens
from services.stats.domain.opens import OpensKey
from services.stats.store.opens import OpensStore

CLAIMED_MAX: Final = 200
"""Nodes of one look; more wait for the next."""

_log = structlog.get_logger(__name__)


class OpensAsker:
    """A loop, see `libs.common.tasks`. Any number of processes may run it: each node is asked about by one."""

    def __init__(self, store: OpensStore, opens: Opens, clock: Clock, poll_s: float) -> None:
        """Looks every `poll_s` real seconds for what is due by `clock`."""
        self._store = store
        self._opens = opens
        self._clock = clock
        self._poll_s = poll_s

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set."""
        while not await set_within(stopping, self._poll_s):
            try:
                await self.step(stopping)
            except AWAY as error:
                _log.warning("opens of messages wait", error=repr(error))

    async def step(self, stopping: asyncio.Event) -> int:
        """Asks about all that is due; how much that was. Raises the driver's errors."""
        claimed = await self._store.claim(self._clock.now(), CLAIMED_MAX)
        of_team: dict[object, list[OpensKey]] = {}
        for key in claimed:
            of_team.setdefault(key.team_id, []).append(key)
        for keys in of_team.values():
            for start in range(0, len(keys), QUESTIONS_MAX):
                if stopping.is_set():
                    return len(claimed)
                await self._ask(keys[start : start + QUESTIONS_MAX])
        return len(claimed)

    async def _ask(self, keys: Sequence[OpensKey]) -> None:
        """What is not answered is asked again in an hour, and keeps what was told before."""
        now = self._clock.now()
        try:
            answers = await self._opens.ask(keys[0].team_id, keys, now)
        except Unavailable as error:
            metrics.OPENS.labels("AWAY").inc(len(keys))
            _log.warning("opens of messages are not told", error=str(error), **about(team_id=keys[0].team_id))
            return
        for key, answer in zip(keys, answers, strict=True):
            name = pb.OpensState.Name(answer.state).removeprefix("OPENS_STATE_")
            metrics.OPENS.labels(name).inc()
            if answer.state == pb.OPENS_STATE_KNOWN:
                await self._store.keep(key, answer.person_count, now)
            elif answer.state == pb.OPENS_STATE_TOO_FEW_PEOPLE:
                await self._store.keep(key, None, now)
