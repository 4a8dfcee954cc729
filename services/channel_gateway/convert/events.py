"""Events of webhooks to those of segment. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from google.protobuf.timestamp_pb2 import Timestamp

from libs.common.money import parse_micros
from omnijourney.common.v1 import money_pb2
from omnijourney.segment.v1 import customer_pb2, event_pb2
from services.channel_gateway.domain.inbox import StoredWebhook
from services.channel_gateway.domain.shop_events import EventFaultError, ShopCustomer, ShopEvent, parse

_log = structlog.get_logger(__name__)


class ConvertedWebhook(NamedTuple):
    """A webhook with its events; or why it has none."""

    webhook: StoredWebhook
    events: list[event_pb2.CustomerEvent]
    fault: str


def customer_event(webhook: StoredWebhook, event: ShopEvent, tolerance: timedelta) -> event_pb2.CustomerEvent:
    """An order or refund as segment takes it. A time too far ahead of the receipt becomes the time of receipt."""
    converted = event_pb2.CustomerEvent(
        team_id=str(webhook.team_id),
        event_key=f"{webhook.origin}:{event.event_id}",
        occur_time=_timestamp(_occurred_at(event.occurred_at, webhook.received_at, tolerance)),
    )
    if event.customer is not None:
        _select(converted, event.customer)
    if event.event == "order.completed":
        _order(converted.order_completed, webhook.origin, event)
    else:
        _refund(converted.order_refunded, webhook.origin, event)
    return converted


def customer_events(
    webhook: StoredWebhook,
    tolerance: timedelta,
    convert: Callable[[StoredWebhook, ShopEvent, timedelta], event_pb2.CustomerEvent] = customer_event,
) -> ConvertedWebhook:
    """All events of a stored webhook, or the fault that sets it aside: one such webhook must not hold up the others."""
    try:
        events, _ = parse(webhook.body)
    except EventFaultError as fault:
        # Checked at receipt: only a release with other rules gets here.
        return ConvertedWebhook(webhook, [], str(fault))
    try:
        return ConvertedWebhook(webhook, [convert(webhook, event, tolerance) for event in events], "")
    except (ArithmeticError, ValueError) as error:
        _log.error("a stored webhook cannot be converted; it is set aside", sequence=webhook.sequence)
        return ConvertedWebhook(webhook, [], f"cannot be converted: {error}")


def _occurred_at(at: datetime, received_at: datetime, tolerance: timedelta) -> datetime:
    return received_at if at - received_at > tolerance else at


def _select(converted: event_pb2.CustomerEvent, customer: ShopCustomer) -> None:
    converted.customer_name = customer.name or ""
    if customer.is_known:
        converted.customer.CopyFrom(
            customer_pb2.CustomerSelector(
                member_id=customer.member_id or "",
                phone=customer.phone or "",
                email=customer.email or "",
                browser_token=customer.browser_token or "",
            )
        )


def _order(order: event_pb2.OrderCompleted, shop_id: str, event: ShopEvent) -> None:
    source = event.order
    assert source.total is not None, "checked at receipt"
    order.shop_id = shop_id
    order.order_id = source.id
    order.order_number = source.number
    order.amount.CopyFrom(_money(source.currency, source.total))
    for item in source.items:
        line = order.items.add(
            name=item.name, quantity=item.quantity_text, product_id=item.product_id, sku=item.sku
        )
        if item.unit_price is not None:
            line.unit_price.CopyFrom(_money(source.currency, item.unit_price))
    order.signed = True
    order.test = source.test
    if event.attribution is not None:
        order.click_id = event.attribution.click_id or ""


def _refund(refund: event_pb2.OrderRefunded, shop_id: str, event: ShopEvent) -> None:
    assert event.refund is not None, "checked at receipt"
    refund.shop_id = shop_id
    refund.refund_id = event.refund.id
    refund.order_id = event.order.id
    refund.amount.CopyFrom(_money(event.order.currency, event.refund.amount))
    refund.signed = True


def _money(currency: str, text: str) -> money_pb2.Money:
    return money_pb2.Money(currency_code=currency, amount_micros=parse_micros(text))


def _timestamp(at: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(at)
    return message
