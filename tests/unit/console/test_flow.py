"""What went along the ways of a tree, and what dropped off on them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from babel import Locale

from libs.console.formats import Formats
from libs.console.journeys.flow import Flow, flow_of
from libs.console.journeys.shaping import insert
from libs.console.journeys.tree import START, tree_of
from omnijourney.journey.v1 import enrolment_pb2 as steps
from omnijourney.journey.v1.journey_pb2 import Definition
from omnijourney.stats.v1 import figures_pb2 as pb

pytestmark = [pytest.mark.rule("X-07"), pytest.mark.rule("T-04")]


def _said(text: str, **values: object) -> str:
    return text % values


def _flow(definition: Definition, *figures: pb.NodeFigures) -> Flow:
    return flow_of(Formats(Locale.parse("en_GB"), ZoneInfo("UTC")), _said, definition, figures)


def _result(result: steps.StepResult.ValueType, count: int) -> pb.NodeResult:
    return pb.NodeResult(result=result, count=count)


def test_each_way_says_how_many_took_it_and_what_was_lost_before_the_next_node() -> None:
    definition = Definition()
    insert(definition, START, "message")
    insert(definition, "message-1.next", "condition")
    insert(definition, "condition-1.no", "wait")
    flow = _flow(
        definition,
        pb.NodeFigures(
            node_id="message-1",
            entered_count=1200,
            passed_count=1170,
            dropped_count=30,
            drop_off=pb.Ratio(value=0.025),
        ),
        pb.NodeFigures(
            node_id="condition-1",
            entered_count=1170,
            dropped_count=1,
            drop_off=pb.Ratio(value=1 / 1170),
            results=[_result(steps.STEP_RESULT_YES, 70), _result(steps.STEP_RESULT_NO, 1099)],
        ),
        pb.NodeFigures(
            node_id="wait-1",
            entered_count=1099,
            results=[_result(steps.STEP_RESULT_WAIT_STARTED, 1099), _result(steps.STEP_RESULT_TIMED_OUT, 9)],
        ),
    )
    assert flow.taken == {
        START: "1,200",
        "message-1.next": "1,170",
        "condition-1.yes": "70",
        "condition-1.no": "1,099",
        "wait-1.timed_out": "9",
    }
    assert flow.lost == {
        "message-1.next": "30 dropped off (2.5%)",
        "condition-1.ways": "1 dropped off (0.1%)",
    }
    drawn = {each.way.place for each in tree_of(definition).drawn()}
    assert {*flow.taken, *flow.lost} <= drawn, "each has a place where it is drawn"


def test_a_split_says_how_many_went_each_way_and_nobody_is_said_where_nobody_came() -> None:
    definition = Definition()
    insert(definition, START, "split")
    insert(definition, "split-1.way0", "delay")
    ways = [steps.WayCount(way=1, count=8), steps.WayCount(way=2, count=2)]
    flow = _flow(definition, pb.NodeFigures(node_id="split-1", entered_count=10, ways=ways))
    assert flow == Flow({START: "10", "split-1.way0": "8", "split-1.way1": "2"}, {})
    assert _flow(definition) == Flow({}, {})
