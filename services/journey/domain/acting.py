"""One customer's turn: everything that waits for them, in order, until all of it waits for something again.

A turn is a generator: it yields one `Effect` at a time and is sent the `Answer`. Its caller may drive hundreds
together and ask for all of them in one call a service. It does no I/O and can be run again from the start: every effect
has a key.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from typing import Final, assert_never

from libs.common.mailbox import mail as m
from services.journey.domain import effects as fx
from services.journey.domain.engine import Again, Halt, Wake
from services.journey.domain.enrolment import Enrolment, WaitReason
from services.journey.domain.entering import Entering
from services.journey.domain.model import Journey
from services.journey.domain.own_zone import in_own_zone
from services.journey.domain.quiet import is_drawn_otherwise
from services.journey.domain.status import goes_on
from services.journey.domain.turn import Actor, Turn, TurnInput, TurnResult, UnreadableMailError
from services.journey.domain.waits import End, Go, heard, is_ready, waits_for_room


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


class _ActorTurn(Entering):
    """The part of a turn that mail and time move."""

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
                and journey.recall_epoch  # else none was drawn otherwise
                and not waits_for_room(enrolment)  # which no window gives
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
