"""Erasing a person (ADR 59): the steps in their order, and what facts and orders are without the person. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import IntEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from msgspec.structs import replace

from libs.common.ids import CustomerKey
from services.segment.domain.facts import (
    ContactJoined,
    ContactLeft,
    ContactRemoved,
    ContactReturned,
    FactBody,
    MessageTaken,
    OrderReported,
    Unreadable,
)
from services.segment.domain.model import CustomerView, OrderCompleted

IDENTIFIERS_MAX: Final = 2_000
"""What one person may be known by; others are not looked for in texts."""


class ErasureStep(IntEnum):
    """What is done next. Each may be done again."""

    SETTLE_WEBHOOKS = 1
    """Webhooks that came before are worked off: what they tell is erased with the rest."""
    CLOSE = 2
    """The customer's row goes, with all that leads to it."""
    END_ENROLMENTS = 3
    """Live enrolments end, and the actor takes the last mail."""
    REMOVE_FACTS = 4
    """Segment's own history and orders: before others, who read them."""
    REMOVE_MESSAGES = 5
    """The gateway: contents, recipients, webhooks in and out."""
    REMOVE_STEPS = 6
    """Journey: what conditions saw, and notes."""
    REMOVE_POINTS_TEXTS = 7
    """Points: the copy of the customer, notes, lines of imports."""
    REMOVE_CLICKS = 8
    """Stats."""
    REMOVE_ANSWERS = 9
    """Answers and keys that segment keeps for repeated calls."""
    REMOVE_AUDIT = 10
    """How resources were and became, in the audit log of all services."""
    DONE = 11


STEPS: Final = ErasureStep.DONE - 1
"""Steps of an erasure."""


class Known(msgspec.Struct, frozen=True, array_like=True):
    """What the person was known by, until all of it is removed."""

    identifiers: tuple[str, ...]


class Erasure(msgspec.Struct, frozen=True):
    """One erasure. `known` is absent before the customer is closed and when all is done."""

    team_id: UUID
    erasure_id: UUID
    customer_id: UUID
    step: ErasureStep
    cursor: str
    known: Known | None
    mail_number: int
    """Number of the last mail to the customer, once they are closed."""
    tries: int
    """Of the step as it stands."""
    created_at: datetime
    updated_at: datetime

    @property
    def key(self) -> CustomerKey:
        """Team and customer."""
        return self.team_id, self.customer_id

    @property
    def identifiers(self) -> tuple[str, ...]:
        """What names the person and nobody else, the customer's id first."""
        return (str(self.customer_id), *(self.known.identifiers if self.known else ()))


class Merged(NamedTuple):
    """Somebody who was merged into a customer, whose id is kept with what was theirs."""

    customer_id: UUID
    mail_number: int
    """Of their last mail."""
    texts: tuple[str, ...]
    """What they were known by."""


def known_by(view: CustomerView, tokens: Iterable[str]) -> Known:
    """What names the customer and nobody else: what several may share (a name, a tag) is not looked for. `tokens`: also
    what those were known by who were merged into them, and ids that they gave up."""
    customer = view.customer
    found = [customer.phone, customer.email, customer.member_id]
    found += [identity.key.external_id for identity in view.identities]
    # As an earlier release may have written it.
    found += [
        f"+{key.external_id}" for identity in view.identities if (key := identity.key).phone is not None
    ]
    texts = dict.fromkeys(text for text in (*found, *tokens) if text)
    return Known(tuple(texts)[:IDENTIFIERS_MAX])


def without_person(body: FactBody | Unreadable) -> FactBody | Unreadable:
    """A fact with its figures, without what is the person's."""
    if isinstance(body, OrderReported):
        return replace(body, order=bare_order(body.order))
    bare = {name: empty for name, empty in _EMPTY.items() if hasattr(body, name)}
    if isinstance(body, _OF_IDENTITIES):
        bare["identity"] = body.identity._replace(external_id="")
    return replace(body, **bare) if bare else body


def bare_order(order: OrderCompleted) -> OrderCompleted:
    """An order with what figures need: whose it was and what was bought is the person's."""
    return OrderCompleted(
        order.shop_id,
        order.order_id,
        order.amount_micros,
        order.currency,
        signed=order.signed,
        test=order.test,
    )


_OF_IDENTITIES: Final = (ContactJoined, ContactRemoved, ContactLeft, ContactReturned, MessageTaken)
_EMPTY: Final[dict[str, Any]] = {
    "order_number": "",
    "text": "",
    "button_data": "",
    "tag": "",
    "before": (),
    "old": None,
    "new": None,
    "member_id": "",
}
"""What facts say of a person beside identities and orders, and what stands there without them."""
