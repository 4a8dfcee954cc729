"""One customer's turn: everything that waits for them, in order, until all of it waits for something again.

A turn is a generator: it yields one `Effect` at a time and is sent the `Answer`. Its caller may drive hundreds
together and ask for all of them in one call a service. It does no I/O and can be run again from the start: every effect
has a key.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Final, assert_never
from uuid import UUID

import msgspec

from libs.common.ids import derived_id, driver_id
from libs.common.mailbox import mail as m
from services.journey.domain import effects as fx
from services.journey.domain.engine import Again, Halt, Signal, Start, Wake, advance
from services.journey.domain.lifecycle import stopped_by_itself
from services.journey.domain.matching import DEPTH_MAX, TeamJourneys, matching
from services.journey.domain.model import (
    Enrolment,
    EnrolmentState,
    Journey,
    StatusReason,
    Step,
    WaitReason,
)
from services.journey.domain.own_zone import in_own_zone, may_change_zone
from services.journey.domain.plan import month_of
from services.journey.domain.quiet import is_drawn_otherwise
from services.journey.domain.status import goes_on, gone
from services.journey.domain.waits import End, Go, heard, is_ready, memory_of


class RefusalReason(IntEnum):
    """Why a trigger did not enrol; the numbers are those of the contract."""

    CUSTOMER_LIMIT = 1
    PLAN_LIMIT = 2
    CAUSATION_DEPTH = 3


class Actor(msgspec.Struct, frozen=True):
    """What the actor itself remembers of a customer.

    `taken` is the last mail number taken of each source; `entries` counts enrolments by journey, over all time, which
    makes the limit per customer exact: nobody else enrols this customer.
    """

    team_id: UUID
    customer_id: UUID
    taken: Mapping[int, int]
    entries: Mapping[UUID, int]


class RunSegment(msgspec.Struct, frozen=True):
    """What one enrolment did between two waits.

    `revision` is that of the journey by which it went, 0 if by two; None is that of the commit, as in all turns but
    those that are run again.
    """

    journey_id: UUID
    enrolment_id: UUID
    enrolled: bool
    steps: tuple[Step, ...]
    state: EnrolmentState
    at: datetime
    revision: int | None = None


class Refusal(msgspec.Struct, frozen=True):
    """A trigger that met all conditions and did not enrol."""

    journey_id: UUID
    reason: RefusalReason
    at: datetime


class TurnResult(msgspec.Struct, frozen=True):
    """What the turn's commit writes. `stops` names journeys that have to stop, with the reason.

    What the customer's live enrolments wait for, changed by this turn or not: `wake_at` is their earliest timer,
    `sending` says that one awaits the outcome of a send.
    """

    actor: Actor
    wake_at: datetime | None
    sending: bool
    enrolments: tuple[Enrolment, ...]
    run_segments: tuple[RunSegment, ...]
    refusals: tuple[Refusal, ...]
    stops: Mapping[UUID, str]
    journeys_used: frozenset[UUID]


class EarlierRun(msgspec.Struct, frozen=True):
    """What was done in a run of the turn that was not committed: the answers by the effects' keys, and the journeys and
    the time by which they were asked for."""

    journeys: TeamJourneys
    answers: Mapping[UUID, fx.Answer]
    now: datetime


class TurnInput(msgspec.Struct, frozen=True):
    """What a turn starts from.

    `mails` are in order and free of duplicates and gaps (see `read_inbox`). `journeys` are all of the team that
    customers can be in, by id. With `mail_left` more mail waits behind the last one: timers due after it stay for the
    next turn. With `again` enrolments without a timer, whom nothing in the turn moved, ask again what they asked last.
    `view` is what came with the mail of the customer and may be used (see `usable_view`). What `earlier` runs did is
    true whatever became of the journeys since: it is told by the journeys and the time of then, and the rest goes by
    `journeys` and `now`.
    """

    actor: Actor
    enrolments: Sequence[Enrolment]
    mails: Sequence[m.Mail]
    journeys: TeamJourneys
    now: datetime
    mail_left: bool = False
    again: bool = False
    view: m.CustomerView | None = None
    earlier: Sequence[EarlierRun] = ()


class EarlierRunError(Exception):
    """The turn did not come to what an earlier run of it did: it has to be run without that."""


class UnreadableMailError(Exception):
    """Mail that its source could not read: no turn gets past it until an operator has dropped it."""


Turn = Generator[fx.Effect, fx.Answer, TurnResult]


def take_turn(given: TurnInput) -> Turn:
    """Runs the turn; returns its result.

    Mail and timers are merged by domain time: before mail that occurred at `t`, the customer's timers due by `t` fire,
    so that what a journey sees does not depend on how fast anybody works.
    """
    if _only_counts(given):
        return _counted(given)
    actor = _ActorTurn(given)
    yield from actor.follow_journeys()
    yield from actor.do_ready()
    for mail in given.mails:
        yield from actor.fire_timers(min(mail.occurred_at, given.now))
        yield from actor.read(mail)
    if not given.mail_left:
        yield from actor.fire_timers(given.now)
        if given.again:
            yield from actor.ask_again()
    if given.earlier:
        yield from actor.follow_journeys()  # who entered by the journeys of then is told what became of them
    return actor.result()


_NEWS: Final = frozenset({m.ContactAdded, m.TagApplied, m.TagRemoved, m.AttributeChanged, m.ProfileChanged})
"""Mail that does nothing but start journeys."""


def _only_counts(given: TurnInput) -> bool:
    """Whether all that happens is that mail is taken: most of what segment tells is waited for by no journey."""
    if given.enrolments or given.journeys.used_up or given.earlier:
        return False
    kinds = {type(mail.body) for mail in given.mails}
    return kinds <= _NEWS and not any(map(given.journeys.started_by, kinds))


def _counted(given: TurnInput) -> TurnResult:
    """What a turn that only counts comes to, as `_ActorTurn` would tell it."""
    taken = dict(given.actor.taken)
    for mail in given.mails:
        taken[mail.source] = mail.number
    actor = Actor(
        given.actor.team_id, given.actor.customer_id, taken, given.journeys.still_counted(given.actor.entries)
    )
    return TurnResult(actor, None, False, (), (), (), {}, frozenset())


class _ActorTurn:
    def __init__(self, given: TurnInput) -> None:
        self._given = given
        self._earlier = list(given.earlier)
        """Those of which something is left."""
        self._left = {key for run in given.earlier[:1] for key in run.answers}
        """Keys of what the first of them did and this run has not come to."""
        self._now, self._journeys = given.now, given.journeys
        self._go_by_run()
        self._taken = dict(given.actor.taken)
        self._entries = dict(given.actor.entries)
        self._live = {enrolment.enrolment_id: enrolment for enrolment in given.enrolments}
        self._changed: dict[UUID, Enrolment] = {}
        self._run_segments: list[RunSegment] = []
        self._refusals: list[Refusal] = []
        self._stops: dict[UUID, str] = {}
        self._used: set[UUID] = set()
        self._view = given.view
        self._has_phone = None if given.view is None else given.view.phone is not None

    def result(self) -> TurnResult:
        if self._earlier:
            raise EarlierRunError(f"{len(self._earlier)} runs are left")
        given, present = self._given.actor, self._given.journeys
        timers, sending = [], False
        for enrolment in self._live.values():
            if enrolment.wake_at is not None:
                timers.append(enrolment.wake_at)
            sending = sending or enrolment.wait is WaitReason.SEND
        return TurnResult(
            Actor(
                given.team_id,
                given.customer_id,
                self._taken,
                present.still_counted(self._entries),
            ),
            min(timers, default=None),
            sending,
            tuple(self._changed.values()),
            tuple(self._run_segments),
            tuple(self._refusals),
            {journey_id: reason for journey_id, reason in self._stops.items() if journey_id in present},
            frozenset(self._used & present.keys()),
        )

    # -- timers and stops ---------------------------------------------------------------------------------------

    def follow_journeys(self) -> Generator[fx.Effect, fx.Answer, None]:
        """Halts everyone whose journey was stopped, and has those look again who rest for windows that were drawn
        otherwise since; a send in flight is awaited."""
        for enrolment in list(self._live.values()):
            if enrolment.wait is WaitReason.SEND:
                continue
            journey = self._journey_of(enrolment)
            if not goes_on(journey, self._now):
                yield from self._run(journey, enrolment, Halt())
            elif (
                enrolment.wait is WaitReason.QUIET
                and journey.recall_epoch  # else none was drawn otherwise: not who waits for room under a cap, too
                and (yield from self._rests_otherwise(journey, enrolment))
            ):
                yield from self._run(journey, enrolment, Wake())

    def _rests_otherwise(
        self, journey: Journey, enrolment: Enrolment
    ) -> Generator[fx.Effect, fx.Answer, bool]:
        until = enrolment.wake_at
        if until is None or until <= self._now:
            return False
        zone = (yield from in_own_zone(journey, enrolment, self._now)).zone
        return is_drawn_otherwise(until, self._now, journey.definition.quiet_set, zone)

    def do_ready(self) -> Generator[fx.Effect, fx.Answer, None]:
        """Does what the turn before has left to do, whatever mail has come since."""
        for enrolment in self._given.enrolments:
            if is_ready(enrolment) and self._live.get(enrolment.enrolment_id) is enrolment:
                yield from self._run(self._journey_of(enrolment), enrolment, Go())

    def fire_timers(self, until: datetime) -> Generator[fx.Effect, fx.Answer, None]:
        """Fires the timers due by `until`, earliest first, and those that they arm if due as well."""
        while (due := self._next_due(until)) is not None:
            yield from self._run(self._journey_of(due), due, Wake())

    def _next_due(self, until: datetime) -> Enrolment | None:
        if not self._live:
            return None
        due = [
            (enrolment.wake_at, -self._priority_of(enrolment), enrolment.enrolment_id)
            for enrolment in self._live.values()
            if enrolment.wake_at is not None and enrolment.wake_at <= until and not is_ready(enrolment)
        ]
        return self._live[min(due)[2]] if due else None

    def _priority_of(self, enrolment: Enrolment) -> int:
        """Who waits for the same moment goes by priority."""
        journey = self._given.journeys.get(enrolment.journey_id)
        return journey.definition.priority if journey is not None else 0

    def ask_again(self) -> Generator[fx.Effect, fx.Answer, None]:
        """Has those ask again who stand as they stood before the turn, without a timer."""
        for enrolment in self._given.enrolments:
            if enrolment.wake_at is None and self._live.get(enrolment.enrolment_id) is enrolment:
                yield from self._run(self._journey_of(enrolment), enrolment, Again())

    # -- mail ---------------------------------------------------------------------------------------------------

    def read(self, mail: m.Mail) -> Generator[fx.Effect, fx.Answer, None]:
        """Reacts to one mail: points first, then what it starts."""
        match mail.body:
            case m.Checkout():
                if mail.body.earns and not mail.body.test:
                    yield self._earn(mail, mail.body)
                yield from self._hear(mail)
                yield from self._trigger(mail)
            case m.Refund():
                yield self._refund(mail, mail.body)
            case m.SendOutcome():
                yield from self._settle(mail, mail.body)
            case m.ContactAdded() | m.TagApplied() | m.AttributeChanged():
                yield from self._hear(mail)
                yield from self._trigger(mail)
            case m.SystemTrigger(end=end):
                yield from self._trigger(mail) if end is None else self._end(end)
            case m.ProfileChanged(said=m.Said()):
                yield from self._hear(mail)
            case m.TagRemoved() | m.ProfileChanged():
                pass
            case m.Unreadable(reason):
                raise UnreadableMailError(f"{m.MailSource(mail.source).name} {mail.number}: {reason}")
            case unknown:
                assert_never(unknown)
        self._taken[mail.source] = mail.number

    def _earn(self, mail: m.Mail, order: m.Checkout) -> fx.EarnPoints:
        return fx.EarnPoints(
            key=order.order_key,
            team_id=self._given.actor.team_id,
            customer_id=self._given.actor.customer_id,
            at=mail.occurred_at,
            shop_id=order.shop_id,
            order_id=order.order_id,
            amount_micros=order.amount_micros,
            currency=order.currency,
            has_phone=order.has_phone,
            order_number=order.order_number,
        )

    def _refund(self, mail: m.Mail, refund: m.Refund) -> fx.RefundPoints:
        return fx.RefundPoints(
            key=refund.refund_key,
            team_id=self._given.actor.team_id,
            customer_id=self._given.actor.customer_id,
            at=mail.occurred_at,
            order_key=refund.order_key,
            shop_id=refund.shop_id,
            refund_id=refund.refund_id,
            amount_micros=refund.amount_micros,
            currency=refund.currency,
            order_id=refund.order_id or "",
            order_number=refund.order_number,
        )

    def _settle(self, mail: m.Mail, outcome: m.SendOutcome) -> Generator[fx.Effect, fx.Answer, None]:
        """Takes the outcome of a send; one that nobody waits for any more changes nothing."""
        enrolment = self._live.get(outcome.enrolment_id)
        if (
            enrolment is None
            or enrolment.wait is not WaitReason.SEND
            or fx.send_key(enrolment) != outcome.effect_key
        ):
            return
        state = fx.SendState(outcome.outcome)
        answer = fx.SendAnswer(state, outcome.reason, outcome.settled_at)
        yield from self._run(self._journey_of(enrolment), enrolment, answer)

    def _end(self, asked: m.End) -> Generator[fx.Effect, fx.Answer, None]:
        """Ends an enrolment that is live still. Timers that an earlier run fired come first: what it did is told."""
        if self._earlier:
            yield from self.fire_timers(self._now)
        enrolment = self._live.get(asked.enrolment_id)
        if enrolment is not None:
            yield from self._run(self._journey_of(enrolment), enrolment, End(asked.note))

    def _hear(self, mail: m.Mail) -> Generator[fx.Effect, fx.Answer, None]:
        """Tells those who are inside; whom it starts comes after it, and does not hear of it again."""
        for enrolment in list(self._live.values()):
            journey = self._journey_of(enrolment)
            if journey.definition.listens and (happened := heard(journey, enrolment, mail)) is not None:
                yield from self._run(journey, enrolment, happened)

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
                self._refusals.append(Refusal(journey.journey_id, refusal, self._now))
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
                reason = self._refusal(journey, mail) or RefusalReason.PLAN_LIMIT
                self._refusals.append(Refusal(journey.journey_id, reason, self._now))

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
        return None

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
        )

    def _journey_of(self, enrolment: Enrolment) -> Journey:
        """The journey that somebody is in, as this turn leaves it; one that is gone halts them."""
        journey = self._journeys.get(enrolment.journey_id)
        if journey is None:
            return gone(enrolment)
        reason = self._stops.get(journey.journey_id)
        after = stopped_by_itself(journey, StatusReason[reason]) if reason else None
        return journey if after is None else msgspec.structs.replace(journey, status=after)

    # -- running ------------------------------------------------------------------------------------------------

    def _run(
        self, journey: Journey, enrolment: Enrolment, signal: Signal, *, enrolled: bool = False
    ) -> Generator[fx.Effect, fx.Answer, None]:
        """Walks one enrolment until it waits or ends."""
        steps: list[Step] = []
        of_team = journey
        if not isinstance(signal, Halt | End):
            journey = yield from in_own_zone(of_team, enrolment, self._now)
        known, began_by = journey.journey_id in self._journeys, journey.revision
        if known:
            self._used.add(journey.journey_id)
        while True:
            move = advance(journey, enrolment, signal, self._now)
            enrolment = move.enrolment
            steps.extend(move.steps)
            if move.stop_reason and known:
                self._stops.setdefault(journey.journey_id, move.stop_reason)
            if move.ask is None:
                break
            ask = self._informed(move.ask)
            if self._earlier and (answer := self._answered_before(ask)) is not None:
                # What was under way then may have ended since, as mail says that was read before this one.
                under_way = isinstance(answer, fx.SendAnswer) and answer.state is fx.SendState.ACCEPTED
                signal = (yield ask) if under_way else answer  # type: ignore[assignment]  # as below
                of_team = self._journey_of(enrolment)
                journey = yield from in_own_zone(of_team, enrolment, self._now)
            else:
                signal = yield ask  # type: ignore[assignment]  # places are asked for elsewhere
            if isinstance(signal, fx.Verdict):
                self._has_phone = signal.has_phone
            elif may_change_zone(of_team, move.ask):
                journey = yield from in_own_zone(of_team, enrolment, self._now)
        self._keep(enrolment)
        if steps or enrolled:
            self._run_segments.append(
                RunSegment(
                    journey.journey_id,
                    enrolment.enrolment_id,
                    enrolled,
                    tuple(steps),
                    enrolment.state,
                    self._now,
                    self._revision(began_by, journey.revision),
                )
            )

    def _revision(self, began_by: int, ended_by: int) -> int | None:
        """See `RunSegment`."""
        if not self._given.earlier:
            return None
        return began_by if began_by == ended_by else 0

    def _answered_before(self, ask: fx.Effect) -> fx.Answer | None:
        """The answer of an earlier run; after its last one journeys and time are those of the next."""
        if not isinstance(ask, fx.OF_NODES) or ask.key not in self._left:
            return None
        answer = self._earlier[0].answers[ask.key]
        self._left.discard(ask.key)
        if not self._left:
            del self._earlier[0]
            self._left.update(*(run.answers for run in self._earlier[:1]))
            self._go_by_run()
        return answer

    def _go_by_run(self) -> None:
        run = self._earlier[0] if self._earlier else self._given
        self._now, self._journeys = run.now, run.journeys

    def _informed(self, ask: fx.Effect) -> fx.Effect:
        """The effect with what is known of the customer: from their mail, from other answers of this turn."""
        match ask:
            case fx.ChangePoints() if self._has_phone is not None:
                return msgspec.structs.replace(ask, has_phone=self._has_phone)
            case fx.Send() if (recipient := self._recipient(ask)) is not None:
                return msgspec.structs.replace(ask, recipient=recipient)
            case fx.EvaluateAudience() if self._view is not None:
                return msgspec.structs.replace(ask, view=self._view)
            case fx.ChangeTags() | fx.SetAttribute() if self._view is not None:
                self._view = msgspec.structs.replace(self._view, whole=False)
        return ask

    def _recipient(self, send: fx.Send) -> fx.Recipient | None:
        if self._view is None:
            return None
        for identity in self._view.identities:
            if (identity.channel, identity.account_id) == (send.channel, send.account_id):
                return None if identity.blocked else fx.Recipient(identity.external_id, self._view.name)
        return None

    def _keep(self, enrolment: Enrolment) -> None:
        self._changed[enrolment.enrolment_id] = enrolment
        if enrolment.state is EnrolmentState.LIVE:
            self._live[enrolment.enrolment_id] = enrolment
        else:
            self._live.pop(enrolment.enrolment_id, None)


def enrolment_id_of(journey_id: UUID, customer_id: UUID, event_id: UUID) -> UUID:
    """The enrolment that an event leads to, if it leads to one: however often the turn is run, it is the same."""
    return derived_id(journey_id, f"{customer_id}:{event_id}")


def journeys_by_id(journeys: Iterable[Journey]) -> TeamJourneys:
    """Journeys in the order in which one event starts them: by priority, then by id; a rerun starts them alike."""
    ordered = sorted(journeys, key=lambda journey: (-journey.definition.priority, journey.journey_id))
    return TeamJourneys((journey.journey_id, journey) for journey in ordered)
