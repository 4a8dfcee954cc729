"""Who enters a journey in a turn, and who is refused."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Final
from uuid import UUID

from libs.common.ids import driver_id
from libs.common.mailbox import mail as m
from services.journey.domain import effects as fx
from services.journey.domain.engine import Start
from services.journey.domain.enrolment import Enrolment
from services.journey.domain.matching import DEPTH_MAX, matching
from services.journey.domain.memory import data_size
from services.journey.domain.model import Journey, StatusReason
from services.journey.domain.plan import month_of
from services.journey.domain.running import Running
from services.journey.domain.turn import Refusal, RefusalReason, enrolment_id_of
from services.journey.domain.waits import memory_of

LIVE_MAX: Final = 200
"""Live enrolments of one customer in all journeys: they lie in one row, some 110 bytes each, which each turn writes."""
LIVE_DATA_BYTES_MAX: Final = 262_144
"""Of the data of their triggers."""


class Entering(Running):
    """The part of a turn that lets the customer into journeys."""

    def _trigger(self, mail: m.Mail) -> Generator[fx.Effect, fx.Answer, None]:
        for journey in self._started(mail):
            if journey.journey_id in self._stops:
                continue
            self._used.add(journey.journey_id)
            refusal = self._refusal(journey, mail)
            enrolment = self._enrolment(journey, mail)
            if refusal is None and not (yield from self._has_place(enrolment, mail)):
                refusal = RefusalReason.PLAN_LIMIT
                self._stops[journey.journey_id] = StatusReason.PLAN_TRIGGER_LIMIT.name
            if refusal is None:
                yield from self._enrol(journey, enrolment)
            else:
                self._refuse(journey, refusal, mail)
        if self._journeys.used_up:
            self._refuse_late(mail)

    def _started(self, mail: m.Mail) -> Iterator[Journey]:
        """The journeys that a mail starts, in order; each as it is when its turn comes."""
        started: set[UUID] = set()
        while True:
            journeys = self._journeys
            for journey in self._matching(mail):
                if journey.journey_id in started:
                    continue
                started.add(journey.journey_id)
                yield journey
                if self._journeys is not journeys:
                    break
            else:
                return

    def _matching(self, mail: m.Mail) -> Iterable[Journey]:
        waiting = self._journeys.started_by(type(mail.body))
        return matching(waiting, mail.body, mail.occurred_at, self._now)

    def _refuse_late(self, mail: m.Mail) -> None:
        """Counts what occurred before the plan closed a journey, and is worked after it."""
        for journey in matching(self._journeys.used_up, mail.body, mail.occurred_at, self._now):
            if mail.occurred_at <= journey.updated_at:
                self._refuse(journey, self._refusal(journey, mail) or RefusalReason.PLAN_LIMIT, mail)

    def _refuse(self, journey: Journey, reason: RefusalReason, mail: m.Mail) -> None:
        self._refusals.append(Refusal(journey.journey_id, reason, self._now, int(mail.source), mail.number))

    def _has_place(self, enrolment: Enrolment, mail: m.Mail) -> Generator[fx.Effect, fx.Answer, bool]:
        """Whether the team's plan has room for an enrolment this month."""
        plan = self._journeys.plan
        if plan is None:
            return True
        actor, month = self._given.actor, month_of(self._now, plan.zone)
        place = yield fx.TakePlace(
            enrolment.enrolment_id,
            actor.team_id,
            actor.customer_id,
            month,
            plan.most,
            int(mail.source),
            mail.number,
        )
        return isinstance(place, fx.Place) and place.taken

    def _refusal(self, journey: Journey, mail: m.Mail) -> RefusalReason | None:
        if mail.depth > DEPTH_MAX:
            return RefusalReason.CAUSATION_DEPTH
        limit = journey.definition.enrolments_per_customer_max
        if limit is not None and self._entries.get(journey.journey_id, 0) >= limit:
            return RefusalReason.CUSTOMER_LIMIT
        if len(self._live) >= LIVE_MAX or self._holds_too_much(mail.body):
            return RefusalReason.LIVE_LIMIT
        return None

    def _holds_too_much(self, body: m.Body) -> bool:
        """Whether the data of a trigger are too much beside those of the live enrolments."""
        if not isinstance(body, m.SystemTrigger) or body.data is None:
            return False
        kept = (each.memory.data for each in self._live.values() if each.memory is not None)
        return sum(map(data_size, (body.data, *kept))) > LIVE_DATA_BYTES_MAX

    def _enrol(self, journey: Journey, enrolment: Enrolment) -> Generator[fx.Effect, fx.Answer, None]:
        if journey.definition.enrolments_per_customer_max is not None:
            self._entries[journey.journey_id] = self._entries.get(journey.journey_id, 0) + 1
        yield from self._run(journey, enrolment, Start(), enrolled=True)

    def _enrolment(self, journey: Journey, mail: m.Mail) -> Enrolment:
        actor, event_id = self._given.actor, driver_id(mail.event_id)
        return Enrolment(
            enrolment_id=enrolment_id_of(journey.journey_id, actor.customer_id, event_id),
            journey_id=journey.journey_id,
            team_id=actor.team_id,
            customer_id=actor.customer_id,
            trigger_event_id=event_id,
            depth=mail.depth,
            created_at=self._now,
            memory=memory_of(journey, mail, self._now),
            trace=mail.trace,
        )
