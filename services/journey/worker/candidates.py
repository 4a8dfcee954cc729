"""Whose turn it is: customers with mail, with a due timer, in a journey that stops, or stuck. Each once."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Final
from uuid import UUID

import msgspec

from libs.common.mailbox.api import Mailbox
from services.journey.domain.model import ActorKey
from services.journey.worker.checkouts import Checkouts
from services.journey.worker.halting import Halting
from services.journey.worker.partitions import Partitions
from services.journey.worker.retries import Retries
from services.journey.worker.timers import TimerWatch
from services.journey.worker.turns import Waiting

NO_MAIL: Final = Waiting()
"""A timer is due, or a journey stops."""
ROOM_BESIDE_MAIL: Final = 5
"""One in so many customers of a batch may be without mail when there is more mail than fits."""

Batch = dict[ActorKey, Waiting]


class Candidates:
    """Gathers batches. Every call may raise what mailbox and store raise: then gather again."""

    def __init__(
        self,
        *,
        mailbox: Mailbox,
        partitions: Partitions,
        checkouts: Checkouts,
        timers: TimerWatch,
        retries: Retries,
        halting: Halting,
    ) -> None:
        """The rest of the worker, which it changes by taking mail only."""
        self._halting = halting
        self._mailbox = mailbox
        self._partitions = partitions
        self._checkouts = checkouts
        self._timers = timers
        self._retries = retries
        self._stuck: set[ActorKey] = set()

    def set_stopping(self, journeys: Iterable[tuple[UUID, UUID]]) -> bool:
        """Journeys (team, journey) whose customers have to be halted; True if it may be time to."""
        return self._halting.set_stopping(journeys)

    def ask_again(self, customers: Iterable[ActorKey]) -> bool:
        """Customers whose enrolments ask once more what they asked last; True if there are any."""
        self._stuck.update(customers)
        return bool(self._stuck)

    async def gather(self, busy: Set[ActorKey]) -> Batch:
        """Customers with mail, then those with due timers, then those to be halted, then the stuck; none of `busy`."""
        batch: Batch = {}
        if not self._partitions.owned:
            return batch
        all_mail_fits = self._retries.full or await self._take_mail(batch, busy)
        most = self._checkouts.limits.customers_max
        room = most - len(batch) if all_mail_fits else most // ROOM_BESIDE_MAIL
        due = await self._timers.due(self._partitions.owned.keys(), room, busy)
        due += await self._halting.take(room - len(due), self._partitions.owned.keys(), busy)
        if due and not all_mail_fits:
            # Their mail comes first: they are looked at for both in one turn.
            due = await self._without_mail(due)
        for key in due:
            batch.setdefault(key, NO_MAIL)
        await self._add_stuck(batch, busy)
        # A lease may have been lost while this was gathered.
        return {
            key: waiting
            for key, waiting in batch.items()
            if key not in self._retries and key.partition in self._partitions.owned
        }

    async def _take_mail(self, batch: Batch, busy: Set[ActorKey]) -> bool:
        """False if there may be more mail than fits into the batch."""
        result = await self._checkouts.take()
        for taken in result.taken:
            key = ActorKey(taken.partition, taken.team_id, taken.customer_id)
            # If a timer of theirs is worked on, the mail goes back, and comes again.
            if key not in busy:
                batch[key] = Waiting(taken.mails, taken.more, taken.last_entry_id)
        for partition in {*result.fenced, *result.lost}:
            self._partitions.drop(partition)
        return not result.full

    async def _add_stuck(self, batch: Batch, busy: Set[ActorKey]) -> None:
        """Adds those who are to ask again. Mail that waits comes first: it may be what they wait for."""
        stuck = self._stuck - busy
        if not stuck:
            return
        self._stuck -= stuck
        idle = set(await self._without_mail(stuck))
        for key in stuck:
            if key in batch or key in idle:
                batch[key] = msgspec.structs.replace(batch.get(key, NO_MAIL), again=True)

    async def _without_mail(self, keys: Iterable[ActorKey]) -> list[ActorKey]:
        wanted = list(keys)
        waiting = await self._mailbox.waiting([(key.team_id, key.customer_id) for key in wanted])
        return [key for key in wanted if (key.team_id, key.customer_id) not in waiting]
