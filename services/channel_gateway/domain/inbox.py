"""Webhooks that come in: as they are received, stored, worked and refused."""

from __future__ import annotations

from datetime import datetime
from enum import Enum, IntEnum
from typing import NamedTuple
from uuid import UUID


class InboxSource(IntEnum):
    """Where a webhook came from; numbers of the contract."""

    SHOP = 1
    PIXEL = 2
    LINE = 3
    META = 4
    SHOPIFY = 5
    WOOCOMMERCE = 6
    SEGMENT = 7


class InboxState(IntEnum):
    """Where a webhook stands; numbers of the contract."""

    STORED = 1
    RECORDED = 2
    REFUSED = 3


class Incoming(NamedTuple):
    """A webhook that was checked and is to be stored."""

    team_id: UUID
    source: InboxSource
    origin: str
    webhook_id: str
    body: bytes
    digest: bytes
    event_count: int
    received_at: datetime


class Receipt(Enum):
    """What became of an incoming webhook."""

    STORED = "stored"
    REPEATED = "repeated"
    """The same id with the same body came before."""
    CONFLICT = "conflict"
    """The same id came before with another body; nothing is stored."""


class StoredWebhook(NamedTuple):
    """A webhook to be worked."""

    sequence: int
    team_id: UUID
    source: InboxSource
    origin: str
    webhook_id: str
    body: bytes
    received_at: datetime


class Refusal(NamedTuple):
    """An event that was refused after receipt."""

    event_index: int
    """Index of the event in the body."""
    reason: str


class Worked(NamedTuple):
    """What came of one webhook."""

    webhook: StoredWebhook
    refusals: list[Refusal]


class InboxRow(NamedTuple):
    """A webhook that came in, for people. `body` only when it was asked for."""

    sequence: int
    source: InboxSource
    team_id: UUID
    origin: str
    webhook_id: str
    body: bytes
    event_count: int
    received_at: datetime
    state: InboxState
    refusals: list[Refusal]
