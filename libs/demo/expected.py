"""What must come out, computed from the stream alone: no service, no shared code, one plain pass."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal

from libs.demo.replay import GRID_MAX
from libs.demo.stream import Checkout, Kind, Stream

AMOUNT_A_POINT = Decimal(10)
"""The demo's formula: so much of the currency earns one point."""
PRICES = {"whatsapp": (Decimal("0.5"), "HKD"), "line": (Decimal("0.2"), "TWD")}
"""What a message costs where a team says nothing else."""
DAY = timedelta(days=1)
"""After which `big-basket` asks for points."""


@dataclass(frozen=True, slots=True)
class Expected:
    """Figures that depend neither on the order of turns nor on a clock."""

    orders: int
    refunds: int
    anonymous: int
    customers: int
    earned: int
    """Points earned by all orders."""
    refund_asked: int
    """Points that refunds ask back: those taken and the shortfall together."""
    earning_orders: int
    """Orders that earn at least one point."""
    big_baskets: int
    """Orders at or above the amount of `big-basket`."""
    big_customers: int
    """Customers with at least one of them: its enrolments."""
    favourite_orders: int
    """Orders with an item of `favourite-item`: triggers while it is open."""
    favourite_reachable: int
    """Those of customers who have a LINE identity."""
    favourite_customers: int
    message_prices: Mapping[str, Decimal] = field(default_factory=dict)
    """By channel, in the stream's currency."""
    undecided: int = 0
    """Customers of `big-basket` with an order at the time of its condition, give or take how late the replay posts: a
    simulation, which takes checkouts at their own time, may see it on the other side."""


def points_of(amount: Decimal) -> int:
    """Points of an amount, rounded half up to a whole point."""
    return int((amount / AMOUNT_A_POINT).quantize(Decimal(1), ROUND_HALF_UP))


def expect(stream: Stream) -> Expected:
    """Counts the stream."""
    known = [c for c in stream.checkouts if c.member is not None]
    orders = [c for c in known if c.kind is Kind.ORDER]
    refunds = [c for c in known if c.kind is Kind.REFUND]
    big = [c for c in orders if c.amount >= stream.profile.big_amount]
    favourite = [c for c in orders if _has(c, stream.profile.favourite)]
    return Expected(
        orders=len(orders),
        refunds=len(refunds),
        anonymous=len(stream.checkouts) - len(known),
        customers=len({c.member for c in known}),
        earned=sum(points_of(c.amount) for c in orders),
        refund_asked=sum(points_of(c.amount) for c in refunds),
        earning_orders=sum(points_of(c.amount) > 0 for c in orders),
        big_baskets=len(big),
        big_customers=len({c.member for c in big}),
        favourite_orders=len(favourite),
        favourite_reachable=sum(c.member is not None and c.member % 2 == 0 for c in favourite),
        favourite_customers=len({c.member for c in favourite}),
        message_prices={
            channel: price * stream.profile.rates[code] for channel, (price, code) in PRICES.items()
        },
        undecided=_undecided(orders, big),
    )


def _undecided(orders: Iterable[Checkout], big: Sequence[Checkout]) -> int:
    firsts = {c.member: c.occurred_at for c in reversed(big)}
    return len(
        {
            c.member
            for c in orders
            if c.member in firsts and DAY <= c.occurred_at - firsts[c.member] <= DAY + GRID_MAX
        }
    )


def _has(checkout: Checkout, part: str) -> bool:
    return any(part.lower() in item.name.lower() for item in checkout.items)
