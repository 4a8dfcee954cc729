"""Presses of coupons' buttons among what segment was told. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

from libs.common.ids import derived_id
from omnijourney.segment.v1 import event_pb2
from services.channel_gateway.domain.coupon_presses import CouponPress, coupon_of


def presses_of(team_id: UUID, events: Iterable[tuple[event_pb2.CustomerEvent, str]]) -> Iterator[CouponPress]:
    """Of events of a team, each with the customer that segment knows it by, empty for one that it refused."""
    for event, customer_id in events:
        message = event.message_received
        if not customer_id or not message.button_data:
            continue
        coupon_id = coupon_of(message.button_data)
        if coupon_id is not None:
            yield _press(team_id, event, UUID(customer_id), coupon_id)


def _press(team_id: UUID, event: event_pb2.CustomerEvent, customer_id: UUID, coupon_id: UUID) -> CouponPress:
    """A button that does not say which message it is of is one offer for each person."""
    message = event.message_received
    identity = message.identity
    someones = derived_id(team_id, "coupon offer", identity.account_id, identity.external_id)
    return CouponPress(
        press_id=derived_id(team_id, "coupon press", event.event_key),
        account_id=UUID(identity.account_id),
        channel=int(identity.channel),
        external_id=identity.external_id,
        customer_id=customer_id,
        coupon_id=coupon_id,
        offer_id=UUID(message.effect_key) if message.effect_key else someones,
    )
