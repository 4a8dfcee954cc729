"""The SQL of the mail that this service numbers: system triggers, and enrolments that people end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Container, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from libs.common.db.history import allocate, count_by_partition, read_page
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.db.reading import read_rows
from libs.common.errors import Aborted
from libs.common.feeds.serving import MailPage
from libs.common.ids import partition_of
from libs.common.mailbox.mail import End, Mail, MailSource, SystemTrigger, with_sound_time
from libs.common.retention import Cutoffs
from services.journey.domain.enrolment import Enrolment
from services.journey.domain.views import EndRow, SystemTriggerRow
from services.journey.store.book import BOOK

Reused = Collection[SystemTriggerRow]
"""Triggers whose request key stands for another customer, journey or data."""
Note = Callable[[Connection, Reused], Awaitable[None]]
"""Writes what belongs to mail in its transaction, given the triggers that were left out as reused."""
NO_JOURNEY: Final = UUID(int=0)
Asked = TypeVar("Asked", SystemTriggerRow, EndRow)
_FORGOTTEN: Final = "{}"
"""Stands in the place of data that are not kept any more."""
_DATA: Final = msgspec.json.Decoder(dict[str, str])


class _Place(NamedTuple):
    """Where a mail stands: in the history of its partition, and among those of its customer."""

    partition: int
    position: int
    number: int


class Appended(NamedTuple):
    """What became of triggers."""

    mails: list[Mail]
    """Of those that are new."""
    reused: Reused


class _Recorded(NamedTuple):
    """What the mail of a request key says."""

    customer_id: UUID
    journey_id: UUID
    data: str | None
    """As JSON; None: there was none. An empty object: it is not kept any more."""

    def is_of(self, trigger: SystemTriggerRow) -> bool:
        """Whether it is what the trigger asks for; of data that are not kept any more nobody knows."""
        return (self.customer_id, self.journey_id) == (trigger.customer_id, trigger.journey_id) and (
            self.data == _FORGOTTEN or _read_data(self.data) == dict(trigger.data)
        )


class Heard(NamedTuple):
    """How far a mail is."""

    taken: bool
    """The customer's actor has acted on it."""
    parked: bool
    """The customer is set aside."""


class JourneyMailStore:
    """Mail that this service numbers: system triggers and ends. What the relay reads, and what the RPCs write."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def append(
        self, team_id: UUID, triggers: Sequence[SystemTriggerRow], now: datetime, note: Note | None = None
    ) -> Appended:
        """Records triggers of one team, each request key once. Where any is new, `note` writes in the same
        transaction."""
        async with transaction(self._pool, [team_id]) as connection:
            triggers, recorded = await self._known(connection, team_id, triggers)
            reused = _reused(triggers, recorded)
            mails = await self._append(connection, team_id, triggers, recorded, now)
            if mails and note is not None:
                await note(connection, reused)
        return Appended(mails, reused)

    async def append_within(
        self, connection: Connection, team_id: UUID, triggers: Sequence[SystemTriggerRow], now: datetime
    ) -> list[Mail]:
        """The same in the caller's transaction, last but for its notes: it locks heads of the history."""
        triggers, recorded = await self._known(connection, team_id, triggers)
        return await self._append(connection, team_id, triggers, recorded, now)

    async def _append(
        self,
        connection: Connection,
        team_id: UUID,
        triggers: Sequence[SystemTriggerRow],
        recorded: Container[UUID],
        now: datetime,
    ) -> list[Mail]:
        placed = await self._placed(connection, team_id, triggers, recorded)
        mails = [_mail(team_id, trigger, _trigger(trigger), now, place) for trigger, place in placed]
        if mails:
            await self._insert(connection, mails)
        return mails

    async def append_end(self, team_id: UUID, end: EndRow, now: datetime) -> list[Mail]:
        """Records once that an enrolment is to be ended; returns its mail if it is new. Raises Aborted as `append`."""
        async with transaction(self._pool, [team_id]) as connection:
            asked, recorded = await self._known(connection, team_id, [end])
            placed = await self._placed(connection, team_id, asked, recorded)
            for each, place in placed:
                await connection.execute(
                    *BOOK.bind(
                        "append_end",
                        team_id=team_id,
                        no_journey=NO_JOURNEY,
                        occurred_at=now,
                        **place._asdict(),
                        **each._asdict(),
                    )
                )
        return [_mail(team_id, each, _end(each), now, place) for each, place in placed]

    async def find_end(self, team_id: UUID, request_key: UUID) -> Heard | None:
        """How far the mail of a request is that ends an enrolment, None if there is none."""
        async with transaction(self._pool, [team_id]) as connection:
            row = await connection.fetchrow(*BOOK.bind("find_end", team_id=team_id, request_key=request_key))
        return None if row is None else Heard(*row)

    async def _placed(
        self, connection: Connection, team_id: UUID, asked: Sequence[Asked], recorded: Container[UUID]
    ) -> list[tuple[Asked, _Place]]:
        """Those that have no mail, the first of each request key, with their places; counters and partitions stay
        locked."""
        firsts: dict[UUID, Asked] = {}
        for each in asked:
            if each.request_key not in recorded:
                firsts.setdefault(each.request_key, each)
        fresh = list(firsts.values())
        if not fresh:
            return []
        numbers = await self._numbers(connection, team_id, fresh)
        # Another transaction may have recorded the same key meanwhile, or merged a customer: looked at again while the
        # counters are held.
        if await self._changed(connection, team_id, fresh):
            raise Aborted.write_conflict("other calls record the same triggers: ask again")
        partitions = [partition_of(team_id, each.customer_id) for each in fresh]
        following = await allocate(connection, count_by_partition(partitions))
        placed = []
        for each, partition in zip(fresh, partitions, strict=True):
            place = _Place(partition, following[partition], next(numbers[each.customer_id]))
            placed.append((each, place))
            following[partition] += 1
        return placed

    async def _known(
        self, connection: Connection, team_id: UUID, asked: Sequence[Asked]
    ) -> tuple[Sequence[Asked], dict[UUID, _Recorded]]:
        """What is asked, of whom customers who were merged are now; and those of it that have mail already."""
        ids = list({each.customer_id for each in asked})
        rows = await connection.fetch(*BOOK.bind("merged_among", team_id=team_id, customer_ids=ids))
        recorded = await self._recorded(connection, team_id, asked)
        merged: dict[UUID, UUID] = dict(rows)
        if merged:
            asked = [
                each._replace(customer_id=merged.get(each.customer_id, each.customer_id)) for each in asked
            ]
            recorded = {
                key: each._replace(customer_id=merged.get(each.customer_id, each.customer_id))
                for key, each in recorded.items()
            }
        return asked, recorded

    async def _changed(self, connection: Connection, team_id: UUID, fresh: Sequence[Asked]) -> bool:
        query = BOOK.bind(
            "any_recorded_or_merged",
            team_id=team_id,
            request_keys=[each.request_key for each in fresh],
            customer_ids=list({each.customer_id for each in fresh}),
        )
        return bool(await connection.fetchval(*query))

    async def _recorded(
        self, connection: Connection, team_id: UUID, asked: Sequence[SystemTriggerRow] | Sequence[EndRow]
    ) -> dict[UUID, _Recorded]:
        """Those of these that have mail already, by their request keys."""
        keys = [each.request_key for each in asked]
        rows = await connection.fetch(*BOOK.bind("recorded_triggers", team_id=team_id, request_keys=keys))
        return {key: _Recorded(*row) for key, *row in rows}

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
        self, connection: Connection, team_id: UUID, asked: Sequence[SystemTriggerRow] | Sequence[EndRow]
    ) -> dict[UUID, Iterator[int]]:
        counts: dict[UUID, int] = {}
        for each in asked:
            counts[each.customer_id] = counts.get(each.customer_id, 0) + 1
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
        data = [_data_text(_trigger_of(mail).data) for mail in mails]
        if any(data):
            await connection.execute(*BOOK.bind("append_mail_with_data", rows=rows, data=data))
        else:
            await connection.execute(*BOOK.bind("append_mail", rows=rows))

    async def recorded(self, team_id: UUID, triggers: Sequence[SystemTriggerRow]) -> set[UUID]:
        """Request keys of those of these triggers that have mail."""
        async with transaction(self._pool, [team_id]) as connection:
            return set(await self._recorded(connection, team_id, triggers))

    async def data_of(self, enrolment: Enrolment) -> dict[str, str]:
        """What the trigger that let somebody in came with, as far as it is kept; empty for other events."""
        ids = {"team_id": enrolment.team_id, "request_key": enrolment.trigger_event_id}
        async with transaction(self._pool, [enrolment.team_id]) as connection:
            text = await connection.fetchval(*BOOK.bind("data_of_trigger", **ids))
        return _read_data(text)

    async def forget_data(self, cutoffs: Cutoffs, row_max: int) -> int:
        """Removes data of up to `row_max` worked triggers that occurred before their cutoff; of how many."""
        forgotten: int = await self._pool.fetchval(
            *BOOK.bind("forget_trigger_data", **cutoffs._asdict(), row_max=row_max)
        )
        return forgotten

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


def _reused(triggers: Sequence[SystemTriggerRow], recorded: Mapping[UUID, _Recorded]) -> Reused:
    """Those whose request key stands for something else, in mail or earlier in the same call."""
    reused: set[SystemTriggerRow] = set()
    firsts: dict[UUID, SystemTriggerRow] = {}
    for trigger in triggers:
        first = firsts.setdefault(trigger.request_key, trigger)
        known = recorded.get(trigger.request_key)
        if not (first == trigger if known is None else known.is_of(trigger)):
            reused.add(trigger)
    return reused


def _data_text(data: Mapping[str, str] | None) -> str | None:
    return msgspec.json.encode(data).decode() if data else None


def _read_data(text: str | None) -> dict[str, str]:
    return _DATA.decode(text) if text else {}


def _trigger(trigger: SystemTriggerRow) -> SystemTrigger:
    return SystemTrigger(trigger.journey_id, trigger.request_key, data=dict(trigger.data) or None)


def _end(end: EndRow) -> SystemTrigger:
    return SystemTrigger(NO_JOURNEY, end.request_key, End(end.enrolment_id, end.note))


def _mail(
    team_id: UUID, asked: SystemTriggerRow | EndRow, body: SystemTrigger, now: datetime, place: _Place
) -> Mail:
    return Mail(
        source=MailSource.JOURNEY,
        number=place.number,
        position=place.position,
        partition=place.partition,
        team_id=team_id,
        customer_id=asked.customer_id,
        event_id=asked.request_key,
        occurred_at=now,
        depth=0,
        body=body,
    )


def _mail_from(row: Mapping[str, Any]) -> Mail:
    place = _Place(row["partition"], row["position"], row["number"])
    mail = _mail(row["team_id"], *_asked_of(row), row["occurred_at"], place)
    return with_sound_time(mail)


def _asked_of(row: Mapping[str, Any]) -> tuple[SystemTriggerRow | EndRow, SystemTrigger]:
    customer_id, ends, key = row["customer_id"], row["ends_enrolment_id"], row["request_key"]
    if ends is not None:
        end = EndRow(customer_id, ends, key, row["note"])
        return end, _end(end)
    data = tuple(sorted(_read_data(row["data"]).items()))
    trigger = SystemTriggerRow(customer_id, row["journey_id"], key, data)
    return trigger, _trigger(trigger)


def _trigger_of(mail: Mail) -> SystemTrigger:
    assert isinstance(mail.body, SystemTrigger)
    return mail.body
