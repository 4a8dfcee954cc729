"""Writing what was decided, whatever it was: one statement a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from libs.common.audience.expressions import AttributeType
from libs.common.db.pool import Connection
from libs.common.ids import CustomerKey
from libs.common.text import fold
from services.segment.domain.changes import EffectUse, TraitChanges, ValueKey
from services.segment.domain.facts import Fact, encode_body
from services.segment.domain.model import AttributeValue, Customer
from services.segment.domain.recorder import BoundIdentity, KeyUse
from services.segment.store.base import BOOK

Rows = Sequence[tuple[Any, ...]]


class Writes(msgspec.Struct):
    """What is to be written, as rows of the types that `save_batch_v4` takes; an empty part costs nothing."""

    created: Rows = ()
    changed: Rows = ()
    renamed: Rows = ()
    bound: Rows = ()
    switched: Rows = ()
    departed: Rows = ()
    learned: Rows = ()
    new_orders: Rows = ()
    changed_orders: Rows = ()
    new_refunds: Rows = ()
    changed_refunds: Rows = ()
    keys: Rows = ()
    effects: Rows = ()
    gone_tags: Rows = ()
    new_tags: Rows = ()
    gone_values: Rows = ()
    new_values: Rows = ()
    facts: Rows = ()

    def parameters(self) -> dict[str, Any]:
        """The parameters of the function: parts, or groups of them in the order of the group's type; None: nothing."""
        return {
            "customers": _group(self.created, self.changed, self.renamed),
            "contacts": _group(self.bound, self.switched, self.departed, self.learned),
            "reports": _group(self.new_orders, self.changed_orders, self.new_refunds, self.changed_refunds),
            "keys": self.keys or None,
            "effects": self.effects or None,
            "traits": _group(self.gone_tags, self.new_tags, self.gone_values, self.new_values),
            "facts": self.facts or None,
        }

    def change_customers(self, customers: Iterable[Customer], before: Mapping[CustomerKey, Customer]) -> None:
        """Customers that are different now; basic data only where it differs from `before`, since it is indexed."""
        renamed: list[tuple[Any, ...]] = []
        changed: list[tuple[Any, ...]] = []
        for customer in customers:
            changed.append((customer.team_id, customer.customer_id, *_times(customer)))
            if _basics(customer) != _basics(before[customer.team_id, customer.customer_id]):
                renamed.append(_names(customer))
        self.changed, self.renamed = changed, renamed

    def create_customers(self, customers: Iterable[Customer]) -> None:
        """New customers."""
        self.created = [(*_names(customer), *_times(customer)) for customer in customers]

    def bind(self, bindings: Iterable[BoundIdentity]) -> None:
        """New bindings."""
        self.bound = [(b.team_id, *b.key, b.customer_id, b.blocked, b.seen_at, b.left_at) for b in bindings]

    def change_traits(self, changes: TraitChanges) -> None:
        """Tags and values that are different now."""
        self.gone_tags = [key for key, tag in changes.tags.items() if tag is None]
        self.new_tags = [(*key, tag) for key, tag in changes.tags.items() if tag is not None]
        self.gone_values = [key for key, value in changes.values.items() if value is None]
        self.new_values = [_value(key, value) for key, value in changes.values.items() if value is not None]

    def remember(self, effects: Mapping[tuple[UUID, UUID], EffectUse], facts: Iterable[Fact]) -> None:
        """Effects with their answers, but for those whose keys are in the facts that they made."""
        kept = {(fact.team_id, fact.effect_key) for fact in facts}
        self.effects = sorted((*key, *use) for key, use in effects.items() if key not in kept)

    def remember_keys(self, keys: Mapping[tuple[UUID, str], KeyUse], facts: Iterable[Fact]) -> None:
        """Keys of reports, but for those that are in the facts that the reports made."""
        kept = {(fact.team_id, fact.event_key) for fact in facts}
        self.keys = sorted((*key, *use) for key, use in keys.items() if key not in kept)


async def save(connection: Connection, writes: Writes, facts: list[Fact], now: datetime) -> list[Fact]:
    """Writes it all, recorded at `now`; returns the facts, in their order, with their positions.

    To be the last of its transaction but one: partitions stay locked until it ends. Another transaction that was
    faster is an error of the driver, see `store.errors`.
    """
    writes.facts = [_fact(fact) for fact in facts]
    parameters = writes.parameters()
    positions = None
    if any(part is not None for part in parameters.values()):
        positions = await connection.fetchval(*BOOK.bind("save_batch", now=now, **parameters))
    for fact, position in zip(facts, positions or (), strict=True):
        fact.position = position
    return facts


def _group(*parts: Rows) -> tuple[Rows | None, ...] | None:
    return tuple(part or None for part in parts) if any(parts) else None


def _basics(customer: Customer) -> tuple[str | None, ...]:
    return (customer.member_id, customer.name, customer.phone, customer.email)


def _names(customer: Customer) -> tuple[Any, ...]:
    return (
        customer.team_id,
        customer.customer_id,
        customer.member_id,
        None if customer.member_id is None else fold(customer.member_id),
        customer.name,
        fold(customer.name),
        customer.phone,
        customer.email,
        None if customer.email is None else fold(customer.email),
    )


def _times(customer: Customer) -> tuple[Any, ...]:
    return (
        customer.customer_interact_time,
        customer.team_interact_time,
        customer.marketed_time,
        customer.checkout_time,
        customer.mail_number,
        customer.revision,
    )


def _value(key: ValueKey, value: AttributeValue) -> tuple[Any, ...]:
    number = Decimal(value.text) if value.type == AttributeType.NUMBER else None
    return (*key, int(value.type), value.text, fold(value.text), number)


def _fact(fact: Fact) -> tuple[Any, ...]:
    return (
        fact.partition,
        fact.team_id,
        fact.customer_id,
        fact.event_id,
        fact.occurred_at,
        fact.depth,
        fact.mail_number,
        encode_body(fact.body),
        fact.event_key,
        fact.effect_key,
        fact.digest,
    )
