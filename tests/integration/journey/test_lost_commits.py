"""Turns whose commit is lost after their effects: what was done is told, and done once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import msgspec
import pytest

from libs.common.db.pool import transaction
from libs.testing.mails import TEAM, customers
from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.domain.enrolment import EnrolmentState
from services.journey.domain.lifecycle import JourneyChanged
from services.journey.worker.turns import Waiting
from tests.integration.journey.conftest import Site
from tests.integration.journey.turns_by_hand import MESSAGE, POINTS, epochs, key_of, stop

EDITED = (
    d.Node("points", d.Points(20), "wait"),
    d.Node("wait", d.Delay(60), "more"),
    d.Node("more", d.Points(2)),
)


async def _change(site: Site, journey: d.Journey, change: str) -> None:
    if change == "stop":
        await stop(site, journey)
        return
    async with transaction(site.pool, [TEAM]) as connection:
        present = await site.journeys.get_for_change(connection, TEAM, journey.journey_id)
        now = site.clock.now()
        if change == "close":
            await site.journeys.change_status(connection, present, d.JourneyStatus.TRIGGER_CLOSED, now)
        elif change == "delete":
            await site.journeys.delete(connection, present, now)
        else:
            definition = msgspec.structs.replace(present.definition, nodes=EDITED)
            await site.journeys.update_definition(connection, present, definition, "test", now)


@pytest.mark.rule("J-06e")
@pytest.mark.parametrize("lost", ["by the change", "and the commit by an outage"])
@pytest.mark.parametrize("change", ["stop", "close", "delete", "edit"])
async def test_what_was_done_is_told_whatever_became_of_the_journey_before_the_commit(
    site: Site, monkeypatch: pytest.MonkeyPatch, change: str, lost: str
) -> None:
    nodes = (d.Node("points", d.Points(10), "wait"), *EDITED[1:])
    journey = await site.save_journey(*nodes)
    [customer] = islice(customers(), 1)
    fence, runner = await epochs(site), site.runner()
    original, commits = site.effects.answer, site.turns.commit
    left = [True]

    async def change_after_it(effects: Sequence[fx.Effect]) -> list[fx.Answer | Exception]:
        answers = await original(effects)
        if left and any(isinstance(effect, fx.ChangePoints) for effect in effects):
            left.clear()
            await _change(site, journey, change)
            if lost != "by the change":
                monkeypatch.setattr(site.turns, "commit", cut_off)
        return answers

    async def cut_off(*arguments: object) -> None:
        monkeypatch.setattr(site.turns, "commit", commits)
        raise ConnectionError("cut off")

    monkeypatch.setattr(site.effects, "answer", change_after_it)
    batch = {key_of(customer): Waiting([site.order(customer)])}
    outcome = await runner.run_all(batch, fence)
    if lost != "by the change":
        assert isinstance(outcome.failed[key_of(customer)], ConnectionError)
        outcome = await runner.run_all(batch, fence)
    assert not outcome.failed
    assert site.effects.points[customer] == 11  # one of the order
    ends_in = {"stop": EnrolmentState.HALTED, "delete": EnrolmentState.HALTED}.get(
        change, EnrolmentState.LIVE
    )
    assert await site.states(journey) == {ends_in: 1}
    steps = [step for each in outcome.committed.values() for s in each.run_segments for step in s.steps]
    assert (steps[0].node_id, steps[0].result.name) == ("points", "APPLIED")
    asked = [effect.delta for effect in site.effects.asked if isinstance(effect, fx.ChangePoints)]
    assert asked == [10], "it is not asked for again, as it is drawn now"


@pytest.mark.rule("J-06f")
@pytest.mark.parametrize(
    "state",
    [fx.SendState.CANCELLED, fx.SendState.DEFERRED, fx.SendState.EXHAUSTED],
)
async def test_a_send_of_which_nothing_left_is_asked_for_again_after_a_lost_commit(
    site: Site, monkeypatch: pytest.MonkeyPatch, state: fx.SendState
) -> None:
    journey = await site.save_journey(MESSAGE)
    [customer] = islice(customers(), 1)
    fence, runner = await epochs(site), site.runner()
    original, commits = site.effects.answer, site.turns.commit
    asked = 0

    async def refuse_first(effects: Sequence[fx.Effect]) -> list[fx.Answer | Exception]:
        nonlocal asked
        answers = await original(effects)
        if any(isinstance(effect, fx.Send) for effect in effects):
            asked += 1
            if asked == 1:  # by the windows of before
                monkeypatch.setattr(site.turns, "commit", cut_off)
                return [fx.SendAnswer(state, "", site.clock.now())]
        return answers

    async def cut_off(*arguments: object) -> None:
        monkeypatch.setattr(site.turns, "commit", commits)
        raise ConnectionError("cut off")

    monkeypatch.setattr(site.effects, "answer", refuse_first)
    batch = {key_of(customer): Waiting([site.order(customer)])}
    assert (await runner.run_all(batch, fence)).failed
    assert not (await runner.run_all(batch, fence)).failed
    assert asked >= 2  # one that was only put off is asked for again at once, too
    assert await site.states(journey) == {EnrolmentState.LIVE: 1}


async def test_a_turn_that_used_a_journey_that_was_changed_is_run_again(site: Site) -> None:
    journey = await site.save_journey(POINTS)
    [customer] = islice(customers(), 1)
    fence = await epochs(site)
    runner = site.runner()
    original = site.effects.answer
    stops = iter([True])

    async def stop_meanwhile(effects: object) -> object:
        if next(stops, False):
            await stop(site, journey)
        return await original(effects)  # type: ignore[arg-type]

    site.effects.answer = stop_meanwhile  # type: ignore[method-assign, assignment]
    outcome = await runner.run({key_of(customer): Waiting([site.order(customer)])}, fence)
    assert not isinstance(outcome.failed.get(key_of(customer)), JourneyChanged)
    # The points were given when the commit found the journey stopping: who got them has entered, and nobody else does.
    assert site.effects.points[customer] == 11
    assert await site.states(journey) == {EnrolmentState.COMPLETED: 1}
    other = key_of(list(islice(customers(), 2))[1])
    await runner.run({other: Waiting([site.order(other.customer_id)])}, fence)
    assert site.effects.points[other.customer_id] == 1
    assert await site.states(journey) == {EnrolmentState.COMPLETED: 1}
