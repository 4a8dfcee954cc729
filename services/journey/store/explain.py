"""The SQL of explanations: what is kept of a customer and a journey."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from msgspec.structs import replace

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.db.reading import read_alone
from libs.common.ids import partition_of
from services.journey.domain.explain import DroppedMail, Kept, StatusChange
from services.journey.domain.model import ActorKey, Journey, JourneyStatus, StatusReason
from services.journey.store import codec
from services.journey.store.book import BOOK
from services.journey.store.enrolments import stored_enrolment
from services.journey.store.turn_loads import load_turns


class ExplanationStore:
    """Reads what explanations are made of."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def taken(self, team_id: UUID, customer_id: UUID) -> dict[int, int]:
        """The last mail that the customer's actor has taken of each source."""
        key = ActorKey(partition_of(team_id, customer_id), team_id, customer_id)
        loaded = await load_turns(partial(read_alone, self._pool), [key])
        return dict(loaded.actors[key].taken)

    async def kept(
        self, journey: Journey, customer_id: UUID, enrolment_ids: Sequence[UUID], now: datetime
    ) -> Kept:
        """What is kept of a customer in a journey; `enrolment_ids` are what the events in question may have led to.

        How far mail is taken is read first: what is taken then has its enrolment, or has none for good.
        """
        team_id, journey_id = journey.team_id, journey.journey_id
        taken = await self.taken(team_id, customer_id)
        whose = {"team_id": team_id, "customer_id": customer_id}
        actor = {"partition": partition_of(team_id, customer_id), **whose}
        async with transaction(self._pool, [team_id]) as connection:
            parked = await connection.fetchrow(*BOOK.bind("list_one_parked", **actor))
            dropped = await connection.fetch(*BOOK.bind("dropped_mail_of_customer", **whose))
            found = await connection.fetch(
                *BOOK.bind("enrolments_by_id", enrolment_ids=list(enrolment_ids), **actor)
            )
            entries = await connection.fetchval(*BOOK.bind("count_entries", journey_id=journey_id, **actor))
            crowded = await connection.fetch(
                *BOOK.bind("live_refusals_of_customer", journey_id=journey_id, **whose)
            )
            changes = await _changes(connection, journey)
            journey = await _as_it_ran(connection, journey, changes)
        return Kept(
            journey,
            changes,
            taken,
            parked["parked_at"] if parked else None,
            [DroppedMail(*row) for row in dropped],
            {row["enrolment_id"]: stored_enrolment(row) for row in found},
            entries,
            now,
            frozenset((row["source"], row["number"]) for row in crowded),
        )


async def _changes(connection: Connection, journey: Journey) -> list[StatusChange]:
    query = BOOK.bind("status_changes", team_id=journey.team_id, journey_id=journey.journey_id)
    return [
        StatusChange(at, JourneyStatus(before), JourneyStatus(after), StatusReason(reason))
        for at, before, after, reason in await connection.fetch(*query)
    ]


async def _as_it_ran(connection: Connection, journey: Journey, changes: Sequence[StatusChange]) -> Journey:
    """The journey with the definition by which it ran: once it has stopped, its active time may be edited."""
    stopped_at = next((each.at for each in changes if each.after is JourneyStatus.STOPPED), None)
    if stopped_at is None:
        return journey
    ids = {"team_id": journey.team_id, "journey_id": journey.journey_id}
    text = await connection.fetchval(*BOOK.bind("definition_of_instant", at=stopped_at, **ids))
    return journey if text is None else replace(journey, definition=codec.read_definition(text))
