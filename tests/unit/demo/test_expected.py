"""The independent count of what must come out."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from libs.demo.expected import expect, points_of
from libs.demo.shop import PROFILE
from libs.demo.stream import Checkout, Item, Kind, Stream

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
