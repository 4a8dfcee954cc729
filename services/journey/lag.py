"""How much the journey service has accepted and not settled."""

from __future__ import annotations

from libs.common.clock import Clock
from libs.common.ids import PARTITIONS
from libs.common.mailbox.api import Mailbox
from libs.common.mailbox.relay import MailRelay
from libs.common.rpc.operations import Lag, Progress
from services.journey.store import JourneyStore
from services.journey.turn_store import TurnStore


class JourneyLag:
    """Counts mailboxes with mail, due timers, due changes of journeys and triggers on their way.

    All of it lies in PostgreSQL and Redis, so a restart hides nothing. Mail that a turn works on counts until it is
    trimmed, a timer until the commit of the turn that it woke.
    """

    def __init__(
        self,
        *,
        mailbox: Mailbox,
        turns: TurnStore,
        journeys: JourneyStore,
        relay: MailRelay,
        clock: Clock,
        progress: Progress,
    ) -> None:
        """`progress` counts what the worker and the schedule do."""
        self._mailbox = mailbox
        self._turns = turns
        self._journeys = journeys
        self._relay = relay
        self._clock = clock
        self._progress = progress

    async def lag(self) -> Lag:
        """See `LagProbe`."""
        now = self._clock.now()
        depths = await self._mailbox.depths(range(PARTITIONS))
        pending = sum(depth.ready + depth.taken for depth in depths.values()) + self._relay.pending
        pending += await self._turns.count_due(now)
        pending += len(await self._journeys.changing_journeys(now))
        next_timer = await self._turns.next_timer(range(PARTITIONS), now)
        change = await self._journeys.next_schedule_change(now)
        upcoming = [at for at in (next_timer, change) if at is not None]
        return Lag(
            pending=pending,
            progress=str(self._progress),
            oldest_pending=now if pending else None,
            next_timer=min(upcoming, default=None),
        )
