"""What a check starts from: what the load was told, where the emulators wrote, and what follows from it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from libs.demo.shopfront import customer_id_of
from libs.demo.stream import line_user_of
from tests.chaos import world as w
from tests.chaos.actors import Turns
from tests.chaos.load import Accepted
from tests.chaos.proofs import Proofs
from tests.chaos.records import Burst, Records, Row

K = TypeVar("K")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything beside the database."""

    accepted: Accepted
    journeys: Mapping[str, str]
    """Id by name."""
    receipts: Path
    """Where the emulators' files are."""
    silent_doubles: int
    """How often WhatsApp was made to accept and then say that nothing was sent."""
    now: datetime
    """Domain time."""


class Expected:
    """What must have come of what was accepted, worked out from that alone."""

    def __init__(self, accepted: Accepted) -> None:
        """`accepted` is read once."""
        self.orders_of: Counter[UUID] = Counter()
        self.big_of: Counter[UUID] = Counter()
        self.earned_of: Counter[UUID] = Counter()
        for order in accepted.orders.values():
            customer = customer_of(order.member)
            self.orders_of[customer] += 1
            self.big_of[customer] += order.amount >= w.PROFILE.big_amount
            self.earned_of[customer] += w.points_of(order.amount)
        self.triggers_of = Counter(customer_of(member) for member in accepted.triggers.values())
        members = {*accepted.triggers.values(), *(o.member for o in accepted.orders.values())}
        self.off_line = {customer_of(m) for m in members if m is not None and line_user_of(m) is None}
        """Customers who are not on LINE."""

    def cumulative(self) -> dict[UUID, int]:
        """Points that each customer ever got, where there are any."""
        customers = {*self.orders_of, *self.triggers_of}
        return {customer: points for customer in customers if (points := self._cumulative(customer))}

    def _cumulative(self, customer: UUID) -> int:
        orders = self.orders_of[customer]
        once = (w.VIP_POINTS + w.TIERED_POINTS) if orders else 0
        of_orders = self.earned_of[customer] + w.LADDER_POINTS * orders
        return of_orders + once + w.MANUAL_POINTS * self.triggers_of[customer]

    def deductions(self) -> int:
        """Times that the journey of big orders asked for its price."""
        return sum(min(w.BIG_MAX, count) for count in self.big_of.values())

    def refusals(self) -> int:
        """Triggers beyond the limit of that journey."""
        return sum(max(0, count - w.BIG_MAX) for count in self.big_of.values())

    def enrolments(self) -> dict[tuple[str, UUID], int]:
        """By journey and customer."""
        wanted: dict[tuple[str, UUID], int] = {}
        for customer, orders in self.orders_of.items():
            wanted |= {(w.LADDER, customer): orders, (w.VIP, customer): 1, (w.TIERED, customer): 1}
            if self.big_of[customer]:
                wanted[w.BIG, customer] = min(w.BIG_MAX, self.big_of[customer])
        return wanted | {(w.MANUAL, customer): count for customer, count in self.triggers_of.items()}


@dataclass(slots=True)
class Case:
    """One check under way."""

    records: Records
    evidence: Evidence
    facts: list[tuple[Row, list[Any]]]
    """Segment's history."""
    run_segments: list[Burst]
    """Journey's history."""
    turns: Turns
    """Journey's actors and enrolments."""
    expected: Expected
    """What must have come of it all."""
    name: dict[UUID, str]
    """Of each journey."""
    proofs: Proofs = field(default_factory=Proofs)

    @classmethod
    async def of(cls, records: Records, evidence: Evidence) -> "Case":
        """Reads what several proofs need."""
        names = {UUID(journey): name for name, journey in evidence.journeys.items()}
        expected = Expected(evidence.accepted)
        turns = await Turns.read(records.connection, records.team_id)
        told = await records.run_segments()
        return cls(records, evidence, await records.facts(), told, turns, expected, names)

    @property
    def accepted(self) -> Accepted:
        """What the installation said yes to."""
        return self.evidence.accepted


def customer_of(member: int | None) -> UUID:
    """Id of a member's customer."""
    assert member is not None
    return UUID(customer_id_of(w.PROFILE.shop_id, member))


def differ(found: Mapping[K, object], wanted: Mapping[K, object]) -> tuple[object, object]:
    """Both, cut down to where they differ and to a few of that, for a short message."""
    keys = [key for key in {**found, **wanted} if found.get(key) != wanted.get(key)][:5]
    return {str(key): found.get(key) for key in keys}, {str(key): wanted.get(key) for key in keys}
