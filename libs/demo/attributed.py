"""Whose the month's orders are, recounted from who opened what and the source alone: one plain pass, no shared code."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from libs.demo.stream import Checkout, Kind
from libs.demo.visitors import Visit

WINDOW = timedelta(days=7)
"""How long after the last opening an order is the journey's; the default of teams."""


@dataclass(frozen=True, slots=True)
class Attributed:
    """What links of a journey led to."""

    clicked: int = 0
    """Messages whose link was opened."""
    orders: int = 0
    revenue: Decimal = Decimal(0)


def attribute(
    checkouts: Iterable[Checkout], visits: Iterable[Visit], journeys: Mapping[str, str]
) -> dict[str, Attributed]:
    """By journey, of which `journeys` has the ids. The last click decides, of several at one time the least id."""
    clicks: dict[int, list[Visit]] = {}
    clicked = dict.fromkeys(journeys, 0)
    for visit in visits:
        clicks.setdefault(visit.member, []).append(visit)
        clicked[visit.journey] += 1
    orders = dict.fromkeys(journeys, 0)
    revenue = dict.fromkeys(journeys, Decimal(0))
    for checkout in checkouts:
        if checkout.kind is not Kind.ORDER or checkout.member is None:
            continue
        before = [
            visit
            for visit in clicks.get(checkout.member, ())
            if checkout.occurred_at - WINDOW <= visit.at <= checkout.occurred_at
        ]
        if before:
            last = max(visit.at for visit in before)
            journey = min((v.journey for v in before if v.at == last), key=journeys.__getitem__)
            orders[journey] += 1
            revenue[journey] += checkout.amount
    return {name: Attributed(clicked[name], orders[name], revenue[name]) for name in journeys}
