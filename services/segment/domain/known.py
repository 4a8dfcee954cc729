"""What goes along with the mail of a batch of reports: the customers as they are after it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from libs.common.ids import CustomerKey
from libs.common.mailbox.mail import CustomerView, KnownIdentity
from services.segment.domain.facts import Fact
from services.segment.domain.model import Binding, Customer, IdentityKey

Views = Mapping[CustomerKey, CustomerView]
NO_VIEWS: Final[Views] = MappingProxyType({})


def views_of(
    facts: Iterable[Fact],
    created: Iterable[Customer],
    changed: Iterable[Customer],
    identities: Mapping[tuple[UUID, IdentityKey], Binding],
    now: datetime,
) -> Views:
    """Views of the customers to whom facts are mail: `created` or `changed` with them, as they are when all is written.

    `identities` are those that the reports named, as they are then, too.
    """
    mailed = {(fact.team_id, fact.customer_id) for fact in facts if fact.mail_number is not None}
    if not mailed:
        return NO_VIEWS
    reached: defaultdict[CustomerKey, list[KnownIdentity]] = defaultdict(list)
    for (team_id, identity), binding in identities.items():
        reached[team_id, binding.customer_id].append(KnownIdentity(*identity, binding.blocked))
    views: dict[CustomerKey, CustomerView] = {}
    for customers, whole in ((created, True), (changed, False)):
        for customer in customers:
            key = (customer.team_id, customer.customer_id)
            if key in mailed:
                views[key] = _view(customer, reached.get(key, []), now, whole=whole)
    return views


def _view(customer: Customer, identities: list[KnownIdentity], now: datetime, *, whole: bool) -> CustomerView:
    return CustomerView(
        number=customer.mail_number,
        as_of=now,
        name=customer.name,
        member_id=customer.member_id,
        phone=customer.phone,
        email=customer.email,
        identities=identities,
        whole=whole,
    )
