"""Trees: how they are drawn, and what putting in and taking out makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.console.journeys.quiet_week import drawn_week
from libs.console.journeys.shaping import NODES_MAX, insert, remove, reshape_split
from libs.console.journeys.tree import START, Tree, in_order, tree_of
from libs.console.journeys.words import NODES
from omnijourney.journey.v1.journey_pb2 import Definition, DoNotDisturb, QuietWindow
from omnijourney.stats.v1.figures_pb2 import NodeFigures

pytestmark = pytest.mark.rule("X-07")


def places(tree: Tree) -> list[str]:
    """Where a node can be put, as it is drawn."""
    return [each.way.place for each in tree.drawn() if each.what == "way" and each.way.is_open]


def nodes(tree: Tree) -> list[str]:
    """Nodes from the top."""
    return [each.step.node.node_id for each in tree.drawn() if each.step is not None]


def test_a_node_is_put_in_between_and_what_follows_goes_on_its_first_way() -> None:
    definition = Definition()
    assert insert(definition, START, "message") == "message-1"
    insert(definition, "message-1.next", "delay")
    insert(definition, "message-1.next", "condition")
    insert(definition, "condition-1.no", "tags")
    insert(definition, START, "points")
    tree = tree_of(definition)
    assert nodes(tree) == ["points-1", "message-1", "condition-1", "delay-1", "tags-1"]
    assert places(tree) == [
        "start", "points-1.next", "message-1.next", "condition-1.yes", "delay-1.next", "condition-1.no", "tags-1.next"
    ]  # fmt: skip


def test_taking_a_branching_node_out_keeps_what_follows_on_its_first_way() -> None:
    definition = Definition()
    insert(definition, START, "condition")
    insert(definition, "condition-1.yes", "message")
    insert(definition, "condition-1.no", "delay")
    remove(definition, "condition-1")
    assert [node.node_id for node in definition.nodes] == ["message-1"]
    remove(definition, "message-1")
    assert not definition.nodes


def test_a_node_that_two_ways_lead_to_is_drawn_once() -> None:
    definition = Definition()
    insert(definition, START, "condition")
    insert(definition, "condition-1.yes", "message")
    definition.nodes[0].condition.no.node_id = "message-1"
    tree = tree_of(definition)
    assert nodes(tree) == ["condition-1", "message-1"]
    assert [each.way.jump for each in tree.drawn() if each.what == "jump"] == ["message-1"]


def test_a_way_that_is_taken_out_of_a_split_takes_no_other_along() -> None:
    definition = Definition()
    insert(definition, START, "split")
    insert(definition, "split-1.way0", "message")
    insert(definition, "split-1.way1", "delay")
    reshape_split(definition.nodes[0], [(1, 90, False), (2, 10, True)])
    assert [way.target.node_id for way in definition.nodes[0].split.ways] == ["delay-1", ""]
    assert "split-1.way1" not in places(tree_of(definition)), "nothing comes after a holdout"


def test_what_is_not_there_is_refused() -> None:
    definition = Definition()
    for place, kind in (("nowhere.next", "delay"), ("start", "nothing")):
        with pytest.raises(KeyError):
            insert(definition, place, kind)
    insert(definition, START, "delay")
    with pytest.raises(KeyError):
        insert(definition, "delay-1.yes", "delay")
    for _ in range(NODES_MAX - 1):
        insert(definition, START, "delay")
    with pytest.raises(ValueError, match="200"):
        insert(definition, START, "delay")


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(sorted(NODES)), st.booleans()), max_size=25))
def test_whatever_is_put_in_and_taken_out_every_node_is_reached_and_no_way_leads_nowhere(
    steps: list[tuple[int, str, bool]],
) -> None:
    definition = Definition()
    for number, kind, takes_out in steps:
        tree = tree_of(definition)
        if takes_out and definition.nodes:
            remove(definition, definition.nodes[number % len(definition.nodes)].node_id)
        else:
            open_places = places(tree)
            insert(definition, open_places[number % len(open_places)], kind)
        tree = tree_of(definition)
        assert not tree.unreached
        assert sorted(nodes(tree)) == sorted(node.node_id for node in definition.nodes)
        assert [each for each in tree.drawn() if each.what == "jump"] == []


def test_quiet_time_is_drawn_on_each_of_its_days_past_midnight_too() -> None:
    night = QuietWindow(start_minute=23 * 60, end_minute=8 * 60, weekdays=[7])  # type: ignore[list-item]
    assert drawn_week(DoNotDisturb(windows=[night])) == [(6, 1380, 60), (0, 0, 480)]
    daily = QuietWindow(start_minute=0, end_minute=480)
    assert len(drawn_week(DoNotDisturb(windows=[daily]))) == 7


def test_what_is_known_of_nodes_stands_in_the_order_of_the_tree() -> None:
    definition = Definition()
    insert(definition, START, "message")
    insert(definition, START, "condition")
    insert(definition, "condition-1.no", "delay")
    figures = [NodeFigures(node_id=each) for each in ("delay-1", "gone", "message-1", "condition-1")]
    found = [each.node_id for each in in_order(definition, figures)]
    assert found == ["condition-1", "message-1", "delay-1", "gone"]
