"""Actors as operators and callers meet them: leases, parked customers, orphans, and who may be triggered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from libs.common.db.pool import Pool, transaction
from libs.common.errors import NotFound
from libs.common.ids import partition_of
from libs.common.mailbox.api import Mailbox
from services.journey import records
from services.journey.clients import MailReader
from services.journey.domain.model import SystemTriggerKind
from services.journey.turn_store import BOOK, CustomerKey, TurnStore

NOT_THERE: Final = "RESOURCE_NOT_FOUND"
NOT_OPEN: Final = "STATUS_FORBIDS_ACTION"
NOT_SYSTEM: Final = "TRIGGER_MISMATCH"


class ParkedRow(NamedTuple):
    """A customer that was set aside."""

    customer_id: UUID
    error: str
    attempts: int
    parked_at: datetime


class Lease(NamedTuple):
    """Who owns a partition, until when (real time)."""

    owner: str
    epoch: int
    expires_at: datetime


class ActorStore:
    """Reads and heals what the worker left behind."""

    def __init__(
        self, pool: Pool, turns: TurnStore, mailbox: Mailbox, readers: Mapping[int, MailReader]
    ) -> None:
        """`readers` gives the repair read of each mail source."""
        self._pool = pool
        self._turns = turns
        self._mailbox = mailbox
        self._readers = readers

    async def trigger_faults(
        self, team_id: UUID, journey_ids: Iterable[UUID], now: datetime
    ) -> dict[UUID, str]:
        """Why each journey cannot be triggered by the system now; empty text if it can."""
        wanted = list(journey_ids)
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(BOOK["journeys_by_id"], wanted)
        faults = dict.fromkeys(wanted, NOT_THERE)
        for journey in map(records.journey_from, rows):
            if not isinstance(journey.definition.trigger, SystemTriggerKind):
                faults[journey.journey_id] = NOT_SYSTEM
            else:
                faults[journey.journey_id] = "" if journey.accepts(now) else NOT_OPEN
        return faults

    async def parked(self, team_id: UUID, after: UUID, limit: int) -> list[ParkedRow]:
        """A page of parked customers in order of their ids."""
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(BOOK["list_parked"], team_id, after, limit)
        return [ParkedRow(*row) for row in rows]

    async def unpark(self, team_id: UUID, customer_id: UUID) -> None:
        """Lets a customer's actor work again, with all mail that it has not taken. Raises NotFound."""
        key = CustomerKey(partition_of(team_id, customer_id), team_id, customer_id)
        async with transaction(self._pool, [team_id]) as connection:
            if not await connection.fetchval(BOOK["unpark_customer"], *key):
                raise NotFound.of("parked customer", customer_id)
        actor = (await self._turns.load([key])).actors[key]
        for source, reader in self._readers.items():
            mails = await reader.of_customer(team_id, customer_id, actor.taken.get(source, 0))
            await self._mailbox.deliver(mails)

    async def leases(self) -> dict[int, Lease]:
        """Lease by partition, as the table has it."""
        rows = await self._pool.fetch(BOOK["list_leases"])
        return {row["partition"]: Lease(row["owner"], row["epoch"], row["expires_at"]) for row in rows}

    async def count_orphans(self) -> int:
        """Live enrolments that rest for no reason."""
        return int(await self._pool.fetchval(BOOK["count_orphans"]))
