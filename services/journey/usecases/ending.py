"""Ends one enrolment where its customer stands, on request of a person (ADR 47).

It is mail to the customer's actor, like everything that an enrolment hears of: so it meets no turn half-way, and what a
turn has done before it is told. Who asks is answered when the actor has read it and nothing of the enrolment can leave
any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, TypeVar
from uuid import UUID

import structlog
from google.protobuf.message import Message

from libs.common.backoff import Backoff
from libs.common.clock import Clock
from libs.common.db.pool import Pool, transaction
from libs.common.db.requests import answer_after
from libs.common.errors import Aborted, FailedPrecondition, NotFound, Unavailable
from libs.common.ids import derived_id
from libs.common.logging import about
from libs.common.mailbox.mail import Mail
from services.journey.clients.calls import ServiceUnavailable
from services.journey.clients.sends import SendCanceller
from services.journey.domain.effects import send_key
from services.journey.domain.enrolment import EnrolmentState, StepResult, WaitReason
from services.journey.domain.parked import ending_turn
from services.journey.domain.views import EndRow, StoredEnrolment
from services.journey.domain.walk import ENROLMENT_ENDED
from services.journey.store.enrolments import EnrolmentStore
from services.journey.store.mail import JourneyMailStore
from services.journey.store.parked import ParkedStore, actor_key
from services.journey.usecases.write import Call

ANSWER_S: Final = 9.0
"""How long a person waits, real seconds, within the 10 that callers give a call."""
_LOOKS: Final = Backoff(0.01, 0.2)
"""How often it is looked how far the actor is."""
_GOES_ON: Final = (EnrolmentState.LIVE, EnrolmentState.PARKED)

Reply = TypeVar("Reply", bound=Message)

_log = structlog.get_logger(__name__)


class EndedEnrolments:
    """Ends enrolments, one a call."""

    def __init__(
        self,
        pool: Pool,
        *,
        enrolments: EnrolmentStore,
        mail: JourneyMailStore,
        sends: SendCanceller,
        clock: Clock,
        check_intake: Callable[[], None],
        deliver: Callable[[list[Mail]], None],
        changed: Callable[[], None],
        answer_s: float = ANSWER_S,
    ) -> None:
        """`check_intake` raises while too much mail waits; `deliver` takes recorded mail to the mailboxes; `changed` is
        called when history was written."""
        self._pool = pool
        self._enrolments = enrolments
        self._parked = ParkedStore(pool)
        self._mail = mail
        self._sends = sends
        self._clock = clock
        self._check_intake = check_intake
        self._deliver = deliver
        self._changed = changed
        self._answer_s = answer_s

    async def end(self, call: Call[StoredEnrolment, Reply], enrolment_id: UUID, note: str) -> Reply:
        """Ends one. A repeated call goes on where the first was broken off.

        Raises NotFound, FailedPrecondition `ENROLMENT_ENDED` where it ended otherwise, ResourceExhausted while too much
        mail waits, Unavailable while its actor or the gateway does not get to it, Aborted where nobody acted on it.
        """

        async def work() -> Reply:
            return call.reply(await self._end(call, enrolment_id, note))

        return await answer_after(self._pool, call.team_id, call.request, call.form, work)

    async def take_out(self, found: StoredEnrolment) -> None:
        """Has an enrolment of a person who is erased end, without waiting for it. To be called again until it has
        ended: nothing happens twice.

        Raises ResourceExhausted while too much mail waits, Unavailable while the gateway does not answer.
        """
        enrolment = found.enrolment
        team_id, enrolment_id = enrolment.team_id, enrolment.enrolment_id
        end = EndRow(enrolment.customer_id, enrolment_id, derived_id(enrolment_id, "erased"), "")
        self._check_intake()
        self._deliver(await self._mail.append_end(team_id, end, self._clock.now()))
        heard = await self._mail.find_end(team_id, end.request_key)
        if heard is not None and heard.parked and await self._ended_aside(team_id, end):
            return
        if heard is not None and heard.taken and enrolment.wait is WaitReason.SEND:
            await self._take_back(found)

    async def _end(
        self, call: Call[StoredEnrolment, Reply], enrolment_id: UUID, note: str
    ) -> StoredEnrolment:
        found = await self._enrolments.get(call.team_id, enrolment_id)
        end = EndRow(
            found.enrolment.customer_id,
            enrolment_id,
            derived_id(enrolment_id, f"end:{call.request.request_id}"),
            note,
        )
        if found.enrolment.state in _GOES_ON:
            call.note_before(found)
            self._check_intake()
            self._deliver(await self._mail.append_end(call.team_id, end, self._clock.now()))
        elif await self._mail.find_end(call.team_id, end.request_key) is None:
            raise _ended_before(found)
        looks = _Looks(self._answer_s)
        await self._until_heard(call.team_id, end, looks)
        return await self._until_over(call.team_id, enrolment_id, looks)

    async def _until_heard(self, team_id: UUID, end: EndRow, looks: _Looks) -> None:
        """Waits for the actor; of a customer who is set aside, whose actor reads nothing, it is done here."""
        while (heard := await self._mail.find_end(team_id, end.request_key)) is None or not heard.taken:
            if heard is not None and heard.parked and await self._ended_aside(team_id, end):
                return
            await looks.wait("actor")

    async def _ended_aside(self, team_id: UUID, end: EndRow) -> bool:
        """Ends an enrolment of a customer who is set aside; False if they are not any more."""
        key = actor_key(team_id, end.customer_id)
        try:
            async with transaction(self._pool, [team_id]) as connection:
                state = await self._parked.hold(connection, key)
                now = self._clock.now()
                turn = ending_turn(state.actors[key], state.enrolments[key], end.enrolment_id, end.note, now)
                if turn is not None:
                    await self._parked.write(connection, key, turn, state, now)
        except NotFound:
            return False
        self._changed()
        return True

    async def _until_over(self, team_id: UUID, enrolment_id: UUID, looks: _Looks) -> StoredEnrolment:
        """The enrolment when nothing of it can leave any more."""
        found = await self._enrolments.get(team_id, enrolment_id)
        if not await self._was_ended(found):
            if found.enrolment.state in _GOES_ON:
                raise Aborted.write_conflict("nobody acted on it: ask again with another request_id")
            raise _ended_before(found)
        if found.enrolment.wait is WaitReason.SEND:
            await self._take_back(found)
        while found.enrolment.state is EnrolmentState.LIVE:
            await looks.wait("channel")
            found = await self._enrolments.get(team_id, enrolment_id)
        return found

    async def _was_ended(self, found: StoredEnrolment) -> bool:
        steps = await self._enrolments.steps(found)
        return any(
            kept.step.result is StepResult.HALTED and kept.step.detail == ENROLMENT_ENDED for kept in steps
        )

    async def _take_back(self, found: StoredEnrolment) -> None:
        """Has the gateway cancel the message that is with it. Raises Unavailable."""
        enrolment = found.enrolment
        try:
            await self._sends.cancel_send(enrolment.team_id, send_key(enrolment))
        except ServiceUnavailable as error:
            _log.warning("a send is not taken back yet", error=str(error), **about(enrolment))
            raise Unavailable.dependency("channel_gateway") from error


class _Looks:
    """Looks of one call at how far others are, up to a moment."""

    def __init__(self, for_s: float) -> None:
        self._until_s = time.monotonic() + for_s
        self._count = 0

    async def wait(self, for_whom: str) -> None:
        """Until the next look. Raises Unavailable when there is no time left."""
        if time.monotonic() >= self._until_s:
            raise Unavailable.dependency(for_whom)
        self._count += 1
        await asyncio.sleep(_LOOKS.delay_s(self._count))


def _ended_before(found: StoredEnrolment) -> FailedPrecondition:
    state = found.enrolment.state.name
    return FailedPrecondition(
        ENROLMENT_ENDED, f"the enrolment has ended: it is {state}", metadata={"state": state}
    )
