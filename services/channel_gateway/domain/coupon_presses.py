"""Presses of coupons' buttons: what such a button carries, and who pressed which. Pure."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from uuid import UUID

_DATA: Final = re.compile(r"c=claim&coupon=([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")


class CouponPress(NamedTuple):
    """Somebody pressed a coupon's button."""

    press_id: UUID
    """Follows from the channel's name of the event: what it sends again is the same press."""
    account_id: UUID
    channel: int
    external_id: str
    customer_id: UUID
    coupon_id: UUID
    offer_id: UUID
    """The message whose button it is: pressed again, it is the same claim."""


class Waiting(NamedTuple):
    """A press that is to be answered, and how often that was tried."""

    press: CouponPress
    tries: int


def claim_data(coupon_id: str) -> str:
    """What a coupon's button carries."""
    return f"c=claim&coupon={coupon_id}"


def coupon_of(data: str) -> UUID | None:
    """The coupon of a button that carries `data`; None if it is no coupon's."""
    found = _DATA.fullmatch(data)
    return UUID(found[1]) if found else None
