"""What is left of an order, however and in whatever order its refunds are told."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import timedelta

import pytest

from services.segment.domain import refunds
from services.segment.domain.events import record
from services.segment.domain.facts import OrderReported, RefundReported
from services.segment.domain.model import Event, EventBody, OrderCompleted, OrderRefunded, Selector, Uncounted
from services.segment.domain.recorder import Recording
from services.segment.domain.results import EventStatus
from tests.property.segment.test_events import START, TEAM, known_at_first, remember, some_ids

MEI = Selector(member_id="mei")
NOBODY = Selector()


def _order(amount: int = 1_000, *, who: Selector = MEI, signed: bool = True) -> tuple[EventBody, Selector]:
    return OrderCompleted("s", "o1", amount, "TWD", signed=signed), who


def _refund(
    number: int, amount: int, *, currency: str = "TWD", signed: bool = True
) -> tuple[EventBody, Selector]:
    return OrderRefunded("s", f"r{number}", amount, currency, "o1", signed), NOBODY


def _left(left: int, *, currency: str = "TWD") -> tuple[EventBody, Selector]:
    return OrderRefunded("s", f"o1:left:{left}", 0, currency, "o1", True, left_micros=left), NOBODY


def _recorded(reports: Iterable[tuple[EventBody, Selector]], *, unsigned: bool = False) -> list[Recording]:
    """Each report in a batch of its own."""
    known, ids = known_at_first(unsigned_counts=unsigned), some_ids()
    recordings = []
    for number, (body, selector) in enumerate(reports):
        event = Event(TEAM, f"e{number}", selector, START + timedelta(minutes=number), body)
        recordings.append(record(known, [event], START + timedelta(hours=1), ids))
        remember(known, recordings[-1])
    return recordings


def _taken(recordings: Iterable[Recording]) -> list[int]:
    """What refunds that count took, in order."""
    bodies = [
        fact.body for recording in recordings for fact in recording.facts if fact.mail_number is not None
    ]
    return [body.refund.amount_micros for body in bodies if isinstance(body, RefundReported)]


@pytest.mark.rule("C-21d")
@pytest.mark.parametrize(
    "reports", list(itertools.permutations([_order(), _refund(1, 600), _refund(2, 100)]))
)
def test_refunds_count_whenever_they_are_reported(reports: tuple[tuple[EventBody, Selector], ...]) -> None:
    recordings = _recorded(reports)
    assert sorted(_taken(recordings)) == [100, 600]
    assert all(each.results[0].status == EventStatus.ACCEPTED for each in recordings)


@pytest.mark.rule("C-21d")
def test_a_refund_of_an_order_that_nobody_made_counts_once_somebody_did() -> None:
    recordings = _recorded([_order(who=NOBODY), _refund(1, 600), _order(), _order(), _refund(1, 600)])
    assert _taken(recordings[:2]) == []
    assert _taken(recordings[2:]) == [600]
    kinds = [type(fact.body) for fact in recordings[2].facts if fact.mail_number is not None]
    assert kinds == [OrderReported, RefundReported]


@pytest.mark.rule("C-21d")
def test_a_refund_that_nobody_vouches_for_does_not_count_with_its_order() -> None:
    assert _taken(_recorded([_refund(1, 600, signed=False), _order()])) == []
    assert _taken(_recorded([_refund(1, 600, signed=False), _order()], unsigned=True)) == [600]


def test_an_anonymous_order_after_its_refund_is_stored_as_if_it_came_first() -> None:
    recordings = _recorded([_refund(1, 600), _order(who=NOBODY), _order(who=NOBODY)])
    stored = [fact.body for fact in recordings[1].facts if isinstance(fact.body, OrderReported)]
    assert [each.uncounted for each in stored] == [Uncounted.ANONYMOUS]
    statuses = [each.results[0].status for each in recordings]
    assert statuses == [EventStatus.ACCEPTED, EventStatus.ACCEPTED, EventStatus.DUPLICATE]


@pytest.mark.parametrize(
    ("reports", "taken"),
    [
        ([_order(360), _left(260), _left(260)], [100]),
        ([_order(360), _left(260), _left(300), _left(200)], [100, 60]),
        ([_order(360), _left(0), _left(0)], [360]),
        ([_left(260), _order(360)], [100]),
        ([_left(0), _order(360), _left(0)], [360]),
        ([_order(360), _left(400)], []),
        ([_left(0), _left(360), _order(360)], []),
        ([_left(360), _left(0), _order(360)], [360]),
        ([_order(360), _refund(1, 100), _left(260)], [100]),
        ([_order(360), _refund(1, 100), _left(0)], [100, 260]),
        ([_order(360), _left(260), _refund(1, 100)], [100, 0]),
        ([_order(360), _left(0), _refund(1, 360)], [360, 0]),
        ([_order(360), _left(260), _refund(1, 150)], [100, 50]),
        ([_order(360), _left(260), _refund(1, 100), _left(160)], [100, 0, 100]),
        ([_left(260), _refund(1, 100), _order(360)], [100]),
        ([_order(360), _refund(1, 5, currency="USD"), _left(260)], [5, 100]),
    ],
)
def test_what_is_left_is_taken_back_once(reports: list[tuple[EventBody, Selector]], taken: list[int]) -> None:
    assert _taken(_recorded(reports)) == taken


def test_what_is_left_in_another_currency_is_refused() -> None:
    (result,) = _recorded([_order(), _left(5, currency="USD")])[1].results
    assert (result.status, result.reason) == (EventStatus.REFUSED, "INVALID_FIELDS")
    assert "TWD" in result.message


def test_an_order_has_so_many_refunds_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refunds.REFUNDS_MAX == 1_000
    monkeypatch.setattr(refunds, "REFUNDS_MAX", 3)
    recordings = _recorded([_order(5_000), *(_refund(number, 1) for number in range(4))])
    assert [each.results[0].status for each in recordings[-2:]] == [EventStatus.ACCEPTED, EventStatus.REFUSED]
