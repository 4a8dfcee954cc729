"""Effects of journeys come again under their keys, and get the first answer."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from msgspec.structs import replace

from libs.testing.mails import TEAM
from services.segment.domain.changes import Applied, Traits, apply_changes
from services.segment.domain.facts import TagApplied
from services.segment.domain.model import Change, ChangeBody, Customer, MarketedChange, TagChange
from services.segment.domain.results import ChangeStatus

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
ANN = UUID(int=1)
KEY = UUID(int=2)


def ids() -> Iterator[UUID]:
    """Ids without end."""
    number = 100
    while True:
        number += 1
        yield UUID(int=number)


def applied(*changes: Change) -> Applied:
    """What becomes of a batch."""
    customers = {(TEAM, ANN): Customer(TEAM, ANN, revision=1)}
    return apply_changes(customers, Traits(), {}, changes, now=NOW, ids=ids())


def change(body: ChangeBody) -> Change:
    """One effect."""
    return Change(KEY, TEAM, ANN, 1, NOW, body)


def test_a_turn_that_is_run_again_later_gets_the_first_answer() -> None:
    first = change(TagChange(add=("vip",)))
    result = applied(first, replace(first, occurred_at=LATER))
    assert [r.status for r in result.results] == [ChangeStatus.APPLIED, ChangeStatus.APPLIED]
    assert result.results[1].replayed
    assert result.results[1].reason == ""


def test_a_key_is_of_one_effect() -> None:
    result = applied(change(TagChange(add=("vip",))), change(TagChange(add=("other",))))
    assert (result.results[1].status, result.results[1].reason) == (
        ChangeStatus.REFUSED,
        "EFFECT_KEY_REUSED",
    )


def test_marks_need_no_key_the_latest_stays() -> None:
    result = applied(change(MarketedChange(LATER)), change(MarketedChange(NOW)))
    assert [r.status for r in result.results] == [ChangeStatus.APPLIED, ChangeStatus.UNCHANGED]
    assert result.effects == {}


@pytest.mark.rule("J-22c")
def test_a_tag_is_told_with_those_that_the_same_call_applied_before_it() -> None:
    other = replace(change(TagChange(add=("d",))), effect_key=UUID(int=3))
    told = [fact.body for fact in applied(change(TagChange(add=("a", "A", "b", "c"))), other).facts]
    assert told == [
        TagApplied("a"),
        TagApplied("b", ("a",)),
        TagApplied("c", ("a", "b")),
        TagApplied("d"),
    ]
