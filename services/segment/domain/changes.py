"""Applying changes to customers: tags, attributes, "team last marketed".

Effects of journeys (`apply_changes`) carry a key and are answered from it when they come again; people's edits use the
same steps without one. A fact is written only when something became different (S-05).

"Team last marketed" is the latest of all times that came, in whatever order and however often: doing it again changes
nothing, so its effect keys are not remembered, and one that meets no other change of its customer (`ways_of`) is
written without being read before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from libs.common.audience.expressions import AttributeType
from libs.common.audience.values import canonical
from libs.common.ids import CustomerKey
from libs.common.text import fold
from services.segment.domain.attributes import is_usable, visible_text
from services.segment.domain.customer_changes import CustomerChanges, later
from services.segment.domain.facts import AttributeChanged, Fact, TagApplied, TagRemoved
from services.segment.domain.keys import digest_of
from services.segment.domain.model import (
    Attribute,
    AttributeChange,
    AttributeValue,
    Change,
    ChangeBody,
    Customer,
    MarketedChange,
    TagChange,
)
from services.segment.domain.results import ChangeResult, ChangeStatus


class Way(Enum):
    """How a change is written."""

    MARK = 1
    """"Team marketed" to a customer whom no other change of the batch names: without being read before."""
    SET = 2
    """A text attribute of such a customer: the same, where it is another value than before."""
    DECIDE = 3
    """By `apply_changes`, with what it names read and locked."""


TAGS_MAX: Final = 500
"""Tags of one customer."""
NOBODY_MERGED: Final[Mapping[CustomerKey, UUID]] = MappingProxyType({})
_WAYS: Final[dict[type, Way]] = {MarketedChange: Way.MARK, AttributeChange: Way.SET}
TagKey = tuple[UUID, UUID, str]
"""Team, customer, folded tag."""
ValueKey = tuple[UUID, UUID, str]
"""Team, customer, attribute key."""


class EffectUse(NamedTuple):
    """An effect key that was used, with its answer."""

    digest: bytes
    status: int
    reason: str


class Traits(msgspec.Struct):
    """Tags and attribute values, as far as a batch names them. Read-only."""

    attributes: dict[tuple[UUID, str], Attribute] = {}
    """Definitions by team and key."""
    tags: dict[TagKey, str] = {}
    """The tag as written."""
    values: dict[ValueKey, AttributeValue] = {}
    tag_counts: dict[CustomerKey, int] = {}
    """Tags that customers have in all, named or not; a customer who is not in it has none."""


class TraitChanges(msgspec.Struct):
    """Tags and values that are different now; None: gone."""

    tags: dict[TagKey, str | None]
    values: dict[ValueKey, AttributeValue | None]


class Applied(msgspec.Struct):
    """What is to be written for a batch of effects."""

    results: list[ChangeResult]
    changed: list[Customer]
    traits: TraitChanges
    effects: dict[tuple[UUID, UUID], EffectUse]
    """By team and effect key: those that are new."""
    facts: list[Fact]


class TraitEditor:
    """Changes tags and values; later changes of a batch see earlier ones."""

    def __init__(self, pending: CustomerChanges, traits: Traits) -> None:
        """`traits` is read-only."""
        self._pending = pending
        self._traits = traits
        self._tags: dict[TagKey, str | None] = {}
        self._values: dict[ValueKey, AttributeValue | None] = {}
        self._grown: Counter[CustomerKey] = Counter()

    def changes(self) -> TraitChanges:
        """Everything that is to be written."""
        return TraitChanges(self._tags, self._values)

    def has_room(self, customer: Customer, add: Sequence[str], remove: Sequence[str]) -> bool:
        """Whether the customer may have the tags of `add` once those of `remove` are gone."""
        key = (customer.team_id, customer.customer_id)
        present = self._traits.tag_counts.get(key, 0) + self._grown[key]
        if present + len(add) <= TAGS_MAX:
            return True
        growth = sum(self._tag((*key, tag)) is None for tag in {fold(tag) for tag in add})
        loss = sum(self._tag((*key, tag)) is not None for tag in {fold(tag) for tag in remove})
        return growth <= loss or present + growth - loss <= TAGS_MAX

    def add_tags(self, customer: Customer, tags: Iterable[str], at: datetime, depth: int = 0) -> bool:
        """Adds what one call adds. Returns whether the customer lacked any. Each fact names those told before it."""
        added: list[str] = []
        for tag in tags:
            if self._add_tag(customer, tag, at, depth, tuple(added)):
                added.append(tag)
        return bool(added)

    def _add_tag(
        self, customer: Customer, tag: str, at: datetime, depth: int, before: tuple[str, ...]
    ) -> bool:
        key = (customer.team_id, customer.customer_id, fold(tag))
        if self._tag(key) is not None:
            return False
        self._tags[key] = tag
        self._grown[key[:2]] += 1
        self._pending.emit(customer, at, TagApplied(tag, before), depth)
        return True

    def remove_tag(self, customer: Customer, tag: str, at: datetime, depth: int = 0) -> bool:
        """Returns whether the customer had it. The fact has the tag as it was written when applied."""
        key = (customer.team_id, customer.customer_id, fold(tag))
        present = self._tag(key)
        if present is None:
            return False
        self._tags[key] = None
        self._grown[key[:2]] -= 1
        self._pending.emit(customer, at, TagRemoved(present), depth)
        return True

    def set_value(
        self, customer: Customer, attribute: Attribute, text: str | None, at: datetime, depth: int = 0
    ) -> bool:
        """Sets a canonical text, or clears with None. Returns whether that is another value than before."""
        old = self.text(customer, attribute)
        if old == text:
            return False
        key = (customer.team_id, customer.customer_id, attribute.key)
        self._values[key] = None if text is None else AttributeValue(attribute.type, text)
        self._pending.emit(customer, at, AttributeChanged(attribute.key, attribute.type, old, text), depth)
        return True

    def text(self, customer: Customer, attribute: Attribute) -> str | None:
        """The value as it counts by now."""
        key = (customer.team_id, customer.customer_id, attribute.key)
        stored = self._values[key] if key in self._values else self._traits.values.get(key)
        return visible_text(attribute, stored)

    def attribute(self, team_id: UUID, key: str) -> Attribute | None:
        """A definition, if the batch named it and the team has it."""
        return self._traits.attributes.get((team_id, key))

    def _tag(self, key: TagKey) -> str | None:
        return self._tags[key] if key in self._tags else self._traits.tags.get(key)


def apply_changes(
    customers: dict[CustomerKey, Customer],
    traits: Traits,
    effects: Mapping[tuple[UUID, UUID], EffectUse],
    changes: Sequence[Change],
    *,
    now: datetime,
    ids: Iterator[UUID],
    merged: Mapping[CustomerKey, UUID] = NOBODY_MERGED,
) -> Applied:
    """Decides a batch of effects. Total: every change gets an answer, none raises.

    An effect on a customer that is not there is refused and not remembered: the customer may come. One on a customer
    who was merged is done to whom they were merged into.
    """
    pending = CustomerChanges(customers, now, ids)
    editor = TraitEditor(pending, traits)
    new_effects: dict[tuple[UUID, UUID], EffectUse] = {}
    results: list[ChangeResult] = []
    for change in changes:
        if isinstance(change.body, MarketedChange):
            results.append(_apply(pending, editor, led_on(change, merged)))
            continue
        key = (change.team_id, change.effect_key)
        digest = digest_of_change(change)
        use = new_effects.get(key) or effects.get(key)
        if use is not None:
            results.append(_answer_again(use, digest))
            continue
        pending.begin(change.team_id, report_of(change))
        before = len(pending.facts)
        moved = led_on(change, merged)
        result = _apply(pending, editor, moved)
        if (change.team_id, moved.customer_id) in customers:
            new_effects[key] = EffectUse(digest, result.status, result.reason)
            if len(pending.facts) > before:
                pending.facts[before].effect_key, pending.facts[before].digest = change.effect_key, digest
        results.append(result)
    return Applied(results, pending.changed_customers(), editor.changes(), new_effects, pending.facts)


def led_on(change: Change, merged: Mapping[CustomerKey, UUID]) -> Change:
    """The change of whom its customer was merged into."""
    survivor = merged.get((change.team_id, change.customer_id))
    return change if survivor is None else msgspec.structs.replace(change, customer_id=survivor)


def report_of(change: Change) -> str:
    """What identifies an effect among all that facts are told by."""
    return f"effect {change.effect_key}"


def ways_of(changes: Sequence[Change]) -> list[Way]:
    """The way of each change of a batch. What is of different ways is of different customers, or to be decided on, so
    the ways may be gone in any order."""
    named = Counter((change.team_id, change.customer_id) for change in changes)
    return [
        _WAYS.get(type(change.body), Way.DECIDE)
        if named[change.team_id, change.customer_id] == 1
        else Way.DECIDE
        for change in changes
    ]


def overlap(add: Iterable[str], remove: Iterable[str]) -> set[str]:
    """Tags, folded, that are in both."""
    return {fold(tag) for tag in add} & {fold(tag) for tag in remove}


def digest_of_change(change: Change) -> bytes:
    """Over what must not change under a key. Times may: a turn that is run again after a crash reads them again."""
    return digest_of((change.customer_id, change.body))


def _answer_again(use: EffectUse, digest: bytes) -> ChangeResult:
    if use.digest != digest:
        return ChangeResult(ChangeStatus.REFUSED, "EFFECT_KEY_REUSED")
    return ChangeResult(ChangeStatus(use.status), use.reason, replayed=True)


def _apply(pending: CustomerChanges, editor: TraitEditor, change: Change) -> ChangeResult:
    customer = pending.customer(change.team_id, change.customer_id)
    if customer is None:
        return ChangeResult(ChangeStatus.REFUSED, "RESOURCE_NOT_FOUND")
    body: ChangeBody = change.body
    match body:
        case TagChange():
            if not editor.has_room(customer, body.add, body.remove):
                return ChangeResult(ChangeStatus.REFUSED, "CUSTOMER_LIMIT_REACHED")
            changed = _change_tags(editor, customer, body, change)
        case AttributeChange():
            attribute = editor.attribute(change.team_id, body.key)
            if attribute is None or not is_usable(attribute, AttributeType.TEXT):
                return ChangeResult(ChangeStatus.REFUSED, "ATTRIBUTE_UNAVAILABLE")
            text = canonical(AttributeType.TEXT, body.text)
            changed = editor.set_value(customer, attribute, text, change.occurred_at, change.depth)
        case MarketedChange():
            moved = later(customer.marketed_time, min(body.at, pending.now))
            changed = moved != customer.marketed_time
            if changed:
                pending.change(customer, marketed_time=moved)
    return ChangeResult(ChangeStatus.APPLIED if changed else ChangeStatus.UNCHANGED)


def _change_tags(editor: TraitEditor, customer: Customer, body: TagChange, change: Change) -> bool:
    added = editor.add_tags(customer, body.add, change.occurred_at, change.depth)
    removed = [editor.remove_tag(customer, tag, change.occurred_at, change.depth) for tag in body.remove]
    return added or any(removed)
