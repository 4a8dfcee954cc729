"""The mailboxes that a worker has checked out: taken with their mail, until they are trimmed or put back."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Set
from typing import Final, NamedTuple

from libs.common.mailbox.api import (
    CUSTOMER_BYTES_MAX,
    TAKE_BYTES_MAX,
    Mailbox,
    PutBack,
    QuietMarks,
    TakeResult,
    Trim,
)
from services.journey import metrics
from services.journey.domain.model import ActorKey


class BatchLimits(NamedTuple):
    """How much one batch takes."""

    customers_max: int = 500
    """More gain little, and make everybody in the batch wait longer."""
    mail_max: int = 100
    """Mail of one customer."""
    customer_bytes_max: int = CUSTOMER_BYTES_MAX
    """The same in bytes."""
    bytes_max: int = TAKE_BYTES_MAX
    """All mail of a batch."""


LIMITS: Final = BatchLimits()


class Checkouts:
    """What is checked out, and which partitions are worth a look. Every call may raise `MailboxUnavailable`."""

    def __init__(self, mailbox: Mailbox, owned: Mapping[int, int], limits: BatchLimits = LIMITS) -> None:
        """`owned` (partition → epoch) is a view that follows what the worker owns."""
        self._mailbox = mailbox
        self._owned = owned
        self.limits = limits
        self._last_entries: dict[ActorKey, bytes] = {}
        self._woken: set[int] = set()

    @property
    def customers(self) -> Set[ActorKey]:
        """Everybody whose mailbox is checked out."""
        return self._last_entries.keys()

    def wake(self, partitions: Iterable[int]) -> None:
        """Mail may wait in these partitions."""
        self._woken |= set(partitions) & self._owned.keys()

    def wake_all(self) -> None:
        """Mail may wait anywhere."""
        self._woken.update(self._owned)

    async def take(self) -> TakeResult:
        """Checks out mailboxes of the partitions that were woken. A full result: there may be more in each of them.

        Partitions that the mailbox refuses are in the result; nothing of them is checked out.
        """
        looked_at = sorted((p, self._owned[p]) for p in self._woken & self._owned.keys())
        if not looked_at:
            return TakeResult()
        # Before the call: a batch that ends meanwhile may wake partitions again.
        self._woken.clear()
        result = await self._mailbox.take(looked_at, *self.limits)
        for taken in result.taken:
            # A lease may have been lost during the call: nothing of it is checked out then, see `drop`.
            if taken.partition in self._owned:
                key = ActorKey(taken.partition, taken.team_id, taken.customer_id)
                self._last_entries[key] = taken.last_entry_id
        metrics.MAILS.inc(sum(len(taken.mails) for taken in result.taken))
        if result.taken:
            oldest_ms = min(int(taken.last_entry_id.partition(b"-")[0]) for taken in result.taken)
            now_s = time.time()  # noqa: TID251 - real time, as the mailboxes' server stamps its entries
            metrics.MAIL_WAITS.observe(max(0.0, now_s - oldest_ms / 1_000))
        if result.full:
            self._woken.update(partition for partition, _ in looked_at)
        return result

    async def put_back(self, keys: Iterable[ActorKey]) -> None:
        """Makes these mailboxes ready again with all their mail; those that are not checked out are left alone."""
        items = [
            PutBack(key.partition, self._owned[key.partition], key.team_id, key.customer_id)
            for key in keys
            if key in self._last_entries and key.partition in self._owned
        ]
        for item in items:
            self._last_entries.pop(ActorKey(item.partition, item.team_id, item.customer_id), None)
        if items:
            await self._mailbox.put_back(items)
            self._woken.update(item.partition for item in items)

    async def trim(self, done: Mapping[ActorKey, bytes | None]) -> dict[int, QuietMarks]:
        """Removes mail up to the entry given, of those who are still checked out with it.

        Returns the quiet marks of the partitions that are empty now; the others are looked at again, since a trim
        makes customers with more mail ready and wakes nobody.
        """
        items = []
        for key, entry in done.items():
            if entry is not None and self._last_entries.get(key) == entry:
                del self._last_entries[key]
                epoch = self._owned[key.partition]
                items.append(Trim(key.partition, epoch, key.team_id, key.customer_id, entry))
        if not items:
            return {}
        quiet = await self._mailbox.trim(items)
        self.wake({item.partition for item in items} - quiet.keys())
        return quiet

    def drop(self, partition: int) -> None:
        """Forgets everything of a partition."""
        self._woken.discard(partition)
        self._last_entries = {
            key: entry for key, entry in self._last_entries.items() if key.partition != partition
        }
