"""A definition run over recorded mail by the live engine: virtual time, stand-ins for effects, nothing kept but counts.

Customers do not know of each other, so each is run alone, from their first event to the end of the simulated time.
What they share, limits, takes another pass (`simulated_limits`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from libs.common.audience.evaluation import evaluate
from libs.common.audience.expressions import BasicField, Expression
from libs.common.frequency import CountedSend, FrequencyRule, room_at
from libs.common.mailbox.mail import Mail
from libs.common.text import fold
from services.journey.domain import effects as fx
from services.journey.domain.acting import take_turn
from services.journey.domain.engine import FREQUENCY_CAP_REACHED
from services.journey.domain.enrolment import Enrolment, EnrolmentState, StepResult
from services.journey.domain.matching import TeamJourneys, matches
from services.journey.domain.model import Channel, ExpiryAction, Journey, JourneyStatus, StatusReason
from services.journey.domain.plan import Month, TeamPlan, month_of
from services.journey.domain.simulated_customer import PastCustomer, Standing
from services.journey.domain.simulated_limits import Consequence, Imposed, Meter
from services.journey.domain.turn import Actor, RefusalReason, RunSegment, TurnInput, TurnResult
from services.journey.domain.waits import can_be_waited_for

QUOTA_ZONE: Final = "Etc/GMT-9"
"""Plans of LINE count calendar months of UTC+9."""
_UNDONE_AT_ONCE: Final = 1_000
"""Mails that are taken back in one step."""
_INSTANT: Final = timedelta(microseconds=1)
_APPLIED: Final = fx.ChangeAnswer(fx.ChangeState.APPLIED)
_UNCHANGED: Final = fx.ChangeAnswer(fx.ChangeState.UNCHANGED)
_WAYS: Final = frozenset({StepResult.WAY_TAKEN, StepResult.HELD_OUT})
_ENDED: Final = frozenset({EnrolmentState.COMPLETED, EnrolmentState.CONVERTED})
_CAP_REASONS: Final = {channel: f"{channel.name}_CAP_REACHED" for channel in Channel}


class Terms(msgspec.Struct, frozen=True):
    """What is simulated, and what that goes by. The time is `[start, end)`."""

    journey: Journey
    start: datetime
    end: datetime
    plan: TeamPlan | None = None
    expressions: Mapping[bytes, Expression] = {}
    """Of the audiences of its conditions."""
    messages: Mapping[str, int] = {}
    """Messages of one send, by node; 1 where it is missing."""
    quotas: Mapping[UUID, int] = {}
    """Messages a month, of the LINE accounts whose plan has a limit."""
    frequency: tuple[FrequencyRule, ...] = ()
    """The team's frequency cap."""
    affordable: int | None = None
    """WhatsApp messages that the prepaid balance pays for; None: they cost nothing."""

    def meets(self, mail: Mail) -> bool:
        """Whether mail meets the trigger, whatever the time."""
        return matches(self.journey, mail.body)

    def holds(self, mail: Mail) -> bool:
        """Whether mail occurred in the simulated time."""
        return self.start <= mail.occurred_at < self.end


class Tally:
    """What came of a pass over all customers."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.events = self.enrolled = self.completed = self.halted = self.live = 0
        self.points_added = self.points_deducted = 0
        self.refusals: Counter[RefusalReason] = Counter()
        self.entered: Counter[str] = Counter()
        """Visits by node."""
        self.deferred: Counter[str] = Counter()
        self.ways: Counter[tuple[str, int]] = Counter()
        """Of splits, by node and the way's number, from 1."""
        self.edges: Counter[tuple[str, str]] = Counter()
        """By the node that is left and the one that follows, which is empty for the end."""
        self.sends: Counter[tuple[Channel, datetime]] = Counter()
        """Messages by channel and hour."""

    def add_result(self, result: TurnResult, places: dict[UUID, str]) -> None:
        """Adds what a turn did. `places` holds the node where each live enrolment stands, and is brought up to date."""
        for refusal in result.refusals:
            self.refusals[refusal.reason] += 1
        for segment in result.run_segments:
            self._add_segment(segment, places)

    def _add_segment(self, segment: RunSegment, places: dict[UUID, str]) -> None:
        self.enrolled += segment.enrolled
        place = places.get(segment.enrolment_id, "")
        for step in segment.steps:
            if step.entered:
                self.entered[step.node_id] += 1
                if place:
                    self.edges[place, step.node_id] += 1
                place = step.node_id
            if step.result is StepResult.DEFERRED:
                self.deferred[step.node_id] += 1
            if step.result in _WAYS:
                self.ways[step.node_id, int(step.detail)] += 1
        places[segment.enrolment_id] = place
        if segment.state in _ENDED:
            self.completed += 1
            self.edges[place, ""] += 1
        elif segment.state is EnrolmentState.HALTED:
            self.halted += 1


class Pass:
    """One look at all customers, in any order, under the limits that are known to be reached."""

    def __init__(self, terms: Terms, imposed: Imposed) -> None:
        """`imposed`: what the passes before have found."""
        self.terms = terms
        self.imposed = imposed
        self.tally = Tally()
        self.meters: dict[tuple[str, UUID | None, Month | None], Meter] = {}
        self._left_of_stop = imposed.stop.left if imposed.stop else 0
        self._left_of_close = imposed.close.left if imposed.close else 0
        open_ = replace(
            terms.journey, status=JourneyStatus.ACTIVE, reason=StatusReason.NONE, published_at=None
        )
        self._open = self._only(open_)
        self._stopped = self._only(replace(open_, status=JourneyStatus.STOPPING))
        closed_at = imposed.close.at if imposed.close else terms.end
        reason = StatusReason.PLAN_TRIGGER_LIMIT
        self._closed = self._only(
            replace(open_, status=JourneyStatus.TRIGGER_CLOSED, reason=reason, updated_at=closed_at)
        )

    def _only(self, journey: Journey) -> TeamJourneys:
        journeys = TeamJourneys({journey.journey_id: journey})
        journeys.plan = self.terms.plan
        return journeys

    def play(self, customer: PastCustomer) -> Iterator[None]:
        """Runs one customer through the whole simulated time; their standing is of now and is changed.

        Stops after each event and each wake, of which one customer may have tens of thousands.
        """
        return _CustomerRun(self, customer).run(customer.mails)

    def journeys_at(self, now: datetime) -> TeamJourneys:
        """The journey as it is at an instant, but for its schedule."""
        stop, close = self.imposed
        if stop is not None and now > stop.at:
            return self._stopped
        return self._closed if close is not None and now > close.at else self._open

    def halts_at(self) -> datetime | None:
        """When those inside halt wherever they stand; None: never."""
        schedule = self.terms.journey.definition.schedule
        ends = [self.imposed.stop.at + _INSTANT] if self.imposed.stop else []
        if schedule is not None and schedule.expiry is ExpiryAction.STOP:
            ends.append(schedule.end)
        return min(ends, default=None)

    # -- limits -------------------------------------------------------------------------------------------------

    def place(self, month: Month, most: int, now: datetime) -> bool:
        """Whether the plan has a place for an enrolment."""
        close = self.imposed.close
        if close is not None and now >= close.at:
            self._left_of_close -= 1
            if self._left_of_close < 0:
                return False
        self._meter("PLAN_LIMIT", None, month, most, Consequence.CLOSE).take(now, 1)
        return True

    def send(self, send: fx.Send, now: datetime) -> fx.SendAnswer:
        """Hands a message over that can be delivered."""
        count = self.terms.messages.get(send.node_id, 1)
        stop = self.imposed.stop
        if stop is not None and now >= stop.at:
            if count > self._left_of_stop:
                self._left_of_stop = 0
                return fx.SendAnswer(fx.SendState.EXHAUSTED, stop.reason)
            self._left_of_stop -= count
        for meter in self._meters_of(send, now):
            meter.take(now, count)
        self.tally.sends[send.channel, now.replace(minute=0, second=0, microsecond=0)] += count
        return fx.SendAnswer(fx.SendState.SENT, at=now)

    def _meters_of(self, send: fx.Send, now: datetime) -> Iterator[Meter]:
        if send.cap is not None:
            yield self._meter(_CAP_REASONS[send.channel], None, None, send.cap, Consequence.STOP)
        quota = self.terms.quotas.get(send.account_id)
        if send.channel is Channel.LINE and quota is not None:
            month = month_of(now, QUOTA_ZONE)
            yield self._meter("LINE_QUOTA_EXHAUSTED", send.account_id, month, quota, Consequence.STOP)
        affordable = self.terms.affordable
        if send.channel is Channel.WHATSAPP and affordable is not None:
            yield self._meter("WHATSAPP_BALANCE_EXHAUSTED", None, None, affordable, Consequence.NONE)

    def _meter(
        self, reason: str, of: UUID | None, month: Month | None, limit: int, consequence: Consequence
    ) -> Meter:
        key = (reason, of, month)
        if key not in self.meters:
            self.meters[key] = Meter(limit, reason, consequence)
        return self.meters[key]


class _CustomerRun:
    """One customer in virtual time; answers what their turns ask."""

    def __init__(self, pass_: Pass, customer: PastCustomer) -> None:
        self._pass = pass_
        self._terms = pass_.terms
        self._standing: Standing = customer.standing
        self._actor = Actor(pass_.terms.journey.team_id, customer.customer_id, {}, {})
        self._live: dict[UUID, Enrolment] = {}
        self._places: dict[UUID, str] = {}
        self._now = pass_.terms.start
        self._halts_at = pass_.halts_at()
        self._counted: list[CountedSend] = []
        """What the customer got, where there is a frequency cap."""

    def run(self, mails: Sequence[Mail]) -> Iterator[None]:
        """From the first mail to the end of the simulated time, step by step."""
        terms = self._terms
        for end in range(len(mails), 0, -_UNDONE_AT_ONCE):
            self._standing.undo(reversed(mails[max(0, end - _UNDONE_AT_ONCE) : end]))
            yield
        self._standing.undo_points(terms.journey.journey_id)
        for mail in mails:
            if mail.occurred_at >= terms.end:
                continue
            if not terms.holds(mail):
                self._standing.apply(mail)
                continue
            at = max(self._now, mail.occurred_at)
            yield from self._wait_until(at)
            self._standing.apply(mail)
            if terms.meets(mail) or (self._live and self._listens(mail)):
                self._turn(at, (mail,))
            yield
        yield from self._wait_until(terms.end - _INSTANT)
        self._pass.tally.live += len(self._live)

    def _listens(self, mail: Mail) -> bool:
        return self._terms.journey.definition.listens and can_be_waited_for(mail.body)

    def _wait_until(self, until: datetime) -> Iterator[None]:
        """Wakes whoever is due by then, each at their own time; halts all when the journey stops."""
        while (due := self._next_due()) is not None and due <= until:
            self._turn(max(self._now, due), ())
            yield

    def _next_due(self) -> datetime | None:
        if not self._live:
            return None
        wakes = [each.wake_at for each in self._live.values() if each.wake_at is not None]
        if self._halts_at is not None:
            wakes.append(self._halts_at)
        return min(wakes, default=None)

    def _turn(self, now: datetime, mails: tuple[Mail, ...]) -> None:
        self._now = now
        self._standing.apply_points(now)
        live, journeys = tuple(self._live.values()), self._pass.journeys_at(now)
        turn = take_turn(TurnInput(self._actor, live, mails, journeys, now))
        answer: fx.Answer | None = None
        while True:
            try:
                answer = self._answer(turn.send(answer))  # type: ignore[arg-type]  # None starts a generator
            except StopIteration as stop:
                self._take(stop.value)
                return

    def _take(self, result: TurnResult) -> None:
        self._actor = result.actor
        self._pass.tally.add_result(result, self._places)
        for enrolment in result.enrolments:
            if enrolment.state is EnrolmentState.LIVE:
                self._live[enrolment.enrolment_id] = enrolment
            else:
                self._live.pop(enrolment.enrolment_id, None)

    # -- stand-ins ----------------------------------------------------------------------------------------------

    def _answer(self, effect: fx.Effect) -> fx.Answer:
        match effect:
            case fx.Send():
                return self._send(effect)
            case fx.EvaluateAudience():
                return self._evaluate(effect)
            case fx.ChangeTags():
                return self._change_tags(effect)
            case fx.SetAttribute(attribute=key, text=text):
                before, after = self._standing.values.get(key), fold(text)
                self._standing.values[key] = after
                return _UNCHANGED if before == after else _APPLIED
            case fx.ChangePoints():
                return self._change_points(effect)
            case fx.TakePlace(month=month, most=most):
                return fx.Place(most is None or self._pass.place(month, most, self._now))
            case fx.FindZone():
                return self._standing.zone(effect)
            case fx.EarnPoints() | fx.RefundPoints():
                return _APPLIED  # they follow from the order, not from the journey

    def _send(self, send: fx.Send) -> fx.SendAnswer:
        identity = (int(send.channel), str(send.account_id))
        if identity not in self._standing.bound:
            return fx.SendAnswer(fx.SendState.SKIPPED, "UNBOUND")
        if identity in self._standing.blocked:
            return fx.SendAnswer(fx.SendState.SKIPPED, "BLOCKED")
        return self._capped(send) or self._sent(send)

    def _capped(self, send: fx.Send) -> fx.SendAnswer | None:
        """The answer where the frequency cap has no room; other journeys are taken to send nothing."""
        count = self._terms.messages.get(send.node_id, 1)
        opens = room_at(self._terms.frequency, self._counted, send.channel, count, self._now)
        if opens is None or (opens > self._now and not send.waits_for_room):
            return fx.SendAnswer(fx.SendState.SKIPPED, FREQUENCY_CAP_REACHED)
        if opens <= self._now:
            return None
        return fx.SendAnswer(fx.SendState.DEFERRED, FREQUENCY_CAP_REACHED, opens)

    def _sent(self, send: fx.Send) -> fx.SendAnswer:
        answer = self._pass.send(send, self._now)
        if self._terms.frequency and answer.state is fx.SendState.SENT:
            count = self._terms.messages.get(send.node_id, 1)
            self._counted.append(CountedSend(send.channel, count, self._now))
        return answer

    def _evaluate(self, effect: fx.EvaluateAudience) -> fx.Verdict:
        expression = self._terms.expressions[effect.audience]
        zone = self._terms.journey.zone
        return fx.Verdict(evaluate(expression, self._standing.subject(), self._now, zone))

    def _change_tags(self, effect: fx.ChangeTags) -> fx.ChangeAnswer:
        before = set(self._standing.tags)
        self._standing.tags -= set(map(fold, effect.remove))
        self._standing.tags |= set(map(fold, effect.add))
        return _UNCHANGED if self._standing.tags == before else _APPLIED

    def _change_points(self, effect: fx.ChangePoints) -> fx.ChangeAnswer:
        standing, tally = self._standing, self._pass.tally
        if BasicField.PHONE not in standing.basics:
            return fx.ChangeAnswer(fx.ChangeState.SKIPPED, "NO_PHONE")
        if standing.balance + effect.delta < 0:
            return fx.ChangeAnswer(fx.ChangeState.INSUFFICIENT, "INSUFFICIENT")
        standing.balance += effect.delta
        standing.cumulative += max(effect.delta, 0)
        tally.points_added += max(effect.delta, 0)
        tally.points_deducted += max(-effect.delta, 0)
        return _APPLIED
