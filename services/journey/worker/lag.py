"""How much the journey service has accepted and not settled."""

from __future__ import annotations

from libs.common.clock import Clock
from libs.common.ids import PARTITIONS
from libs.common.mailbox.api import Mailbox
from libs.common.mailbox.relay import MailRelay
from libs.common.rpc.operations import Lag, Progress
from services.journey import metrics
from services.journey.store.turns import TurnStore
from services.journey.worker.actors import Worker


class JourneyLag:
    """Counts mailboxes with mail, due timers, due changes of journeys and triggers on their way.

    All of it lies in PostgreSQL and Redis, so a restart hides nothing. Mail that a turn works on counts until it is
    trimmed, a timer until the commit of the turn that it woke. The cheap figures come first: while
    there is work the others are not counted.
    """

    def __init__(
        self,
        *,
        worker: Worker,
        mailbox: Mailbox,
        turns: TurnStore,
        relay: MailRelay,
        clock: Clock,
        progress: Progress,
    ) -> None:
        """`progress` counts what the worker and the schedule do."""
        self._worker = worker
        self._mailbox = mailbox
        self._turns = turns
        self._relay = relay
        self._clock = clock
        self.progress = progress

    async def lag(self) -> Lag:
        """See `LagProbe`."""
        now = self._clock.now()
        pending = self._worker.checked_out + self._relay.pending
        if pending:
            return Lag(pending, str(self.progress), oldest_pending=now)
        pending = await self._mailbox.holding(range(PARTITIONS))
        if pending:
            return Lag(pending, str(self.progress), oldest_pending=now)
        due, next_timer = await self._turns.look_ahead(now)
        return Lag(due, str(self.progress), oldest_pending=now if due else None, next_timer=next_timer)


async def measure_mailboxes(mailbox: Mailbox) -> None:
    """Shows how many customers have mail, and of how many a turn works on it. Raises MailboxUnavailable."""
    depths = await mailbox.depths(range(PARTITIONS))
    metrics.MAILBOXES.labels("ready").set(sum(depth.ready for depth in depths.values()))
    metrics.MAILBOXES.labels("taken").set(sum(depth.taken for depth in depths.values()))
