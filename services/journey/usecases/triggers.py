"""System triggers: customers enrolled through the API, by mail to their actors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol, TypeVar
from uuid import UUID

import msgspec
from google.protobuf.message import Message

from libs.common import tracing
from libs.common.audit import recording
from libs.common.callers import caller
from libs.common.clock import Clock
from libs.common.db.audit import note_with
from libs.common.mailbox.mail import Mail
from services.journey.clients.customers import CustomerDirectory
from services.journey.domain.lifecycle import NOT_FOUND, trigger_refusal
from services.journey.domain.model import Journey
from services.journey.domain.views import SystemTriggerRow
from services.journey.store.journeys import JourneyStore
from services.journey.store.mail import Appended, Note, Reused

Reply = TypeVar("Reply", bound=Message)


class Refused(NamedTuple):
    """Why a trigger is refused."""

    reason: str
    """A name of ErrorReason."""
    field: str
    """Of the trigger, that it is about."""


_REUSED: Final = Refused("REQUEST_ID_REUSED", "request_id")
_STRANGER: Final = Refused(NOT_FOUND, "customer_id")
_SPANS: Final = tracing.Spans("journey")


class TriggerMail(Protocol):
    """Where triggers are recorded as mail."""

    async def append(
        self, team_id: UUID, triggers: Sequence[SystemTriggerRow], now: datetime, note: Note
    ) -> Appended:
        """Records triggers of one team, each request key once. Where any is new, `note` writes in the same
        transaction."""
        ...

    async def recorded(self, team_id: UUID, triggers: Sequence[SystemTriggerRow]) -> set[UUID]:
        """Request keys of those of these triggers that are recorded."""
        ...


class SystemTriggers:
    """Records what may be triggered now, and has it delivered."""

    def __init__(
        self,
        *,
        journeys: JourneyStore,
        customers: CustomerDirectory,
        mail: TriggerMail,
        clock: Clock,
        check_intake: Callable[[], None],
        deliver: Callable[[list[Mail]], None],
    ) -> None:
        """`check_intake` raises while too many triggers wait; `deliver` takes recorded mail to the mailboxes."""
        self._journeys = journeys
        self._customers = customers
        self._mail = mail
        self._clock = clock
        self._check_intake = check_intake
        self._deliver = deliver

    async def trigger(
        self,
        request: Message,
        team_id: UUID,
        triggers: Sequence[SystemTriggerRow],
        reply: Callable[[Sequence[Refused | None]], Reply],
        shown: bytes | None = None,
    ) -> Reply:
        """Takes triggers of one team; `reply` makes the answer of why each was refused, None if it was accepted. The
        mail is on the trace `shown` by the caller, or on one of its own where it is sampled.

        The entry of the audit log is written with the mail; a repetition, which has none, leaves that to the guard.
        Raises ResourceExhausted while too many wait and Unavailable while nobody can say which customers there are,
        then nothing is taken; Aborted `WRITE_CONFLICT` when another call records the same triggers.
        """
        self._check_intake()
        refusals = await self._but_repeated(team_id, triggers, await self._refusals(team_id, triggers))
        accepted = [trigger for trigger, why in zip(triggers, refusals, strict=True) if not why]
        answer = reply(refusals)
        if not accepted:
            return answer

        def but(reused: Reused) -> Reply:
            if not reused:
                return answer
            pairs = zip(triggers, refusals, strict=True)
            return reply([why or (_REUSED if trigger in reused else None) for trigger, why in pairs])

        with recording() as running:
            mails, reused = await self._mail.append(
                team_id,
                accepted,
                self._clock.now(),
                lambda connection, reused: note_with(connection, team_id, request, but(reused)),
            )
            running.settled |= bool(mails)
        self._deliver([_traced(mail, shown) for mail in mails] if tracing.is_on() else mails)
        return but(reused)

    async def _refusals(self, team_id: UUID, triggers: Sequence[SystemTriggerRow]) -> list[Refused | None]:
        """Why each trigger is refused; what our own services ask for was looked at where it came in."""
        journeys = await self._of_journeys(team_id, {trigger.journey_id for trigger in triggers})
        named = {trigger.customer_id for trigger in triggers if not journeys[trigger.journey_id]}
        strangers: Collection[UUID] = ()
        if not caller().is_internal:
            strangers = await self._customers.strangers(team_id, named)
        return [
            journeys[trigger.journey_id] or (_STRANGER if trigger.customer_id in strangers else None)
            for trigger in triggers
        ]

    async def _but_repeated(
        self, team_id: UUID, triggers: Sequence[SystemTriggerRow], refusals: Sequence[Refused | None]
    ) -> Sequence[Refused | None]:
        """The refusals, but of what was accepted before: that is accepted again, whatever became of the journey."""
        refused = [trigger for trigger, why in zip(triggers, refusals, strict=True) if why]
        if not refused:
            return refusals
        recorded = await self._mail.recorded(team_id, refused)
        return [
            None if trigger.request_key in recorded else why
            for trigger, why in zip(triggers, refusals, strict=True)
        ]

    async def _of_journeys(self, team_id: UUID, journey_ids: Iterable[UUID]) -> dict[UUID, Refused | None]:
        wanted, now = list(journey_ids), self._clock.now()
        found: dict[UUID, Journey] = {
            journey.journey_id: journey
            for journey in await self._journeys.by_ids(team_id, wanted)
            if journey.deleted_at is None
        }
        reasons = {journey_id: trigger_refusal(found.get(journey_id), now) for journey_id in wanted}
        return {id_: Refused(reason, "journey_id") if reason else None for id_, reason in reasons.items()}


def _traced(mail: Mail, shown: bytes | None) -> Mail:
    """A mail, on the trace that a caller shows or on one of its own."""
    context = tracing.below(shown) if shown else tracing.sampled(mail.team_id.bytes, mail.event_id.bytes)
    if context is None:
        return mail
    attributes = {
        "team_id": str(mail.team_id),
        "customer_id": str(mail.customer_id),
        "event": type(mail.body).__name__,
    }
    _SPANS.write("journey.trigger", context, shown, tracing.now_ns(), attributes)
    return msgspec.structs.replace(mail, trace=context)
