"""What a batch of writes makes of customers, and the facts that follow, in order.

One per transaction. It never touches what it was given: a customer is copied when it first changes. The
customer's mail numbers are given here and nowhere else, so they have no gaps within the order of facts.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec.structs import replace

from libs.common.ids import CustomerKey
from services.segment.domain.fact_ids import FactIds
from services.segment.domain.facts import (
    AttributeChanged,
    ContactJoined,
    CustomerChanged,
    CustomerCreated,
    Fact,
    FactBody,
    TagApplied,
    fact_partition,
    is_mail,
)
from services.segment.domain.model import Customer

_BASICS: Final = ("name", "member_id", "phone", "email")
"""A change of these emits an event, so that other services can update what they search by."""
_BASIC: Final = frozenset(_BASICS)


class CustomerChanges:
    """See the module. `ids` gives fresh ids without end, `now` is the domain time of recording."""

    def __init__(self, customers: dict[CustomerKey, Customer], now: datetime, ids: Iterator[UUID]) -> None:
        """`customers` are those that were locked for this transaction."""
        self._customers = dict(customers)
        self._now = now
        self._ids = ids
        self._report: tuple[UUID, str] | None = None
        self._report_ids: FactIds | None = None
        self.quiet = False
        """Whether what is told from now on triggers no journeys."""
        self.facts: list[Fact] = []
        self.created: set[CustomerKey] = set()
        self.touched: set[CustomerKey] = set()

    @property
    def now(self) -> datetime:
        """Domain time of recording."""
        return self._now

    def begin(self, team_id: UUID, report: str) -> None:
        """What is told from now on is told by a report, and its facts have ids that follow from it: see `FactIds`."""
        self._report, self._report_ids = (team_id, report), None

    def customer(self, team_id: UUID, customer_id: UUID) -> Customer | None:
        """The customer as it is by now."""
        return self._customers.get((team_id, customer_id))

    def create(
        self, team_id: UUID, occurred_at: datetime, customer_id: UUID | None = None, **fields: Any
    ) -> Customer:
        """A new customer, with an id of its own unless one is given."""
        customer = Customer(
            team_id=team_id,
            customer_id=customer_id or next(self._ids),
            revision=1,
            create_time=self._now,
            update_time=self._now,
            **fields,
        )
        key = (team_id, customer.customer_id)
        self._customers[key] = customer
        self.created.add(key)
        self.emit(customer, occurred_at, CustomerCreated(customer.member_id or ""))
        return customer

    def change(self, customer: Customer, **fields: Any) -> Customer:
        """The customer with new values. The first change in a batch makes a new revision; one of basic data emits
        an event."""
        changed = self._own((customer.team_id, customer.customer_id))
        for name, value in fields.items():
            setattr(changed, name, value)
        if not _BASIC.isdisjoint(fields):
            self.emit(changed, self._now, CustomerChanged(tuple(name for name in _BASICS if name in fields)))
        return changed

    def emit(self, customer: Customer, occurred_at: datetime, body: FactBody, depth: int = 0) -> None:
        """Appends a fact about a customer; when it is mail it gets the next number."""
        team_id, customer_id = key = (customer.team_id, customer.customer_id)
        number = None
        if self.quiet and isinstance(body, (ContactJoined, TagApplied, AttributeChanged)):
            body = replace(body, quiet=True)
        if is_mail(body):
            own = self._own(key)
            number = own.mail_number = own.mail_number + 1
        fact = self._fact(team_id, customer_id, occurred_at, body)
        fact.depth, fact.mail_number = depth, number
        self.facts.append(fact)

    def emit_for_team(self, team_id: UUID, occurred_at: datetime, body: FactBody) -> None:
        """Appends a fact about no customer. It is never mail."""
        assert not is_mail(body)
        self.facts.append(self._fact(team_id, None, occurred_at, body))

    def changed_customers(self) -> list[Customer]:
        """Customers that were there and are different now."""
        return [self._customers[key] for key in sorted(self.touched)]

    def created_customers(self) -> list[Customer]:
        """Customers that are new."""
        return [self._customers[key] for key in sorted(self.created)]

    def _own(self, key: CustomerKey) -> Customer:
        """The copy of a customer, which may be changed."""
        present = self._customers[key]
        if key not in self.touched and key not in self.created:
            self.touched.add(key)
            present = self._customers[key] = copy(present)
            present.revision += 1
            present.update_time = self._now
        return present

    def _fact(self, team_id: UUID, customer_id: UUID | None, occurred_at: datetime, body: FactBody) -> Fact:
        partition = fact_partition(team_id, customer_id)
        return Fact(partition, team_id, customer_id, self._id(body), occurred_at, self._now, 0, None, body)

    def _id(self, body: FactBody) -> UUID:
        if self._report is None:
            return next(self._ids)
        if self._report_ids is None:  # many reports tell no fact
            self._report_ids = FactIds(*self._report)
        return self._report_ids.of(body)


def later(present: datetime | None, other: datetime) -> datetime:
    """The later of two times, one of which may never have been."""
    return other if present is None or other > present else present
