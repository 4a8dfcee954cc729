"""The split: its step, what becomes of who is held out, its faults, and what an edit may not change of it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from libs.common.errors import FailedPrecondition
from libs.common.rpc.fields import FieldCheck
from omnijourney.journey.v1 import journey_pb2, node_pb2
from services.journey.convert.journeys import definition_from, definition_message
from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.domain.edit import require_editable
from services.journey.domain.enrolment import Enrolment, EnrolmentState, StepResult, WaitReason
from services.journey.domain.splits import way_of
from services.journey.domain.validate import faults_of
from tests.unit.journey.builders import CUSTOMER, NOW, checkout, journey, message, run

END = node_pb2.Branch(end=node_pb2.EndOfJourney())


def split(*ways: d.Way, node_id: str = "divide", following: str | None = None) -> d.Node:
    return d.Node(node_id, d.Split(ways), following)


HALF = split(d.Way(50, "offer"), d.Way(50, holdout=True))
OFFER = message("offer")


def results(turn: object) -> list[tuple[str, StepResult, str]]:
    steps = [step for segment in turn.run_segments for step in segment.steps]  # type: ignore[attr-defined]
    return [(step.node_id, step.result, step.detail) for step in steps]


def test_the_way_is_taken_and_told_by_its_number() -> None:
    nodes = (split(d.Way(0, "no"), d.Way(100, "offer"), d.Way(0)), OFFER, message("no"))
    turn = run([journey(*nodes)], [checkout(1)])
    assert results(turn)[:2] == [
        ("divide", StepResult.WAY_TAKEN, "2"),
        ("offer", StepResult.SEND_REQUESTED, ""),
    ]


def test_who_is_held_out_gets_nothing_and_has_completed() -> None:
    asked: list[fx.Effect] = []
    nodes = (split(d.Way(0, "offer"), d.Way(100, holdout=True)), OFFER)
    turn = run([journey(*nodes)], [checkout(1)], asked=asked)
    assert results(turn) == [("divide", StepResult.HELD_OUT, "2")]
    assert turn.enrolments[0].state is EnrolmentState.COMPLETED
    assert not any(isinstance(effect, fx.Send) for effect in asked)


def test_a_way_to_the_end_completes() -> None:
    turn = run([journey(split(d.Way(100), d.Way(0)))], [checkout(1)])
    assert (results(turn), turn.enrolments[0].state) == (
        [("divide", StepResult.WAY_TAKEN, "1")],
        EnrolmentState.COMPLETED,
    )


def test_as_many_splits_as_a_journey_may_have_are_walked_at_once() -> None:
    last = d.Way(100)
    nodes = [
        split(d.Way(100, f"n{n + 1}") if n < 199 else last, d.Way(0), node_id=f"n{n}") for n in range(200)
    ]
    turn = run([journey(*nodes)], [checkout(1)])
    assert len(results(turn)) == 200
    assert turn.enrolments[0].state is EnrolmentState.COMPLETED


def test_nobody_goes_on_by_a_split_in_a_journey_that_stops() -> None:
    given = journey(split(d.Way(100, "offer"), d.Way(0)), OFFER)
    schedule = d.Schedule(NOW - timedelta(days=1), NOW, d.ExpiryAction.STOP)
    ended = msgspec.structs.replace(
        given, definition=msgspec.structs.replace(given.definition, schedule=schedule)
    )
    waiting = Enrolment(
        *(UUID(int=9), given.journey_id, given.team_id, CUSTOMER, UUID(int=8), 0, NOW),
        node_id="divide",
        wait=WaitReason.DELAY,
        wake_at=NOW,
    )
    turn = run([ended], enrolments=[waiting])
    assert results(turn) == [("divide", StepResult.HALTED, "JOURNEY_STOPPED")]


def test_every_enrolment_and_every_revision_sends_the_same_customer_the_same_way() -> None:
    given = journey(HALF, OFFER)
    edited = msgspec.structs.replace(given, revision=7, version=9)
    turns = [run([each], [checkout(number)]) for each in (given, edited) for number in range(1, 9)]
    assert len({results(turn)[0] for turn in turns}) == 1


def test_two_journeys_of_one_definition_divide_customers_anew() -> None:
    action = HALF.action
    assert isinstance(action, d.Split)
    ways = {way_of(action, UUID(int=number), "divide", CUSTOMER) for number in range(64)}
    assert ways == {0, 1}


def faults(*ways: d.Way, following: str | None = None) -> list[str]:
    nodes = (split(*ways, following=following), OFFER)
    return [fault.field for fault in faults_of(journey(*nodes).definition)]


def test_a_whole_split_has_no_fault() -> None:
    assert faults(d.Way(90, "offer"), d.Way(10, holdout=True)) == []


@pytest.mark.parametrize(
    ("ways", "path"),
    [
        ((), "nodes[0].split.ways"),
        ((d.Way(100, "offer"),), "nodes[0].split.ways"),
        ((d.Way(50, "offer"), d.Way(49)), "nodes[0].split.ways"),
        ((d.Way(50, "offer"), d.Way(51)), "nodes[0].split.ways"),
        ((d.Way(10, "offer"),) * 10 + (d.Way(0),), "nodes[0].split.ways"),
        ((d.Way(101, "offer"), d.Way(-1)), "nodes[0].split.ways[0].share"),
        ((d.Way(101, "offer"), d.Way(-1)), "nodes[0].split.ways[1].share"),
        ((d.Way(99, "nowhere"), d.Way(1, "offer")), "nodes[0].split.ways[0].target"),
        ((d.Way(1, "offer"), d.Way(1, "divide"), d.Way(98)), "nodes[0]"),
        (
            (d.Way(1, "offer"), d.Way(9, holdout=True), d.Way(90, holdout=True)),
            "nodes[0].split.ways[2].holdout",
        ),
    ],
)
def test_what_is_wrong_with_a_split_is_told_at_its_place(ways: tuple[d.Way, ...], path: str) -> None:
    assert path in faults(*ways)


def test_a_split_has_no_next_node_and_leads_only_where_its_ways_lead() -> None:
    assert faults(d.Way(60), d.Way(40), following="offer") == ["nodes[0].next_node_id", "nodes[1]"]


def node_message(*ways: node_pb2.SplitWay) -> journey_pb2.Definition:
    return journey_pb2.Definition(
        name="x", nodes=[node_pb2.Node(node_id="divide", split=node_pb2.SplitNode(ways=ways))]
    )


def test_the_contract_leads_to_the_domain_and_back() -> None:
    sent = node_message(
        node_pb2.SplitWay(share=30, target=node_pb2.Branch(node_id="offer")),
        node_pb2.SplitWay(share=60, target=END),
        node_pb2.SplitWay(share=10, holdout=True),
    )
    sent.trigger.system.SetInParent()
    check = FieldCheck()
    definition = definition_from(sent, check)
    assert not check.violations
    assert definition.draft is None
    assert definition.nodes[0].action == d.Split(
        (d.Way(30, "offer"), d.Way(60), d.Way(10, None, holdout=True))
    )
    assert definition_message(definition) == sent


@pytest.mark.parametrize(
    "way",
    [
        node_pb2.SplitWay(share=10),
        node_pb2.SplitWay(share=10, target=node_pb2.Branch()),
        node_pb2.SplitWay(share=10, holdout=True, target=END),
        node_pb2.SplitWay(share=10, holdout=True, target=node_pb2.Branch(node_id="offer")),
    ],
)
def test_a_way_that_does_not_say_where_it_leads_is_a_gap_and_so_is_a_holdout_that_does(
    way: node_pb2.SplitWay,
) -> None:
    sent = node_message(node_pb2.SplitWay(share=90, target=END), way)
    sent.trigger.system.SetInParent()
    definition = definition_from(sent, FieldCheck())
    assert definition.draft is not None
    assert [path for path, _ in definition.draft.gaps] == ["nodes[0].split.ways[1].target"]
    assert definition_message(definition) == sent, "the draft comes back as it was sent"


@pytest.mark.parametrize(
    "ways",
    [
        (d.Way(51, "offer"), d.Way(49, holdout=True)),
        (d.Way(50, "offer"), d.Way(50)),
        (d.Way(50, holdout=True), d.Way(50, "offer")),
        (d.Way(50, "offer"), d.Way(25), d.Way(25, holdout=True)),
    ],
)
def test_a_split_stays_as_it_is_once_published(ways: tuple[d.Way, ...]) -> None:
    given = journey(HALF, OFFER)
    with pytest.raises(FailedPrecondition) as refused:
        require_editable(given, journey(split(*ways), OFFER).definition)
    assert [fault.field for fault in refused.value.violations] == ["nodes"]
