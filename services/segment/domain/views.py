"""Rows that the edge, the use cases and the store all name."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from libs.common.audience.expressions import AttributeType, Subject, TimeField
from services.segment.domain.facts import Fact
from services.segment.domain.model import Order, Refund

FactKey = tuple[datetime, int, int]
"""Time, partition, position: the order of a team's facts."""


class CustomerParts(msgspec.Struct, frozen=True):
    """What is read of customers beside their own rows; what is not wanted is left empty."""

    tags: bool = True
    attributes: bool = True
    archived: bool = False
    """Values of archived attributes, too."""
    identities: bool = True


class SavedAudience(msgspec.Struct, frozen=True):
    """A saved audience; `audience` is the serialised message of the contract, whose compatibility is checked anyway."""

    audience_id: UUID
    name: str
    audience: bytes
    revision: int
    create_time: datetime
    update_time: datetime


class AudienceRules(NamedTuple):
    """What a team's audiences depend on beside the customers."""

    zone: str
    types: dict[str, AttributeType]
    """Of active attributes that are named, by key."""


class JudgedBy(NamedTuple):
    """What of customers the audiences of one batch name; of no more anything has to be known."""

    basics: bool = False
    times: AbstractSet[TimeField] = frozenset()
    tags: AbstractSet[str] = frozenset()
    """Folded."""
    keys: AbstractSet[str] = frozenset()
    """Of attributes."""
    accounts: bool = False


class Judged(NamedTuple):
    """A customer as audiences judge them, but for points."""

    has_phone: bool
    subject: Subject


class FactPage(NamedTuple):
    """Facts after the cursors, and the cursors to go on from."""

    facts: list[Fact]
    cursors: dict[int, int]
    is_last: bool
    """Everything that was there was looked at."""


class ListedFacts(NamedTuple):
    """A page of a team's or a customer's facts, in order."""

    facts: list[Fact]
    is_last: bool


class MailFacts(NamedTuple):
    """Facts that are mail, in order."""

    facts: list[Fact]
    is_last: bool
    """There are no more now."""


class KnownOrder(NamedTuple):
    """An order with the refunds that name it, the oldest first."""

    order: Order
    refunds: list[Refund]


class IdentityConflict(msgspec.Struct, frozen=True):
    """Two customers whom one event named: the one it went to, and another."""

    identity_conflict_id: UUID
    customer_id: UUID
    other_customer_id: UUID
    matched_field: str
    other_matched_field: str
    resolved: bool
    create_time: datetime
