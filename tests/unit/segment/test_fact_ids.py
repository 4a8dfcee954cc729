"""A report that is made again after a restore leaves facts under the ids that they had."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from libs.common.audience.expressions import AttributeType
from libs.testing.mails import TEAM
from services.segment.domain.changes import Traits, apply_changes
from services.segment.domain.events import record
from services.segment.domain.facts import Fact, FactBody, OrderReported, TagApplied
from services.segment.domain.model import (
    Attribute,
    AttributeChange,
    Change,
    ChangeBody,
    ContactAdded,
    Customer,
    Event,
    EventBody,
    IdentityKey,
    OrderCompleted,
    Selector,
    TagChange,
)
from services.segment.domain.recorder import EventContext
from services.segment.store.usual import value_row

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
ANN = UUID(int=1)
KEY = UUID(int=2)
LINE = IdentityKey(1, UUID(int=3), "U1")
ORDER = OrderCompleted(shop_id="s", order_id="o", amount_micros=5, currency="TWD", signed=True)


def report(body: EventBody, key: str = "report", team: UUID = TEAM) -> list[Fact]:
    """The facts of a report of somebody new."""
    event = Event(team, key, Selector(member_id="M-1"), NOW, body)
    return record(EventContext(unsigned_counts={team: True}), [event], NOW, iter(uuid4, None)).facts


def effect(body: ChangeBody, *tags: str, key: UUID = KEY) -> list[Fact]:
    """The facts of an effect on Ann, who has tags."""
    traits = Traits(
        attributes={(TEAM, "tier"): Attribute(TEAM, "tier", "Tier", AttributeType.TEXT, False, 1, NOW, NOW)},
        tags={(TEAM, ANN, tag): tag for tag in tags},
    )
    customers = {(TEAM, ANN): Customer(TEAM, ANN, revision=1)}
    changes = [Change(key, TEAM, ANN, 1, NOW, body)]
    return apply_changes(customers, traits, {}, changes, now=NOW, ids=iter(uuid4, None)).facts


def ids(facts: Iterable[Fact], kind: type[FactBody]) -> list[UUID]:
    """Ids of the facts of one kind."""
    return [fact.event_id for fact in facts if isinstance(fact.body, kind)]


@pytest.mark.parametrize("body", [ORDER, ContactAdded(LINE)], ids=["order", "contact"])
def test_a_report_that_nobody_knows_any_more_leaves_the_same_ids(body: EventBody) -> None:
    assert [fact.event_id for fact in report(body)] == [fact.event_id for fact in report(body)]


def test_an_id_is_of_one_report_of_one_team() -> None:
    facts = [*report(ORDER), *report(ORDER, "other"), *report(ORDER, team=UUID(int=9))]
    assert len({fact.event_id for fact in facts}) == len(facts)


def test_an_order_has_its_id_whether_its_customer_is_known_by_then_or_not() -> None:
    known = EventContext(
        unsigned_counts={TEAM: True},
        customers={(TEAM, ANN): Customer(TEAM, ANN, "M-1")},
        members={(TEAM, "m-1"): ANN},
    )
    event = Event(TEAM, "report", Selector(member_id="M-1"), NOW, ORDER)
    again = record(known, [event], NOW + timedelta(hours=1), iter(uuid4, None)).facts
    assert len(again) < len(report(ORDER))
    assert ids(again, OrderReported) == ids(report(ORDER), OrderReported)


def test_a_tag_has_its_id_whether_the_others_of_its_effect_are_there_by_then_or_not() -> None:
    both, one = effect(TagChange(add=("a", "b"))), effect(TagChange(add=("a", "b")), "a")
    assert ids(one, TagApplied) == ids(both, TagApplied)[1:]
    assert ids(effect(TagChange(add=("a", "b")), key=UUID(int=8)), TagApplied) != ids(both, TagApplied)


def test_an_attribute_has_its_id_whichever_way_it_is_written() -> None:
    body = AttributeChange("tier", "gold")
    (fact,) = effect(body)
    assert fact.event_id in value_row(1, Change(KEY, TEAM, ANN, 1, NOW, body))
