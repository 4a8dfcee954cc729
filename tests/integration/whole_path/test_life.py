"""What each status of a journey allows and does, with customers inside who are sent to over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

import pytest

from omnijourney.journey.v1 import enrolment_pb2, journey_pb2, node_pb2
from services.journey.store.journeys import JourneyStore
from services.journey.store.turns import TurnStore
from tests.integration.journey.whole_site import LINE, WHATSAPP, refusal
from tests.integration.whole_path.stage import STATUS, Stage, node, says, until, waits

pytestmark = pytest.mark.asyncio(loop_scope="package")

DELAY, SEND = enrolment_pb2.WAIT_REASON_DELAY, enrolment_pb2.WAIT_REASON_SEND
ALLOWED: Final = {
    "DRAFT": {"edit", "delete a node", "target channels", "active time", "publish", "delete"},
    "SCHEDULED": {"edit", "stop", "delete"},
    "ACTIVE": {"edit", "close trigger", "stop"},
    "TRIGGER_CLOSED": {"stop"},
    "STOPPING": {"stop"},
    "STOPPED": {"edit", "delete", "active time"},
}
"""By status; all can be viewed and copied. A stop of a stopping journey is no error; that a stopped one was active is
no matter."""


async def _in_status(stage: Stage, status: str, module_id: str) -> str:
    """A journey of two nodes that is that."""
    nodes = (waits("wait", "hello", hours=1), says("hello", module_id))
    later: dict[str, Any] = {"schedule": await stage.period(1, 2)} if status == "SCHEDULED" else {}
    if status == "STOPPING":
        nodes = (says("wait", module_id, "hello"), waits("hello", hours=1))
        later = {"targets": stage.targets(LINE, line=1)}
    journey_id = await stage.draft(*nodes, **later)
    if status != "DRAFT":
        await stage.call("PublishJourney", journey_id=journey_id)
    if status == "TRIGGER_CLOSED":
        await stage.call("CloseTrigger", journey_id=journey_id)
    if status == "STOPPED":
        await stage.call("StopJourney", journey_id=journey_id)
    if status == "STOPPING":  # it is over its cap, and the message that it had room for is still to leave
        await stage.emulator("post", LINE, "faults", {"kind": "rate", "count": None})
        for customer in await stage.customers(2):
            await stage.trigger(journey_id, customer)
    await stage.until_status(journey_id, STATUS.Value(f"JOURNEY_STATUS_{status}"))
    return journey_id


def _actions(stage: Stage) -> dict[str, Callable[[str], Awaitable[Any]]]:
    async def edit_nodes(journey_id: str) -> None:
        nodes = (await stage.seen(journey_id)).definition.nodes
        for each in nodes:
            if each.WhichOneof("kind") == "delay":
                each.delay.delay.FromSeconds(7_200)
        await stage.edit(journey_id, nodes=nodes)

    async def move_end(journey_id: str) -> None:
        await stage.edit(journey_id, schedule=await stage.period(3, 4))

    return {
        "edit": edit_nodes,
        "delete a node": lambda each: stage.edit(each, nodes=[waits("wait")]),
        "target channels": lambda each: stage.edit(each, targets=stage.targets(LINE, WHATSAPP)),
        "active time": move_end,
        "publish": lambda each: stage.call("PublishJourney", journey_id=each),
        "close trigger": lambda each: stage.call("CloseTrigger", journey_id=each),
        "stop": lambda each: stage.call("StopJourney", journey_id=each),
        "delete": lambda each: stage.call("DeleteJourney", journey_id=each),
    }


@pytest.mark.rule("J-05a", "J-03e")
@pytest.mark.parametrize("status", list(ALLOWED))
async def test_each_status_allows_its_actions_and_refuses_the_others_by_their_names(
    stage: Stage, status: str
) -> None:
    module_id = await stage.module("Hi")
    actions = _actions(stage)
    refused = [action for action in actions if action not in ALLOWED[status]]
    journey_id = await _in_status(stage, status, module_id)
    try:
        for action in refused:
            told = await refusal(actions[action](journey_id))
            assert told.metadata["status"] == status, (action, told)
            if told.reason == "EDIT_FORBIDDEN":
                fields = {
                    "delete a node": {"nodes"},
                    "target channels": {"targets"},
                    "active time": {"schedule"},
                }
                assert {fault.field for fault in told.violations} == fields[action]
            else:
                named = action if action in told.metadata["action"] else "edit"
                assert (told.reason, told.metadata["action"]) == ("STATUS_FORBIDS_ACTION", named)
        assert (await stage.seen(journey_id)).status == STATUS.Value(f"JOURNEY_STATUS_{status}")
        copied = (await stage.call("CopyJourney", journey_id=journey_id)).journey
        assert copied.status == STATUS.Value("JOURNEY_STATUS_DRAFT")
        for action in ALLOWED[status]:
            await actions[action](journey_id)
            if action in ("publish", "close trigger", "stop", "delete") and status != "STOPPING":
                journey_id = await _in_status(stage, status, module_id)
    finally:
        await stage.emulator("delete", LINE, "faults", None)


@pytest.mark.rule("J-02a", "J-02b")
async def test_a_closed_trigger_lets_nobody_in_and_those_inside_walk_to_the_end(stage: Stage) -> None:
    module_id = await stage.module("See you")
    journey_id = await stage.live(waits("wait", "bye"), says("bye", module_id))
    inside, late = await stage.customers(2)
    await stage.trigger(journey_id, inside)
    await stage.until_waiting(journey_id, DELAY)
    await stage.call("CloseTrigger", journey_id=journey_id)
    (told,) = await stage.trigger(journey_id, late)
    assert not told.accepted
    await stage.site.advance(minutes=1)
    await stage.until_done(journey_id)
    assert await stage.texts(inside, late) == ["See you"]
    assert len(await stage.enrolments(journey_id)) == 1


@pytest.mark.rule("J-03a", "J-03b", "J-03f")
async def test_a_stop_halts_everybody_where_they_stand_and_nothing_more_leaves(stage: Stage) -> None:
    module_id = await stage.module("Hello")
    journey_id = await stage.live(
        waits("wait", "hello"),
        says("hello", module_id, "late"),
        waits("late"),
        targets=stage.targets(line=10),
    )
    resting, sending, late = await stage.customers(3)
    await stage.trigger(journey_id, sending)
    await stage.until_waiting(journey_id, DELAY)
    await stage.emulator("post", LINE, "faults", {"kind": "rate", "count": None})
    try:
        await stage.site.advance(minutes=1)
        await stage.until_waiting(journey_id, SEND)
        await stage.trigger(journey_id, resting)
        await stage.until_waiting(journey_id, DELAY)
        await stage.call("StopJourney", journey_id=journey_id)
    finally:
        await stage.emulator("delete", LINE, "faults", None)
    await stage.until_status(journey_id, STATUS.Value("JOURNEY_STATUS_STOPPED"))
    halted = enrolment_pb2.ENROLMENT_STATE_HALTED
    assert [each.state for each in await stage.enrolments(journey_id)] == [halted] * 2
    (told,) = await stage.trigger(journey_id, late)
    assert not told.accepted
    await stage.site.advance(hours=1)
    assert await stage.texts(resting, sending, late) == []
    assert await stage.steps(journey_id, sending) == [
        *("wait DELAY_STARTED", "wait DELAY_ENDED", "hello SEND_REQUESTED", "hello CANCELLED JOURNEY_STOPPED")
    ]
    usage = await stage.call("GetJourneyUsage", journey_id=journey_id)
    assert not any(each.used for each in usage.usages), "the place was given back"


@pytest.mark.rule("J-03b")
async def test_a_journey_is_stopping_for_as_long_as_somebody_is_not_halted(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    journey_id = await stage.live(waits("wait", hours=1))
    customer = await stage.customer()
    await stage.trigger(journey_id, customer)
    await stage.until_waiting(journey_id, DELAY)
    commit, look = TurnStore.commit, JourneyStore.has_live_enrolments
    may_halt, looks = asyncio.Event(), 0

    async def held_back(self: TurnStore, *turns: Any) -> Any:
        await may_halt.wait()
        return await commit(self, *turns)

    async def counted(self: JourneyStore, *of: Any) -> bool:
        nonlocal looks
        found = await look(self, *of)
        looks += 1
        return found

    async def was_looked_at() -> bool:
        return looks >= 2

    with monkeypatch.context() as patched:
        patched.setattr(TurnStore, "commit", held_back)
        patched.setattr(JourneyStore, "has_live_enrolments", counted)
        await stage.call("StopJourney", journey_id=journey_id)
        await until(was_looked_at)
        assert (await stage.seen(journey_id)).status == STATUS.Value("JOURNEY_STATUS_STOPPING")
        may_halt.set()
    await stage.until_status(journey_id, STATUS.Value("JOURNEY_STATUS_STOPPED"))
    [halted] = await stage.enrolments(journey_id)
    assert halted.state == enrolment_pb2.ENROLMENT_STATE_HALTED


@pytest.mark.rule("J-04d")
async def test_a_period_that_is_over_is_refused_whenever_it_is_published(stage: Stage) -> None:
    past = await stage.draft(waits("wait"), schedule=await stage.period(-2, -1))
    just = await stage.draft(waits("wait"), schedule=await stage.period(-2, 1))
    await stage.site.advance(hours=1)
    for journey_id in (past, just):
        told = await refusal(stage.call("PublishJourney", journey_id=journey_id))
        assert [fault.field for fault in told.violations] == ["schedule.end_time"]
        assert (await stage.seen(journey_id)).status == STATUS.Value("JOURNEY_STATUS_DRAFT")
    await stage.live(waits("wait"), schedule=await stage.period(-2, 1))


@pytest.mark.rule("J-06c", "J-06d")
async def test_a_node_is_met_as_it_is_on_entry_and_a_timer_that_is_set_stays(stage: Stage) -> None:
    old, new = await stage.module("old"), await stage.module("new")
    journey_id = await stage.live(waits("wait", "hello", hours=1), says("hello", old))
    early, late = await stage.customers(2)
    await stage.trigger(journey_id, early)
    await stage.until_waiting(journey_id, DELAY)
    await stage.edit(journey_id, nodes=[waits("wait", "hello", hours=3), says("hello", new)])
    await stage.trigger(journey_id, late)
    await stage.until_waiting(journey_id, DELAY, 2)
    await stage.site.advance(hours=1)
    await stage.until_done(journey_id)
    assert (await stage.texts(early), await stage.texts(late)) == (["new"], [])
    await stage.site.advance(hours=2)
    await stage.until_done(journey_id, 2)
    assert await stage.texts(early, late) == ["new", "new"]


@pytest.mark.rule("J-06b")
async def test_every_edit_is_a_revision_with_who_and_when_and_any_two_are_compared(stage: Stage) -> None:
    began = await stage.site.now()
    journey_id = await stage.live(waits("wait", hours=1), name="First")
    await stage.site.advance(hours=1)
    await stage.edit(journey_id, name="Second")
    await stage.edit(journey_id, nodes=[waits("wait", hours=2)])
    listed = list((await stage.call("ListRevisions", journey_id=journey_id)).revisions)
    assert [(each.revision, each.definition.name, each.actor) for each in listed] == [
        *((3, "Second", "installation"), (2, "Second", "installation"), (1, "First", "installation"))
    ]
    hours = [(each.create_time.ToDatetime(began.tzinfo) - began) // timedelta(hours=1) for each in listed]
    assert hours == [1, 1, 0]

    async def changed(before: int, after: int) -> set[str]:
        compared = await stage.call(
            "CompareRevisions", journey_id=journey_id, before_revision=before, after_revision=after
        )
        return {change.field for change in compared.changes}

    assert await changed(1, 2) == await changed(2, 1) == {"name"}
    assert len(await changed(1, 3)) == 2
    assert not await changed(3, 3)


@pytest.mark.rule("J-10a")
async def test_all_that_a_definition_holds_is_kept_and_lived_by(stage: Stage) -> None:
    module_id = await stage.module("Hi")
    definition = journey_pb2.Definition(
        name="All",
        schedule=await stage.period(-1, 10, journey_pb2.EXPIRY_ACTION_STOP),
        do_not_disturb=journey_pb2.DoNotDisturb(
            windows=[
                journey_pb2.QuietWindow(start_minute=1380, end_minute=1440),
                journey_pb2.QuietWindow(
                    start_minute=0, end_minute=480, weekdays=[journey_pb2.WEEKDAY_MONDAY]
                ),
            ]
        ),
        enrolments_per_customer_max=2,
        trigger={"system": {}},  # type: ignore[arg-type]
        targets=stage.targets(LINE, WHATSAPP, line=5, whatsapp=7),
        nodes=[
            waits("wait", "hello"),
            says("hello", module_id, "ask"),
            node(
                "ask",
                condition=node_pb2.ConditionNode(
                    audience={"tags": {"operator": 1, "tags": ["VIP"]}},  # type: ignore[arg-type]
                    yes=node_pb2.Branch(node_id="tag"),
                    no={"end": {}},  # type: ignore[arg-type]
                ),
            ),
            node("tag", "points", tags=node_pb2.TagsNode(add=["seen"], remove=["new"])),
            node("points", points=node_pb2.PointsNode(add=5)),
        ],
    )
    made = (await stage.call("CreateJourney", definition=definition)).journey
    assert made.definition == definition
    published = (await stage.call("PublishJourney", journey_id=made.journey_id)).journey
    assert (published.definition, published.status) == (definition, STATUS.Value("JOURNEY_STATUS_ACTIVE"))
    vip = await stage.customer(LINE, tags=["VIP", "new"])
    for _ in range(3):
        await stage.trigger(made.journey_id, vip)
    await stage.until_waiting(made.journey_id, DELAY, 2)
    await stage.site.advance(minutes=1)
    await stage.until_done(made.journey_id, 2)
    assert await stage.texts(vip) == ["Hi", "Hi"]
    assert sorted((await stage.person(vip)).tags) == ["VIP", "seen"]
    assert await stage.balance(vip) == (10, 10)
