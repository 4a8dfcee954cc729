"""Event, time and goal: one of them takes a customer on, wherever a turn breaks off and whatever came since."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.mailbox import mail as m
from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.domain.acting import take_turn
from services.journey.domain.enrolment import Enrolment, EnrolmentState, Step, StepResult
from services.journey.domain.matching import TeamJourneys
from services.journey.domain.turn import Actor, TurnInput, TurnResult
from services.journey.store.packed import LiveRow, pack_state, read_state
from tests.unit.journey.builders import CUSTOMER, NOW, TEAM, agreeable, checkout, journey, mail

MINUTE = timedelta(minutes=1)
Result = StepResult


def _points(node_id: str, delta: int, following: str | None = None) -> d.Node:
    return d.Node(node_id, d.Points(delta), following)


JOURNEY = journey(
    _points("in", 1, "first"),
    d.Node("first", d.Wait(d.TagTrigger(("a",)), 1_800, "yes", "no")),
    _points("yes", 2, "pause"),
    _points("no", 4, "pause"),
    d.Node("pause", d.Delay(600), "paid"),
    _points("paid", 8, "second"),
    d.Node("second", d.Wait(d.TagTrigger(("b",)), 1_800, "both", None, counts_earlier=True)),
    _points("both", 16),
    goal=d.TagTrigger(("goal",)),
)
EVENTS = st.sampled_from(["a", "b", "goal", "other", "a", "b"])


@dataclass
class World:
    """What outlives a turn that breaks off: mail, what was done, and the last commit."""

    now: datetime = NOW
    mails: list[m.Mail] = field(default_factory=lambda: [checkout(1)])
    done: set[UUID] = field(default_factory=set)
    told: list[tuple[UUID, Step]] = field(default_factory=list)
    actor: Actor = field(default_factory=lambda: Actor(TEAM, CUSTOMER, {}, {}))
    live: tuple[Enrolment, ...] = ()
    ended: list[Enrolment] = field(default_factory=list)

    def happens(self, events: list[tuple[str, int]]) -> None:
        """What occurred so many minutes ago reaches the mailbox."""
        for tag, age in events:
            at = max(NOW, self.now - age * MINUTE)
            self.mails.append(mail(len(self.mails) + 1, m.TagApplied(tag), at))

    def turn(self, breaks_after: int | None) -> None:
        """A turn; one that breaks off has asked for so many effects and commits nothing."""
        mails = [each for each in self.mails if each.number > self.actor.taken.get(each.source, 0)]
        journeys = TeamJourneys({JOURNEY.journey_id: JOURNEY})
        turn = take_turn(TurnInput(self.actor, self.live, mails, journeys, self.now))
        answer: fx.Answer | None = None
        asked = 0
        while True:
            try:
                effect = turn.send(answer)  # type: ignore[arg-type]  # None starts a generator
            except StopIteration as stop:
                if breaks_after is None:
                    self._commit(stop.value)
                return
            if asked == breaks_after:
                return
            asked += 1
            if isinstance(effect, fx.ChangePoints):
                self.done.add(effect.key)
            answer = agreeable(effect)

    def _commit(self, result: TurnResult) -> None:
        self.actor = result.actor
        changed = {e.enrolment_id: e for e in (*self.live, *result.enrolments)}
        live = [e for e in changed.values() if e.state is EnrolmentState.LIVE]
        self.ended += [e for e in changed.values() if e.state is not EnrolmentState.LIVE]
        stored = pack_state([LiveRow(e, self.now, listed=True) for e in live], {})
        self.live = tuple(row.enrolment for row in read_state(TEAM, CUSTOMER, stored, None)[0])
        for segment in result.run_segments:
            self.told += [(segment.enrolment_id, step) for step in segment.steps]


HEARD = st.lists(st.tuples(EVENTS, st.sampled_from([1, 5, 20])), max_size=2)
"""What reaches the mailbox, each with its age in minutes."""
TURNS = st.tuples(st.sampled_from([0, 10, 30, 31]), HEARD, st.sampled_from([None, 1, 2]), HEARD)
"""Minutes that pass; what is heard; where the turn breaks off, if it does; what is heard before the next try."""


@pytest.mark.rule("J-37a", "J-37c")
@settings(max_examples=200)
@given(st.lists(TURNS, max_size=8))
def test_nothing_is_done_that_is_not_told_and_one_of_event_and_time_wins(
    turns: list[tuple[int, list[tuple[str, int]], int | None, list[tuple[str, int]]]],
) -> None:
    world = World()
    world.turn(None)
    for minutes, events, breaks_after, more in turns:
        world.now += minutes * MINUTE
        world.happens(events)
        if breaks_after is not None:
            world.turn(breaks_after)
        world.happens(more)
        world.turn(None)
    while world.live:
        world.now = max(world.now, min(e.wake_at for e in world.live if e.wake_at is not None))
        world.turn(None)
    _judge(world)


def _judge(world: World) -> None:
    [enrolment] = world.ended
    results = [step.result for _, step in world.told]
    applied = {
        fx.effect_key(enrolment_id, step.node_id, step.visit)
        for enrolment_id, step in world.told
        if step.result is Result.APPLIED
    }
    assert world.done == applied
    for node_id in ("first", "second"):
        ways = [s.result for _, s in world.told if s.node_id == node_id]
        assert ways.count(Result.HAPPENED) + ways.count(Result.TIMED_OUT) <= 1
    converted = enrolment.state is EnrolmentState.CONVERTED
    assert results.count(Result.GOAL_REACHED) == converted
    if not converted:
        assert len([r for r in results if r in (Result.HAPPENED, Result.TIMED_OUT)]) == 2
