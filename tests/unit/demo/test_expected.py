"""The independent count of what must come out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from libs.demo.expected import expect, points_of
from libs.demo.shop import PROFILE
from libs.demo.stream import Checkout, Item, Kind, Stream, in_order

START = datetime(2010, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(("amount", "points"), [("4.99", 0), ("5", 1), ("14.99", 1), ("15", 2), ("150", 15)])
def test_points_are_rounded_half_up(amount: str, points: int) -> None:
    assert points_of(Decimal(amount)) == points


def test_a_small_stream() -> None:
    def at(hours: int, kind: Kind, amount: str, member: int | None, *items: str) -> Checkout:
        when = START + timedelta(hours=hours)
        lines = tuple(Item(name, 1) for name in items)
        return Checkout(kind, f"{kind.value}-{hours}", when, Decimal(amount), member, lines)

    stream = Stream(
        PROFILE,
        (
            at(1, Kind.ORDER, "500", 2, "White heart", "Mug"),
            at(2, Kind.ORDER, "600.50", 2, "Mug"),
            at(3, Kind.REFUND, "44.99", 3),
            at(4, Kind.ORDER, "3", 3, "SWEETHEART BOX"),
            at(5, Kind.ORDER, "900", None, "HEART"),
        ),
        lines=9,
    )
    expected = expect(stream)
    assert (expected.orders, expected.refunds, expected.anonymous, expected.customers) == (3, 1, 1, 2)
    assert (expected.earned, expected.refund_asked, expected.earning_orders) == (110, 4, 2)
    assert (expected.big_baskets, expected.big_customers) == (2, 1)
    assert (expected.favourite_orders, expected.favourite_reachable) == (2, 1)


@pytest.mark.parametrize(
    ("minutes", "undecided"), [(0, 1), (29, 1), (30, 1), (31, 0), (-1, 0), (-1_440, 0), (1_440, 0)]
)
def test_an_order_as_the_condition_looks_leaves_it_undecided(minutes: int, undecided: int) -> None:
    first = Checkout(Kind.ORDER, "1", START, Decimal(500), 2)
    other = replace(first, reference="2", occurred_at=START + timedelta(days=1, minutes=minutes))
    later = replace(first, reference="3", occurred_at=other.occurred_at - timedelta(days=1), member=3)
    stream = Stream(PROFILE, in_order([first, other, later]), lines=3)
    assert expect(stream).undecided == undecided
