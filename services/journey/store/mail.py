"""The SQL of the mail that this service numbers: system triggers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.db.history import allocate, count_by_partition, read_page
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.db.reading import read_rows
from libs.common.errors import Aborted
from libs.common.feeds.serving import MailPage
from libs.common.ids import partition_of
from libs.common.mailbox.mail import Mail, MailSource, SystemTrigger, with_sound_time
from services.journey.domain.views import SystemTriggerRow
from services.journey.store.book import BOOK

Note = Callable[[Connection], Awaitable[None]]
"""Writes what belongs to mail in its transaction."""


class JourneyMailStore:
    """Mail that this service numbers: system triggers. What the relay reads, and what the RPCs write."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def append(
        self, team_id: UUID, triggers: Sequence[SystemTriggerRow], now: datetime, note: Note | None = None
    ) -> list[Mail]:
        """Records triggers of one team, each request key once; returns the mail of those that are new.

        Where there is any, `note` writes in the same transaction."""
        async with transaction(self._pool, [team_id]) as connection:
            mails = await self.append_within(connection, team_id, triggers, now)
            if mails and note is not None:
                await note(connection)
        return mails

    async def append_within(
        self, connection: Connection, team_id: UUID, triggers: Sequence[SystemTriggerRow], now: datetime
    ) -> list[Mail]:
        """The same in the caller's transaction, last but for its notes: it locks heads of the history."""
        recorded = await self._recorded(connection, team_id, triggers)
        fresh = list({t.request_key: t for t in triggers if t.request_key not in recorded}.values())
        if not fresh:
            return []
        numbers = await self._numbers(connection, team_id, fresh)
        # Another transaction may have recorded the same key meanwhile: looked at again while the counters are held.
        if await self._recorded(connection, team_id, fresh):
            raise Aborted.write_conflict("other calls record the same triggers: ask again")
        partitions = [partition_of(team_id, trigger.customer_id) for trigger in fresh]
        following = await allocate(connection, count_by_partition(partitions))
        mails = []
        for trigger, partition in zip(fresh, partitions, strict=True):
            number = next(numbers[trigger.customer_id])
            position = following[partition]
            mails.append(_mail(team_id, trigger, now, partition=partition, position=position, number=number))
            following[partition] += 1
        await self._insert(connection, mails)
        return mails

    async def _recorded(
        self, connection: Connection, team_id: UUID, triggers: Sequence[SystemTriggerRow]
    ) -> set[UUID]:
        """Request keys of these triggers that have mail already."""
        keys = [trigger.request_key for trigger in triggers]
        rows = await connection.fetch(*BOOK.bind("recorded_triggers", team_id=team_id, request_keys=keys))
        return {row["request_key"] for row in rows}

    async def customers_of_triggers(
        self, team_id: UUID, journey_id: UUID, request_keys: Sequence[UUID]
    ) -> dict[UUID, UUID]:
        """Whom each of these triggers of a journey is of; those that have no mail are left out."""
        keys = list(request_keys)
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(
                *BOOK.bind("customers_of_triggers", team_id=team_id, journey_id=journey_id, request_keys=keys)
            )
        return dict(rows)

    async def _numbers(
        self, connection: Connection, team_id: UUID, triggers: Sequence[SystemTriggerRow]
    ) -> dict[UUID, Iterator[int]]:
        counts: dict[UUID, int] = {}
        for trigger in triggers:
            counts[trigger.customer_id] = counts.get(trigger.customer_id, 0) + 1
        rows = await connection.fetch(
            *BOOK.bind(
                "next_mail_numbers",
                team_id=team_id,
                customer_ids=list(counts),
                counts=list(counts.values()),
            )
        )
        return {
            row["customer_id"]: iter(range(row["number"] - counts[row["customer_id"]] + 1, row["number"] + 1))
            for row in rows
        }

    async def _insert(self, connection: Connection, mails: Sequence[Mail]) -> None:
        rows = [
            (
                *(mail.partition, mail.position, mail.team_id, mail.customer_id, mail.number),
                *(mail.event_id, _trigger_of(mail).journey_id, mail.occurred_at),
            )
            for mail in mails
        ]
        await connection.execute(*BOOK.bind("append_mail", rows=rows))

    async def recorded(self, team_id: UUID, triggers: Sequence[SystemTriggerRow]) -> set[UUID]:
        """Request keys of those of these triggers that have mail."""
        async with transaction(self._pool, [team_id]) as connection:
            return await self._recorded(connection, team_id, triggers)

    async def fetch_after(self, cursors: Mapping[int, int], limit: int) -> list[Mail]:
        """See `MailStore` of the relay."""
        rows, _ = await read_page(self._pool, "mail", cursors, limit)
        return [_mail_from(row) for row in rows]

    async def of_customer(
        self, team_id: UUID, customer_id: UUID, after_number: int, limit: int = 500
    ) -> MailPage:
        """Mail of a customer after a number."""
        async with transaction(self._pool, [team_id]) as connection:
            rows = await read_rows(
                connection,
                *BOOK.bind(
                    "mail_of_customer",
                    team_id=team_id,
                    customer_id=customer_id,
                    after=after_number,
                    limit=limit,
                ),
            )
        return MailPage([_mail_from(row) for row in rows], more=len(rows) == limit)

    async def of_partition(self, partition: int, after_position: int, limit: int = 500) -> MailPage:
        """The next page of a partition's mail."""
        mails = await self.fetch_after({partition: after_position}, limit)
        return MailPage(mails, more=len(mails) == limit)

    async def load_cursors(self) -> dict[int, int]:
        """See `MailStore` of the relay."""
        return dict(await self._pool.fetch(BOOK["load_mail_cursors"]))

    async def save_cursors(self, cursors: Mapping[int, int]) -> None:
        """See `MailStore` of the relay."""
        await self._pool.execute(
            *BOOK.bind("save_mail_cursors", partitions=list(cursors.keys()), positions=list(cursors.values()))
        )


def _mail(
    team_id: UUID, trigger: SystemTriggerRow, now: datetime, *, partition: int, position: int, number: int
) -> Mail:
    return Mail(
        source=MailSource.JOURNEY,
        number=number,
        position=position,
        partition=partition,
        team_id=team_id,
        customer_id=trigger.customer_id,
        event_id=trigger.request_key,
        occurred_at=now,
        depth=0,
        body=SystemTrigger(trigger.journey_id, trigger.request_key),
    )


def _mail_from(row: Mapping[str, Any]) -> Mail:
    trigger = SystemTriggerRow(row["customer_id"], row["journey_id"], row["request_key"])
    mail = _mail(
        row["team_id"],
        trigger,
        row["occurred_at"],
        partition=row["partition"],
        position=row["position"],
        number=row["number"],
    )
    return with_sound_time(mail)


def _trigger_of(mail: Mail) -> SystemTrigger:
    assert isinstance(mail.body, SystemTrigger)
    return mail.body
