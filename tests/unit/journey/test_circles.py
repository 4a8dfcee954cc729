"""Journeys that start each other in a circle are told with the way that it takes."""

from __future__ import annotations

from uuid import UUID

import pytest

from services.journey.domain import model as d
from services.journey.domain.circles import Chained, chained_of, circles_of
from services.journey.domain.references import references_of
from tests.unit.journey.builders import journey

KINDS = {4, 5}


def live(number: int, trigger: d.Trigger, *actions: d.Action) -> Chained:
    """A live journey, by the references that are noted of it."""
    nodes = [d.Node(f"n{place}", action) for place, action in enumerate(actions)]
    definition = journey(*nodes, number=number, trigger=trigger).definition
    named = references_of(definition, lambda _: pytest.fail("no condition"))
    found = [((int(each.kind), each.thing), each.fields) for each in named if each.kind in KINDS]
    return chained_of(UUID(int=number), definition.name, found)


def told(trigger: d.Trigger, action: d.Action, *others: Chained) -> list[tuple[str, str]]:
    definition = journey(d.Node("n", action), trigger=trigger).definition
    return [(each.field, each.description) for each in circles_of(definition, others)]


@pytest.mark.rule("J-25c")
def test_a_circle_is_told_by_the_names_of_its_journeys_in_their_order() -> None:
    there = live(1, d.TagTrigger(("B",)), d.Attribute("tier", "gold"))
    back = live(2, d.AttributeTrigger(("tier", "size")), d.Tags(("c",)), d.Tags(("A",)))
    aside = live(3, d.TagTrigger(("b",)), d.Tags(("nothing",)))
    [(field, text)] = told(d.TagTrigger(("a",)), d.Tags(("x", "b")), aside, there, back)
    assert field == "nodes[0].tags.add"
    assert "journey 1 → journey 2," in text
    assert told(d.TagTrigger(("a",)), d.Tags(("x",)), aside, there, back) == []
    assert told(d.TagTrigger(("a",)), d.Tags(("b",)), aside, there) == []
    assert told(d.CheckoutTrigger(), d.Tags(("b",)), aside, there, back) == []


@pytest.mark.rule("J-25c")
def test_what_a_journey_removes_asks_or_is_started_by_is_no_link_of_a_chain() -> None:
    removes = live(1, d.TagTrigger(("b",)), d.Tags(remove=("a",)))
    named = live(2, d.TagTrigger(("b", "a")), d.Tags(("c",)))
    assert told(d.TagTrigger(("a",)), d.Tags(("b",)), removes, named) == []
    asks = chained_of(UUID(int=3), "asks", [((4, "tier"), ["nodes[0].condition.audience.attribute.key"])])
    assert asks.does == frozenset()


@pytest.mark.rule("J-25c")
def test_a_circle_beside_the_way_does_not_keep_anybody() -> None:
    round_one = live(1, d.TagTrigger(("b", "d")), d.Tags(("c",)))
    round_two = live(2, d.TagTrigger(("c",)), d.Tags(("d",)))
    assert told(d.TagTrigger(("a",)), d.Tags(("b",)), round_one, round_two) == []
    [(_, text)] = told(
        d.AttributeTrigger(("tier",)),
        d.Attribute("size", "L"),
        round_one,
        live(3, d.AttributeTrigger(("size",)), d.Tags(("b",))),
        live(4, d.TagTrigger(("d",)), d.Attribute("tier", "x")),
        round_two,
    )
    assert "journey 3 → journey 1 → journey 2 → journey 4," in text
