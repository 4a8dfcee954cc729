"""System triggers: customers enrolled through the API, by mail to their actors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from google.protobuf.message import Message

from libs.common.audit import recording
from libs.common.clock import Clock
from libs.common.db.audit import note_with
from libs.common.mailbox.mail import Mail
from services.journey.domain.lifecycle import trigger_refusal
from services.journey.domain.model import Journey
from services.journey.domain.views import SystemTriggerRow
from services.journey.store.journeys import JourneyStore
from services.journey.store.mail import Note

Reply = TypeVar("Reply", bound=Message)


class TriggerMail(Protocol):
    """Where triggers are recorded as mail."""

    async def append(
        self, team_id: UUID, triggers: Sequence[SystemTriggerRow], now: datetime, note: Note
    ) -> list[Mail]:
        """Records triggers of one team, each request key once; returns the mail of those that are new.

        Where there is any, `note` writes in the same transaction."""
        ...


class SystemTriggers:
    """Records what may be triggered now, and has it delivered."""

    def __init__(
        self,
        *,
        journeys: JourneyStore,
        mail: TriggerMail,
        clock: Clock,
        check_intake: Callable[[], None],
        deliver: Callable[[list[Mail]], None],
    ) -> None:
        """`check_intake` raises while too many triggers wait; `deliver` takes recorded mail to the mailboxes."""
        self._journeys = journeys
        self._mail = mail
        self._clock = clock
        self._check_intake = check_intake
        self._deliver = deliver

    async def trigger(
        self,
        request: Message,
        team_id: UUID,
        triggers: Sequence[SystemTriggerRow],
        reply: Callable[[Sequence[str]], Reply],
    ) -> Reply:
        """Takes triggers of one team; `reply` makes the answer of why each was refused, empty if it was accepted.

        The entry of the audit log is written with the mail; a repetition, which has none, leaves that to the guard.
        Raises ResourceExhausted while too many wait, then nothing is taken; Aborted `WRITE_CONFLICT` when another call
        records the same triggers.
        """
        self._check_intake()
        now = self._clock.now()
        refusals = await self._refusals(team_id, {trigger.journey_id for trigger in triggers}, now)
        accepted = [trigger for trigger in triggers if not refusals[trigger.journey_id]]
        answer = reply([refusals[trigger.journey_id] for trigger in triggers])
        if accepted:
            with recording() as running:
                mails = await self._mail.append(
                    team_id, accepted, now, lambda connection: note_with(connection, team_id, request, answer)
                )
                running.settled |= bool(mails)
            self._deliver(mails)
        return answer

    async def _refusals(self, team_id: UUID, journey_ids: Iterable[UUID], now: datetime) -> dict[UUID, str]:
        wanted = list(journey_ids)
        found: dict[UUID, Journey] = {
            journey.journey_id: journey for journey in await self._journeys.by_ids(team_id, wanted)
        }
        return {journey_id: trigger_refusal(found.get(journey_id), now) for journey_id in wanted}
