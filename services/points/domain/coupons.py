"""Coupons: what they are, who may claim them, and the text for a customer with too few points (P-20)."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Final
from uuid import UUID

import msgspec

from libs.common.text_variables import BALANCE, fill


class CouponType(IntEnum):
    """What a coupon is for; stored, and as in the contract."""

    MARKETING = 1
    SERVICE = 2


class Terms(msgspec.Struct, frozen=True):
    """What a team sets of a coupon. `cost` None: claims are free; limits of 0 are none."""

    name: str
    type: CouponType
    cost: int | None
    insufficient_text: str
    claims_per_customer_max: int
    claims_max: int
    start_at: datetime
    expires_at: datetime | None


class Coupon(msgspec.Struct, frozen=True):
    """A coupon as it stands."""

    team_id: UUID
    coupon_id: UUID
    terms: Terms
    claims: int
    archived: bool
    version: int
    created_at: datetime


class Claim(msgspec.Struct, frozen=True):
    """One claim; `sequence` of the entry that paid it, 0 if it was free."""

    team_id: UUID
    claim_id: UUID
    coupon_id: UUID
    customer_id: UUID
    code: str
    points_paid: int
    sequence: int
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None = None


class CouponUse(msgspec.Struct, frozen=True):
    """A claim is shown in the shop: by its id, else by its code."""

    team_id: UUID
    claim_id: UUID | None
    code: str
    place: str
    """For people; may be empty."""
    actor: str


def refusal(coupon: Coupon, claims_of_customer: int, now: datetime) -> str | None:
    """Why the coupon cannot be claimed now, by the contract's names; None if it can."""
    terms = coupon.terms
    if coupon.archived:
        return "ARCHIVED"
    if now < terms.start_at:
        return "NOT_STARTED"
    if terms.expires_at is not None and now >= terms.expires_at:
        return "EXPIRED"
    if terms.claims_per_customer_max and claims_of_customer >= terms.claims_per_customer_max:
        return "CUSTOMER_LIMIT"
    if terms.claims_max and coupon.claims >= terms.claims_max:
        return "CLAIM_LIMIT"
    return None


VARIABLES: Final = frozenset({BALANCE})
"""What the text for a customer with too few points may hold."""


def filled_in(text: str, balance: int) -> str:
    """The text for a customer with too few points."""
    return fill(text, {BALANCE: str(balance)}.get)
