"""Takes the steps of audience triggers: finds customers, triggers some at a pace, counts what became of them.

A step is short, and what it does is committed together with how far it came: who is killed leaves nothing half done,
and whoever claims the next step goes on from there. So a trigger that runs for hours is nobody's in between.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from typing import Final
from uuid import UUID

import structlog

from libs.common import crash
from libs.common.clock import Clock
from libs.common.db.pool import Connection, transaction
from libs.common.errors import Aborted, ResourceExhausted
from libs.common.logging import about
from libs.common.mailbox.mail import Mail
from libs.common.tasks import any_set
from services.journey import metrics
from services.journey.clients.audiences import AudienceRefused, Audiences
from services.journey.clients.calls import ServiceUnavailable
from services.journey.domain.audience_trigger import (
    AT_ONCE_MAX,
    FIND_S,
    IN_FLIGHT_MAX,
    STEP_S,
    TRIES_MAX,
    WAITS,
    Outcome,
    StoredAudienceTrigger,
    outcome_of,
    pace_of,
    request_key,
)
from services.journey.domain.lifecycle import trigger_refusal
from services.journey.domain.model import Journey
from services.journey.domain.simulation_work import SimulationState as State
from services.journey.domain.turn import enrolment_id_of
from services.journey.domain.views import SystemTriggerRow
from services.journey.store.audience_triggers import AudienceTriggerStore, Claim
from services.journey.store.journeys import JourneyStore
from services.journey.store.mail import JourneyMailStore
from services.journey.worker.outages import OUTAGES

POLL_S: Final = 5.0
"""How often it is looked for what another process has left, real seconds."""
CLAIM_S: Final = 5.0
"""How long a step stays with a process that does not end it, real seconds."""
FINDING_S: Final = 10.0
"""The same of a step that finds customers, from the last that it kept on: it reads for `FIND_S` at most."""
CLAIMED_S: Final = 0.05
"""The least that is waited where nothing could be claimed: another process claims it just now. Real seconds."""
RETRY_S: Final = 2.0
"""When a step that failed is taken again, real seconds."""
PARTS_MAX: Final = 10
"""Parts of the stream of customers that one step reads, of 500 customers at most."""
KEPT_AT_ONCE: Final = 500
"""Customers from which on those that were found are kept."""

_log = structlog.get_logger(__name__)


class Lost(Exception):
    """It was paused or ended, or somebody else takes the step."""


class AudienceTriggering:
    """The loop that takes the steps, some at once, those that are due longest first."""

    def __init__(
        self,
        *,
        store: AudienceTriggerStore,
        journeys: JourneyStore,
        audiences: Audiences,
        mail: JourneyMailStore,
        clock: Clock,
        check_intake: Callable[[], None],
        deliver: Callable[[list[Mail]], None],
        real_time: Callable[[], float] = time.monotonic,
    ) -> None:
        """`check_intake` raises while too many triggers wait; `deliver` takes recorded mail to the mailboxes."""
        self._store = store
        self._journeys = journeys
        self._audiences = audiences
        self._mail = mail
        self._clock = clock
        self._check_intake = check_intake
        self._deliver = deliver
        self._real_time = real_time
        self._woken = asyncio.Event()
        self._under_way = 0
        """Steps."""

    def wake(self) -> None:
        """A step is due."""
        self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set; ends when the steps under way have, or with what is nobody's fault. Whoever
        claims the steps of one that is cancelled goes on from what is committed."""
        async with asyncio.TaskGroup() as steps:
            while not stopping.is_set():
                self._woken.clear()
                wait_s = await self._begin(steps) if self._under_way < AT_ONCE_MAX else POLL_S
                if wait_s > 0:
                    await any_set(stopping, self._woken, timeout_s=min(wait_s, POLL_S))

    async def _begin(self, steps: asyncio.TaskGroup) -> float:
        """Begins the step that is due longest; real seconds until one is due."""
        try:
            claim = await self._claim()
        except OUTAGES as error:
            _log.warning("audience triggers wait for the database", error=repr(error))
            return POLL_S
        if not isinstance(claim, Claim):
            return claim
        self._under_way += 1
        step = steps.create_task(self._guarded(claim), name="step of an audience trigger")
        step.add_done_callback(self._ended)
        return 0.0

    def _ended(self, _: asyncio.Task[None]) -> None:
        self._under_way -= 1
        self._woken.set()

    async def _guarded(self, claim: Claim) -> None:
        """A step whose end the database does not hear of is taken again when its claim is over."""
        try:
            await self._take(claim)
        except OUTAGES as error:
            _log.warning("audience triggers wait for the database", error=repr(error))

    async def step(self) -> float:
        """Takes the step that is due longest; real seconds until one is due. Raises the driver's errors."""
        claim = await self._claim()
        if not isinstance(claim, Claim):
            return claim
        await self._take(claim)
        return 0.0

    async def _claim(self) -> Claim | float:
        claim = await self._store.claim(CLAIM_S)
        if isinstance(claim, Claim):
            return claim
        return POLL_S if claim is None else max(claim, CLAIMED_S)

    async def _take(self, claim: Claim) -> None:
        """Takes a step, and says when the next one is due. Raises the driver's errors."""
        began, failed = self._real_time(), False
        try:
            pause_s = await self._advance(claim, await self._store.read(claim.key))
        except Lost:
            return
        except AudienceRefused as error:
            with suppress(Lost):
                await self._end(claim, State.FAILED, error.reason, error.message)
            return
        except (*OUTAGES, Aborted, ResourceExhausted) as error:
            _log.warning(
                "an audience trigger waits",
                id=str(claim.key[1]),
                error=repr(error),
                **about(team_id=claim.key[0]),
            )
            pause_s = RETRY_S
        except Exception:  # noqa: BLE001 - whatever it is, it is this one's: the others go on
            metrics.AUDIENCE_TRIGGER_FAULTS.inc()
            _log.exception(
                "a step of an audience trigger failed", id=str(claim.key[1]), **about(team_id=claim.key[0])
            )
            pause_s, failed = RETRY_S, True
        await self._store.due(claim, max(0.0, pause_s - (self._real_time() - began)), failed=failed)

    async def _advance(self, claim: Claim, stored: StoredAudienceTrigger) -> float:
        """How long the next step waits from the start of this one, real seconds."""
        if stored.is_given_up:
            await self._give_up(claim, stored)
            raise Lost
        if not stored.found_all:
            await self._store.due(claim, FINDING_S, failed=True)
            await self._find(claim, stored)
            return 0.0
        stored = await self._settle(claim, stored)
        if stored.all_settled:
            await self._end(claim, State.SUCCEEDED)
            raise Lost
        return await self._hand(claim, stored) if stored.may_hand else STEP_S

    async def _end(self, claim: Claim, state: State, reason: str = "", message: str = "") -> None:
        async with transaction(self._store.pool, [claim.key[0]]) as connection:
            await self._own(connection, claim)
            await self._store.end(
                connection, claim.key, state, self._clock.now(), reason=reason, message=message
            )

    async def _give_up(self, claim: Claim, stored: StoredAudienceTrigger) -> None:
        """Ends one whose steps fail; of one that has ended nobody asks any more what became of the last customers."""
        if not stored.state.has_ended:
            message = f"a step failed {TRIES_MAX} times; the log of the service has it"
            await self._end(claim, State.FAILED, "INTERNAL", message)
            return
        left = stored.handed - stored.settled
        _log.error(
            "outcomes of an audience trigger are given up",
            id=str(claim.key[1]),
            customers=left,
            **about(team_id=claim.key[0]),
        )
        async with transaction(self._store.pool, [claim.key[0]]) as connection:
            owned = await self._own(connection, claim)
            await self._store.note_settled(connection, owned, {WAITS: left})

    async def _own(self, connection: Connection, claim: Claim) -> StoredAudienceTrigger:
        """It as it stands, locked. Raises Lost if somebody else has claimed it since."""
        stored = await self._store.lock(connection, claim.key)
        if stored.version != claim.version:
            raise Lost
        return stored

    # -- who is in the audience ---------------------------------------------------------------------------------

    async def _find(self, claim: Claim, stored: StoredAudienceTrigger) -> None:
        """Keeps the next customers of the audience."""
        asked, through = stored.asked, stored.through
        held: list[UUID] = []
        parts, began = 0, self._real_time()
        try:
            async with aclosing(self._audiences.members(asked.team_id, asked.audience, through)) as members:
                async for part in members:
                    held += part.customer_ids
                    through, parts = part.through, parts + 1
                    ends = parts == PARTS_MAX or self._real_time() - began >= FIND_S
                    if ends or len(held) >= KEPT_AT_ONCE:
                        await self._keep(claim, held, through, found_all=False)
                        held = []
                    if ends:
                        return
        except ServiceUnavailable:
            if through != stored.through:  # a stream that breaks however often comes to its end
                await self._keep(claim, held, through, found_all=False)
            raise
        await self._keep(claim, held, through, found_all=True)

    async def _keep(
        self, claim: Claim, customers: Sequence[UUID], through: UUID | None, *, found_all: bool
    ) -> None:
        async with transaction(self._store.pool, [claim.key[0]]) as connection:
            stored = await self._own(connection, claim)
            if stored.state is not State.RUNNING or stored.paused:
                raise Lost
            await self._store.add_found(
                connection, stored, customers, through, found_all=found_all, claim_s=FINDING_S
            )
        crash.reach("journey.after_found")

    # -- what becomes of them -----------------------------------------------------------------------------------

    async def _settle(self, claim: Claim, stored: StoredAudienceTrigger) -> StoredAudienceTrigger:
        """Counts the first ones whose outcome is known now; it as it stands then."""
        if stored.settled == stored.handed:
            return stored
        outcomes = await self._outcomes(stored)
        if not outcomes:
            return stored
        async with transaction(self._store.pool, [claim.key[0]]) as connection:
            await self._store.note_settled(connection, await self._own(connection, claim), outcomes)
        return await self._store.read(claim.key)

    async def _outcomes(self, stored: StoredAudienceTrigger) -> Counter[Outcome]:
        """Of those up to the first of whom it is not known. Who was set aside is not waited for."""
        asked, until = stored.asked, min(stored.handed, stored.settled + IN_FLIGHT_MAX)
        async with transaction(self._store.pool, [asked.team_id]) as connection:
            customers = await self._store.customers(connection, stored, stored.settled, until)
        keys = [request_key(asked.operation_id, customer) for customer in customers]
        ids = [
            enrolment_id_of(asked.journey_id, customer, key)
            for customer, key in zip(customers, keys, strict=True)
        ]
        states = await self._store.states(asked.team_id, asked.journey_id, keys, ids)
        # Read after them: what closed the journey is known then.
        journey = await self._journey(stored)
        counted: Counter[Outcome] = Counter()
        for state in states:
            assert state is not None, "whoever is triggered has mail"
            outcome = outcome_of(journey, state)
            if outcome is WAITS and not state.parked:
                break
            counted[outcome] += 1
        return counted

    async def _journey(self, stored: StoredAudienceTrigger) -> Journey | None:
        found = await self._journeys.by_ids(stored.asked.team_id, [stored.asked.journey_id])
        return next(iter(found), None)

    # -- triggering ---------------------------------------------------------------------------------------------

    async def _hand(self, claim: Claim, stored: StoredAudienceTrigger) -> float:
        """Triggers the next customers, as many as pace and room allow; how long the next step waits."""
        self._check_intake()
        pace, now = pace_of(stored.asked.rate), self._clock.now()
        refusal = trigger_refusal(await self._journey(stored), now)
        if refusal:
            await self._end(claim, State.FAILED, refusal, "nobody can enter the journey any more")
            raise Lost
        async with transaction(self._store.pool, [claim.key[0]]) as connection:
            room = await self._store.room(connection, claim.key)
            stored = await self._own(connection, claim)
            if not stored.may_hand:
                raise Lost
            until = min(stored.handed + min(pace.customers, room), stored.found)
            mails = await self._trigger(connection, stored, until)
            crash.reach("journey.before_hand")
        crash.reach("journey.after_hand")
        metrics.AUDIENCE_CUSTOMERS_TRIGGERED.inc(len(mails))
        self._deliver(mails)
        return pace.every_s if mails else STEP_S

    async def _trigger(self, connection: Connection, stored: StoredAudienceTrigger, until: int) -> list[Mail]:
        """Records the triggers of the customers up to a place, and that they are."""
        if until == stored.handed:
            return []
        asked, now = stored.asked, self._clock.now()
        customers = await self._store.customers(connection, stored, stored.handed, until)
        rows = [
            SystemTriggerRow(customer, asked.journey_id, request_key(asked.operation_id, customer))
            for customer in customers
        ]
        await self._store.note_handed(connection, stored, len(rows), now)
        return await self._mail.append_within(connection, asked.team_id, rows, now)
