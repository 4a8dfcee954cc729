"""Why customers entered a journey, or why not: their events read again, and judged by what is kept."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from libs.common.clock import Clock
from libs.common.errors import FieldViolation, NotFound, Unavailable
from libs.common.mailbox.mail import Mail, MailSource
from services.journey.clients.calls import ServiceUnavailable
from services.journey.clients.customers import CustomerDirectory
from services.journey.clients.mail import MailReader
from services.journey.domain.explain import NO_EVENT, Explained, explain, nodes_at_fault
from services.journey.domain.model import Journey, SystemTriggerKind
from services.journey.domain.turn import enrolment_id_of
from services.journey.domain.views import KeptStep
from services.journey.store.enrolments import EnrolmentStore
from services.journey.store.explain import ExplanationStore
from services.journey.store.journeys import JourneyStore
from services.journey.usecases.gate import Gate

_STARTING: Final = (MailSource.SEGMENT, MailSource.JOURNEY)
"""Whose mail may start journeys."""


class Entries(NamedTuple):
    """Events of a customer, newest first, and the mail number below which the next page begins; 0 at the end."""

    explained: Sequence[Explained]
    before: int


class Explanations:
    """Explains entries. Every call may raise NotFound, and Unavailable while a source of mail does not answer."""

    def __init__(
        self,
        journeys: JourneyStore,
        enrolments: EnrolmentStore,
        store: ExplanationStore,
        *,
        readers: Mapping[int, MailReader],
        customers: CustomerDirectory,
        gate: Gate,
        clock: Clock,
    ) -> None:
        """`readers` read mail of each source again, `customers` knows who there is, `gate` what is wrong with
        messages."""
        self._journeys = journeys
        self._enrolments = enrolments
        self._store = store
        self._readers = readers
        self._customers = customers
        self._gate = gate
        self._clock = clock

    async def page(
        self, team_id: UUID, journey_id: UUID, customer_id: UUID, *, before: int, size: int
    ) -> Entries:
        """What the newest `size` events with a mail number below `before` led to; 0 begins with the newest of all."""
        journey = await self._journeys.get(team_id, journey_id)
        source = _source_of(journey)
        last = before - 1 if before else (await self._store.taken(team_id, customer_id)).get(source, 0)
        mails: deque[Mail] = deque(maxlen=size)
        async for mail in self._read(source, team_id, customer_id, max(0, last - size)):
            if before and mail.number >= before:
                break
            mails.append(mail)
        if not mails:
            await self._require(team_id, customer_id)
            return Entries((), 0)
        might = [mail for mail in mails if getattr(mail.body, "end", None) is None]
        explained = await self._explained(journey, customer_id, might)
        first = mails[0].number
        return Entries(explained[::-1], first if first > 1 else 0)

    async def event(
        self, team_id: UUID, journey_id: UUID, customer_id: UUID, event_id: UUID
    ) -> Sequence[Explained]:
        """What one event led to, with the steps of the enrolment; of one that came to several things, each."""
        journey = await self._journeys.get(team_id, journey_id)
        own = _source_of(journey)
        for source in sorted(_STARTING, key=lambda each: each is not own):
            found = [m async for m in self._read(source, team_id, customer_id, 0) if m.event_id == event_id]
            if found:
                explained = await self._explained(journey, customer_id, found)
                return [await self._with_steps(journey, each) for each in explained]
        await self._require(team_id, customer_id)
        return [Explained(event_id, NO_EVENT)]

    async def _require(self, team_id: UUID, customer_id: UUID) -> None:
        """Raises NotFound for a customer who is not there."""
        if await self._customers.strangers(team_id, [customer_id]):
            raise NotFound.of("customer", customer_id)

    async def _explained(self, journey: Journey, customer_id: UUID, mails: Sequence[Mail]) -> list[Explained]:
        ids = [enrolment_id_of(journey.journey_id, customer_id, mail.event_id) for mail in mails]
        kept = await self._store.kept(journey, customer_id, ids, self._clock.now())
        return [explain(kept, mail) for mail in mails]

    async def message_faults(
        self, team_id: UUID, journey_id: UUID, steps: Sequence[KeptStep]
    ) -> list[FieldViolation]:
        """What is wrong now with the messages that failed in these steps for their content. Raises Unavailable."""
        nodes = nodes_at_fault(steps)
        if not nodes:
            return []
        journey = await self._journeys.get_deleted_too(team_id, journey_id)
        return await self._gate.message_faults(team_id, journey.definition, nodes)

    async def _with_steps(self, journey: Journey, explained: Explained) -> Explained:
        stored = explained.enrolment
        if stored is None:
            return explained
        steps = await self._enrolments.steps(stored)
        faults = await self.message_faults(journey.team_id, journey.journey_id, steps)
        return explained._replace(steps=steps, message_faults=faults)

    async def _read(self, source: int, team_id: UUID, customer_id: UUID, after: int) -> AsyncIterator[Mail]:
        """A customer's mail after a number, by number."""
        more = True
        while more:
            try:
                mails, more = await self._readers[source].of_customer(team_id, customer_id, after)
            except ServiceUnavailable as error:
                raise Unavailable.dependency(MailSource(source).name.lower()) from error
            for mail in mails:
                yield mail
            if not mails:
                return
            after = mails[-1].number


def _source_of(journey: Journey) -> MailSource:
    """Whose mail may start the journey."""
    by_call = isinstance(journey.definition.trigger, SystemTriggerKind)
    return MailSource.JOURNEY if by_call else MailSource.SEGMENT
