"""Taking over partitions: mailboxes that lost something are filled again from the sources."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from libs.common.mailbox.api import Mailbox
from libs.common.mailbox.errors import Fenced
from services.journey import metrics
from services.journey.clients.mail import MailReader
from services.journey.store.turns_protocol import TurnStorage

READS_AT_ONCE: Final = 16
"""Repair reads under way at once; more would only queue at the sources."""

_log = structlog.get_logger(__name__)


class MailboxRepair:
    """Claims partitions and delivers again what may be missing in their mailboxes."""

    def __init__(self, mailbox: Mailbox, store: TurnStorage, readers: Mapping[int, MailReader]) -> None:
        """`readers` gives the repair read of each mail source."""
        self._mailbox = mailbox
        self._store = store
        self._readers = readers

    async def take_over(self, leases: Mapping[int, int]) -> None:
        """Makes partitions (partition → epoch) ready to be worked on, for a new owner or after a loss.

        Where the mailboxes lost something, everything since the checkpoint is delivered again; actors drop what they
        have taken. Raises `Fenced`,
        `MailboxUnavailable`, `ServiceUnavailable` and the driver's errors: then try again.
        """
        pairs = sorted(leases.items())
        refused = await self._mailbox.claim(pairs)
        if refused.fenced:
            raise Fenced(refused.fenced)
        lost = {partition: leases[partition] for partition in refused.lost}
        count = await self._deliver_lost(lost) if lost else 0
        _log.info("partitions taken over", partitions=len(leases), repaired=len(lost), mails=count)

    async def _deliver_lost(self, lost: Mapping[int, int]) -> int:
        checkpoints = await self._store.checkpoints(lost)
        count = 0
        for source, reader in self._readers.items():
            positions = {partition: checkpoints.get((partition, source), 0) for partition in lost}
            count += await self._deliver_source(reader, positions)
        (await self._mailbox.repaired(sorted(lost.items()))).check()
        metrics.MAIL_REPAIRED.inc(count)
        return count

    async def _deliver_source(self, reader: MailReader, positions: Mapping[int, int]) -> int:
        """One source's mail, the first partition alone: if the source is away, one call fails and not all."""
        limit = asyncio.Semaphore(READS_AT_ONCE)
        (first, start), *others = positions.items()
        count = await self._deliver_again(limit, reader, first, start)
        counts = await asyncio.gather(
            *(self._deliver_again(limit, reader, partition, position) for partition, position in others)
        )
        return count + sum(counts)

    async def _deliver_again(
        self, limit: asyncio.Semaphore, reader: MailReader, partition: int, position: int
    ) -> int:
        count, more = 0, True
        async with limit:
            while more:
                mails, more = await reader.of_partition(partition, position)
                if mails:
                    await self._mailbox.deliver(mails)
                    position = mails[-1].position
                    count += len(mails)
        return count
