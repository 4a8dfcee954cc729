"""A segment that can be told what to answer, and the work on audience triggers step by step."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from uuid import UUID

from libs.common.db.pool import transaction
from libs.common.ids import new_id
from libs.common.mailbox.mail import Mail
from libs.testing.mails import TEAM
from services.journey.clients.audiences import Members
from services.journey.clients.calls import ServiceUnavailable
from services.journey.domain.audience_trigger import (
    AskedAudienceTrigger,
    StoredAudienceTrigger,
)
from services.journey.store.audience_triggers import AudienceTriggerKey, AudienceTriggerStore
from services.journey.store.mail import JourneyMailStore
from services.journey.worker.audience_triggers import AudienceTriggering
from tests.integration.journey.conftest import START, Site

FAST = 2_000


class Killed(BaseException):
    """Stands for the end of the process: nothing of ours catches it."""


class Segment:
    """Customers in an audience, in parts; may break off between two, be away, or refuse."""

    def __init__(self, count: int) -> None:
        self.customers = sorted(new_id() for _ in range(count))
        self.part = 100
        self.breaks_after: int | None = None
        self.away: Exception | None = None
        self.asked_after: list[UUID | None] = []

    async def saved(self, team_id: UUID, audience_id: UUID) -> bytes:
        """See `Audiences`."""
        return b""

    async def members(
        self, team_id: UUID, audience: bytes, after: UUID | None
    ) -> AsyncGenerator[Members, None]:
        """See `Audiences`."""
        self.asked_after.append(after)
        if self.away is not None:
            raise self.away
        left = [each for each in self.customers if after is None or each > after]
        for number, part in enumerate(_parts(left, self.part)):
            if self.breaks_after is not None and number >= self.breaks_after:
                raise ServiceUnavailable("segment was killed")
            yield Members(part, part[-1])


def _parts(customers: Sequence[UUID], size: int) -> list[Sequence[UUID]]:
    return [customers[start : start + size] for start in range(0, len(customers), size)]


class Work:
    """One journey that calls start, an audience, and whoever takes steps."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.store = AudienceTriggerStore(site.pool)
        self.mail = JourneyMailStore(site.pool)
        self.segment = Segment(1_250)
        self.delivered: list[Mail] = []
        self.journey_id = UUID(int=100)

    def triggering(self) -> AudienceTriggering:
        """A process that takes steps."""
        return AudienceTriggering(
            store=self.store,
            journeys=self.site.journeys,
            audiences=self.segment,
            mail=self.mail,
            clock=self.site.clock,
            check_intake=lambda: None,
            deliver=self.delivered.extend,
        )

    async def ask(self, rate: int = FAST) -> AudienceTriggerKey:
        """One that waits."""
        asked = AskedAudienceTrigger(TEAM, new_id(), self.journey_id, new_id(), b"", rate)
        async with transaction(self.store.pool, [TEAM]) as connection:
            await self.store.insert(connection, asked, START)
        return TEAM, asked.operation_id

    async def due(self) -> None:
        """What is claimed or waits is due: the claim of whoever was killed is over."""
        async with transaction(self.store.pool, [TEAM]) as connection:
            await connection.execute("UPDATE audience_trigger SET due_at = clock_timestamp()")

    async def found(self, key: AudienceTriggerKey) -> StoredAudienceTrigger:
        """Takes steps until all customers are found."""
        while not (await self.store.read(key)).found_all:
            await self.due()
            await self.triggering().step()
        return await self.store.read(key)

    async def keys(self) -> list[UUID]:
        """Request keys of all mail that was recorded."""
        async with transaction(self.store.pool, [TEAM]) as connection:
            return [row["request_key"] for row in await connection.fetch("SELECT request_key FROM mail")]

    async def customers_mailed(self) -> list[UUID]:
        """Customers of all mail that was recorded, in order."""
        async with transaction(self.store.pool, [TEAM]) as connection:
            rows = await connection.fetch("SELECT customer_id FROM mail ORDER BY customer_id")
        return [row["customer_id"] for row in rows]

    async def take_all(self) -> None:
        """What the actors do with their mail, as far as outcomes go: they take it."""
        async with transaction(self.store.pool, [TEAM]) as connection:
            await connection.execute(
                "INSERT INTO actor (partition, team_id, customer_id, taken_journey)"
                " SELECT partition, team_id, customer_id, max(number) FROM mail GROUP BY 1, 2, 3"
                " ON CONFLICT (partition, team_id, customer_id) DO UPDATE SET taken_journey = excluded.taken_journey"
            )

    async def to_its_end(self, key: AudienceTriggerKey) -> StoredAudienceTrigger:
        """Takes steps, and the actors their mail, until it has ended."""
        for _ in range(200):
            await self.due()
            await self.triggering().step()
            await self.take_all()
            found = await self.store.read(key)
            if found.state.has_ended:
                return found
        raise AssertionError("it does not end")
