"""The engine: definition + enrolment + signal + now → next state and at most one thing to ask.

The live worker, the simulation and the explanation run this code. It walks inline until it has to ask another
service or to wait; the answer comes back as the next signal.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from services.journey.domain import effects as fx
from services.journey.domain import quiet, splits
from services.journey.domain.enrolment import Enrolment, EnrolmentState, Step, StepResult, WaitReason
from services.journey.domain.memory import Memory
from services.journey.domain.model import (
    Attribute,
    CappedAction,
    Condition,
    Delay,
    Journey,
    Message,
    Points,
    Split,
    Tags,
    Wait,
)
from services.journey.domain.status import goes_on, sends_until
from services.journey.domain.waits import End, Go, Happened, Waits


class Start(msgspec.Struct, frozen=True):
    """The customer was enrolled: enter the first node."""


class Wake(msgspec.Struct, frozen=True):
    """The delay or quiet time for which the enrolment waits is over."""


class Halt(msgspec.Struct, frozen=True):
    """The journey was stopped: halt where the customer stands."""


class Again(msgspec.Struct, frozen=True):
    """Nothing that is known will wake the enrolment: ask once more what it asked last, under the same key."""


Signal = Start | Wake | Halt | Again | End | Go | Happened | fx.SendAnswer | fx.ChangeAnswer | fx.Verdict


class Move(msgspec.Struct, frozen=True):
    """What a signal led to.

    `ask` is the effect whose answer is the next signal, or None if the enrolment waits or has ended. `stop_reason`
    names why the journey has to stop, if the answer said so.
    """

    enrolment: Enrolment
    steps: tuple[Step, ...] = ()
    ask: fx.Effect | None = None
    stop_reason: str = ""


def advance(journey: Journey, enrolment: Enrolment, signal: Signal, now: datetime) -> Move:
    """Applies one signal. A signal that does not fit the state (a late duplicate) changes nothing."""
    if enrolment.state is not EnrolmentState.LIVE:
        return Move(enrolment)
    walk = _Walk(journey, enrolment, now)
    match signal:
        case Start():
            walk.enter(journey.definition.nodes[0].node_id)
        case Wake() if goes_on(journey, now):
            walk.wake()
        case Happened() | Go() if goes_on(journey, now):
            walk.listen(signal)
        case Halt() | Wake() | Happened() | Go():
            walk.halt()
        case Again() | End():
            walk.do_as_asked(signal)
        case fx.SendAnswer():
            walk.on_send(signal)
        case fx.ChangeAnswer():
            walk.on_change(signal)
        case fx.Verdict():
            walk.on_verdict(signal)
    return Move(walk.result(), tuple(walk.steps), walk.ask, walk.stop_reason)


_CHANGE_RESULTS: Mapping[fx.ChangeState, StepResult] = {
    fx.ChangeState.APPLIED: StepResult.APPLIED,
    fx.ChangeState.UNCHANGED: StepResult.UNCHANGED,
    fx.ChangeState.REFUSED: StepResult.REFUSED,
    fx.ChangeState.INSUFFICIENT: StepResult.INSUFFICIENT,
    fx.ChangeState.SKIPPED: StepResult.SKIPPED,
}
_SEND_RESULTS: Mapping[fx.SendState, StepResult] = {
    fx.SendState.SENT: StepResult.SENT,
    fx.SendState.SKIPPED: StepResult.SKIPPED,
    fx.SendState.FAILED: StepResult.FAILED,
    fx.SendState.UNKNOWN: StepResult.UNKNOWN,
}
ATTRIBUTE_UNAVAILABLE = "ATTRIBUTE_UNAVAILABLE"
"""Refusal of segment that stops the journey (J-07)."""


FREQUENCY_CAP_REACHED = "FREQUENCY_CAP_REACHED"
"""Of a deferred send: it waits for room under the team's frequency cap, not for the end of quiet time."""
_LOOK_AGAIN = timedelta(seconds=1)
"""Another turn asks again: one that does it itself may ask without end, where clocks differ."""


class _Walk(Waits):
    """A walk with all kinds of nodes."""

    # -- moving -------------------------------------------------------------------------------------------------

    def enter(self, node_id: str | None) -> None:
        """Goes to a node and does what it says; None is the end."""
        self._wait(WaitReason.NONE)
        if node_id is None:
            self.state = EnrolmentState.COMPLETED
            return
        self.node_id, self.fresh = node_id, True
        node = self._node()
        match node.action if node else None:
            case Message() as message:
                self.do_message(message)
            case Delay() as delay:
                self.do_delay(delay)
            case Wait() | Split() as branching:
                self.do_branching(branching)
            case Condition() as condition:
                key, team_id, customer_id, *_ = self._head()
                enrolment_id = self.enrolment.enrolment_id
                self.ask = fx.EvaluateAudience(key, team_id, customer_id, enrolment_id, condition.audience)
            case Tags() as tags:
                self.ask = fx.ChangeTags(*self._head(), add=tags.add, remove=tags.remove)
            case Attribute() as attribute:
                self.ask = fx.SetAttribute(*self._head(), attribute=attribute.key, text=attribute.text)
            case Points() as points:
                self.do_points(points)
            case None:
                self._halt_here("NODE_MISSING")

    def wake(self) -> None:
        """A delay ended: go on. Quiet time ended: the message goes now, or waits for the next window's end."""
        node = self._node()
        self._look_for_room()
        if self.wait is WaitReason.DELAY:
            self._step(StepResult.DELAY_ENDED)
            self._go_to(node.next if node else None)
        elif self.wait is WaitReason.QUIET and not self.may_act:
            self._be_ready(self.node_id)
        elif self.wait is WaitReason.QUIET and node is not None and isinstance(node.action, Message):
            self._wait(WaitReason.NONE)
            self.do_message(node.action)
        elif self.wait is WaitReason.EVENT:
            self.time_out()

    def _look_for_room(self) -> None:
        """Forgets that the message waited for room: the gateway is asked again."""
        if self.memory is not None and self.memory.capped:
            memory = msgspec.structs.replace(self.memory, capped=False)
            self.memory = None if memory == Memory(self.enrolment.created_at) else memory

    def halt(self) -> None:
        """Halts where the customer stands, unless a message is with the gateway: its outcome is awaited first."""
        if self.wait is not WaitReason.SEND:
            self._halt_here("JOURNEY_STOPPED")

    def do_as_asked(self, signal: Again | End) -> None:
        """Nothing has happened: somebody wants it."""
        if isinstance(signal, End):
            self.end(signal.note)
        else:
            self.ask_again()

    def ask_again(self) -> None:
        """Does the node once more where an enrolment is stuck; what was done before answers under its key.

        A send that the gateway does not know must not leave now if it is quiet, the journey was stopped, the goal is
        reached or it was ended: it is asked for with no time left, and put off.
        """
        node = self._node()
        if self.wait is WaitReason.SEND and node is not None and isinstance(node.action, Message):
            windows, zone = self.journey.definition.quiet_set, self.journey.zone
            is_quiet = quiet.quiet_until(self.now, windows, zone) is not None
            may_leave = goes_on(self.journey, self.now) and not is_quiet and not self._over
            self._ask_to_send(node.action, self._leaves_until() if may_leave else self.now)
        elif node is None:
            self._halt_here("NODE_MISSING")

    # -- answers ------------------------------------------------------------------------------------------------

    def on_send(self, answer: fx.SendAnswer) -> None:
        """The gateway's answer, or the outcome of a send in flight."""
        match answer.state:
            case fx.SendState.ACCEPTED if self.wait is WaitReason.SEND:
                pass  # asked again: it goes on waiting
            case fx.SendState.ACCEPTED:
                self._step(StepResult.SEND_REQUESTED)
                self._wait(WaitReason.SEND)
            case fx.SendState.DEFERRED:
                self._defer(answer)
            case fx.SendState.EXHAUSTED:
                self._step(StepResult.EXHAUSTED, answer.reason)
                self._stop(answer.reason)
            case fx.SendState.CANCELLED:
                self._step(StepResult.CANCELLED, answer.reason)
                self._end_halted()
            case state:
                self._step(_SEND_RESULTS[state], answer.reason)
                self._leave_message(answer)

    def _leave_message(self, answer: fx.SendAnswer) -> None:
        """A delay that follows counts from the real send, so that it is as long as drawn."""
        if answer.at is not None:
            self.base = answer.at
        self._go_on()

    def on_change(self, answer: fx.ChangeAnswer) -> None:
        """Tags, attribute or points were changed, or not: either way the customer goes on."""
        self._step(_CHANGE_RESULTS[answer.state], answer.reason)
        if answer.reason == ATTRIBUTE_UNAVAILABLE:
            self._stop(answer.reason)
            return
        self._go_on()

    def on_verdict(self, verdict: fx.Verdict) -> None:
        """The audience was evaluated: take the branch."""
        node = self._node()
        if node is None or not isinstance(node.action, Condition):
            return
        if verdict.reason == ATTRIBUTE_UNAVAILABLE:
            self._step(StepResult.REFUSED, verdict.reason)
            self._stop(verdict.reason)
            return
        self._step(StepResult.YES if verdict.belongs else StepResult.NO, verdict.reason, verdict.seen)
        self._follow(node.action.yes if verdict.belongs else node.action.no)

    # -- nodes --------------------------------------------------------------------------------------------------

    def do_message(self, message: Message) -> None:
        """Hands a message over, unless nobody is to be disturbed now."""
        windows, zone = self.journey.definition.quiet_set, self.journey.zone
        quiet_end = quiet.quiet_until(self.now, windows, zone)
        if quiet_end is not None:
            self._wait_out_quiet(quiet_end, "")
            return
        self._ask_to_send(message, self._leaves_until())

    def _leaves_until(self) -> datetime | None:
        """Until when a message that is handed over now may leave: the next window, or the end that stops."""
        opens = quiet.next_quiet_start(self.now, self.journey.definition.quiet_set, self.journey.zone)
        end = sends_until(self.journey)
        return min(opens, end) if opens and end else opens or end

    def _ask_to_send(self, message: Message, not_after: datetime | None) -> None:
        target = self.journey.definition.target(message.channel)
        if target is None or target.account_id is None:
            self._step(StepResult.FAILED, "CHANNEL_NOT_A_TARGET")
            self._go_on()
            return
        enrolment = self.enrolment
        self.ask = fx.Send(
            key=self._key(),
            team_id=enrolment.team_id,
            customer_id=enrolment.customer_id,
            enrolment_id=enrolment.enrolment_id,
            journey_id=enrolment.journey_id,
            node_id=self.node_id,
            channel=message.channel,
            account_id=target.account_id,
            bot_module_id=message.bot_module_id,
            template=message.template,
            cap=target.cap,
            not_after=not_after,
            stop_epoch=self.journey.stop_epoch,
            waits_for_room=message.capped_action is CappedAction.WAIT,
            trigger_data=None if self.memory is None else self.memory.data,
            trace=enrolment.trace,
        )

    def do_delay(self, delay: Delay) -> None:
        """Arms a timer; it keeps its wake time whatever is edited later."""
        self._step(StepResult.DELAY_STARTED)
        self._wait(WaitReason.DELAY, self.base + timedelta(seconds=delay.seconds))

    def do_points(self, points: Points) -> None:
        """Asks points."""
        enrolment = self.enrolment
        self.ask = fx.ChangePoints(
            key=self._key(),
            team_id=enrolment.team_id,
            customer_id=enrolment.customer_id,
            at=self.now,
            delta=points.delta,
            journey_id=enrolment.journey_id,
            journey_name=self.journey.definition.name,
            enrolment_id=enrolment.enrolment_id,
            node_id=self.node_id,
        )

    def do_branching(self, branching: Wait | Split) -> None:
        """Waits, or takes a way at once."""
        if isinstance(branching, Wait):
            self.do_wait(branching)
        else:
            self.do_split(branching)

    def do_split(self, split: Split) -> None:
        """Takes the customer's way; who is held out ends here."""
        enrolment = self.enrolment
        place = splits.way_of(split, enrolment.journey_id, self.node_id, enrolment.customer_id)
        way = split.ways[place]
        self._step(StepResult.HELD_OUT if way.holdout else StepResult.WAY_TAKEN, str(place + 1))
        self._follow(way.target)

    def _defer(self, answer: fx.SendAnswer) -> None:
        """The gateway saw a window begin: the next one, if that was after the turn had read the clock. A window that
        was over when the gateway looked is waited for no longer, but by another turn, with the time of that. So is the
        end of the journey, at which that turn halts."""
        if self._over:
            self._step(StepResult.SKIPPED, self._over)
            self._end_halted()
            return
        if not goes_on(self.journey, self.now):
            self._halt_here("JOURNEY_STOPPED")
            return
        if answer.reason == FREQUENCY_CAP_REACHED:
            self._wait_out_quiet(max(answer.at or self.now, self.now + _LOOK_AGAIN), answer.reason)
            self.memory = msgspec.structs.replace(self._known(), capped=True)
            return
        windows, zone = self.journey.definition.quiet_set, self.journey.zone
        asked_again = self.now if self.wait is WaitReason.SEND else None
        seen = answer.at or asked_again or self._leaves_until() or self.now
        seen = max(self.now, seen)
        self._wait_out_quiet(quiet.quiet_until(seen, windows, zone) or seen, answer.reason)

    def _wait_out_quiet(self, until: datetime, reason: str) -> None:
        self._step(StepResult.DEFERRED, reason)
        self._wait(WaitReason.QUIET, until)
