"""What the edge and the stores both name: shops and their keys, wallets, quotas, prices, caps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from enum import Enum
from typing import NamedTuple
from uuid import UUID

from libs.common.frequency import FrequencyRule
from services.channel_gateway.domain.model import Channel, Price


class Shop(NamedTuple):
    """A shop that reports orders."""

    team_id: UUID
    shop_id: str
    display_name: str
    enabled: bool
    created_at: datetime
    updated_at: datetime
    version: int


class ShopKey(NamedTuple):
    """A signing key."""

    team_id: UUID
    shop_id: str
    key_id: UUID
    secret: bytes
    created_at: datetime
    expires_at: datetime | None

    def __repr__(self) -> str:
        """Without the secret, so that no log shows it."""
        return f"ShopKey(shop_id={self.shop_id!r}, key_id={self.key_id})"


class PixelKey(NamedTuple):
    """What pages of a shop report under; no secret."""

    team_id: UUID
    shop_id: str
    key_id: UUID
    origins: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None


class WalletView(NamedTuple):
    """A team's prepaid balance."""

    currency: str
    balance_micros: int
    reserved_micros: int
    """Held by sends that are not settled."""
    updated_at: datetime | None
    """None: there was never any money."""


class WalletEntry(NamedTuple):
    """A change by a person."""

    sequence: int
    currency: str
    amount_micros: int
    balance_after_micros: int
    note: str
    created_at: datetime


class PlanQuota(NamedTuple):
    """A LINE account's plan in one month."""

    account_id: UUID
    month: date
    message_limit: int | None
    used: int
    updated_at: datetime | None


class Charge(NamedTuple):
    """What a send cost, or gave back: then both are negative."""

    effect_key: UUID
    channel: int
    journey_id: UUID
    messages: int
    price: Price
    """Of all messages together."""
    charged_at: datetime
    kind: int
    """1 a charge, 2 a refund."""


class ChargeFilter(NamedTuple):
    """Which charges of a team are shown; None and 0 hold for all."""

    channel: int
    journey_id: UUID | None
    start_at: datetime | None
    end_at: datetime | None


class BalanceAlert(NamedTuple):
    """When a team is warned of a low balance; one that was never set has version 0."""

    threshold: Price | None
    firing: bool
    version: int


class Crossing(NamedTuple):
    """A balance that has gone below what its team is warned at, or above it again."""

    is_below: bool
    currency: str
    balance_micros: int
    threshold_micros: int | None


class QuotaSetting(NamedTuple):
    """A plan's messages a month; None: no limit."""

    account_id: UUID
    message_limit: int | None


class QuotaResult(Enum):
    """What became of a quota to set."""

    SET = "set"
    NO_ACCOUNT = "no account"
    INVALID = "invalid"


class TeamPrice(NamedTuple):
    """What a message costs a team on a channel."""

    channel: Channel
    price: Price
    custom: bool


class DeliveryFilter(NamedTuple):
    """Which deliveries of a team are shown; what is None or empty holds for all."""

    journey_id: UUID | None
    node_id: str
    customer_id: UUID | None
    states: Sequence[int] | None
    channel: int
    reasons: Sequence[str] | None
    """They ended for one of these, or for none of these unless `is_one`."""
    is_one: bool
    start_at: datetime | None
    end_at: datetime | None
    """Accepted or refused in this half-open range."""


class FrequencyCap(NamedTuple):
    """A team's frequency cap; one that was never set has version 0."""

    rules: tuple[FrequencyRule, ...]
    version: int
