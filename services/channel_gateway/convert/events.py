"""Events of webhooks to those of segment. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import structlog

from libs.common.logging import about
from libs.common.money import parse_micros
from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import money_pb2
from omnijourney.segment.v1 import event_pb2
from services.channel_gateway.domain.heard import Heard
from services.channel_gateway.domain.inbox import Refusal, StoredWebhook
from services.channel_gateway.domain.json_faults import Fault
from services.channel_gateway.domain.model import Channel
from services.channel_gateway.domain.pixel import SIGNED, stored_report
from services.channel_gateway.domain.platforms import is_of_platform, stored_reports
from services.channel_gateway.domain.shop_events import (
    EventFaultError,
    ShopCustomer,
    ShopEvent,
    ShopReport,
    parse,
)

KEY_DIGEST_BYTES: Final = 8
"""Of an event's content, in its key."""

_log = structlog.get_logger(__name__)


class ConvertedWebhook(NamedTuple):
    """A webhook with its events; or why it has none."""

    webhook: StoredWebhook
    events: list[event_pb2.CustomerEvent]
    fault: str
    places: Sequence[int] = ()
    """Where each event stands in the body, where some of the body were refused at receipt."""
    faults: Sequence[Refusal] = ()
    """Events of the body that cannot be converted; the others are in `events`."""
    channel: Channel | None = None
    """Of a channel's webhook."""
    heard: Sequence[Heard] = ()
    """What a channel's webhook tells, which the gateway itself goes by, too."""

    def place_of(self, index: int) -> int:
        """Where `events[index]` stands in the body."""
        return self.places[index] if self.places else index


Convert = Callable[[StoredWebhook, ShopEvent, timedelta], event_pb2.CustomerEvent]


def customer_event(webhook: StoredWebhook, event: ShopEvent, tolerance: timedelta) -> event_pb2.CustomerEvent:
    """An order or refund as segment takes it. A time too far ahead of the receipt becomes the time of receipt.

    The key holds the content: an id that a shop uses again for something else makes another event, and the order or
    refund says whether it is known already.
    """
    digest = hashlib.blake2b(event.content(), digest_size=KEY_DIGEST_BYTES).hexdigest()
    converted = event_pb2.CustomerEvent(
        team_id=str(webhook.team_id),
        event_key=f"{webhook.origin}:{event.event_id}:{digest}",
        occur_time=timestamp(_occurred_at(event.occurred_at, webhook.received_at, tolerance)),
    )
    _select(converted, event.customer)
    if event.event == "order.completed":
        _order(converted.order_completed, webhook.origin, event)
    elif event.event == "order.updated":
        _update(converted.order_updated, webhook.origin, event)
    else:
        _refund(converted.order_refunded, webhook.origin, event)
    return converted


def customer_events(
    webhook: StoredWebhook,
    tolerance: timedelta,
    convert: Convert = customer_event,
) -> ConvertedWebhook:
    """The events of a shop's stored webhook, without those that were refused at receipt, where the sender was told.

    With a fault where nothing of it can be taken: one such webhook must not hold up the others.
    """
    try:
        if is_of_platform(webhook.source):
            return _converted(webhook, _of_platform(webhook), tolerance, convert)
        reports, _ = parse(webhook.body)
        if not any(report.event for report in reports):
            # Refused as a whole at receipt: only what a release with other rules stored gets here.
            fault = reports[0].fault
            return ConvertedWebhook(webhook, [], f"{fault.field}: {fault.message}" if fault else "")
    except EventFaultError as fault:
        return ConvertedWebhook(webhook, [], str(fault))
    return _converted(webhook, [report._replace(fault=None) for report in reports], tolerance, convert)


def pixel_events(webhook: StoredWebhook, tolerance: timedelta) -> ConvertedWebhook:
    """The order that a page reported, under a key of its own: what a page says takes none from the shop's back end."""
    report = stored_report(webhook.body)
    return _converted(webhook, [report], tolerance, _page_event)


def _page_event(webhook: StoredWebhook, event: ShopEvent, tolerance: timedelta) -> event_pb2.CustomerEvent:
    converted = customer_event(webhook, event, tolerance)
    vouched = webhook.webhook_id.partition(" ")[0]
    own_key = f"{vouched} {converted.event_key}"
    converted.event_key = f"pixel:{hashlib.blake2b(own_key.encode(), digest_size=32).hexdigest()}"
    converted.order_completed.signed = vouched == SIGNED
    return converted


def _of_platform(webhook: StoredWebhook) -> list[ShopReport]:
    return stored_reports(webhook.source, webhook.webhook_id, webhook.body)


def _converted(
    webhook: StoredWebhook, reports: Sequence[ShopReport], tolerance: timedelta, convert: Convert
) -> ConvertedWebhook:
    """Faults that nobody was told of are kept."""
    events, places, faults = [], [], []
    for place, report in enumerate(reports):
        if report.fault is not None:
            faults.append(Refusal(place, _said(report.fault)))
        if report.event is None:
            continue
        try:
            events.append(convert(webhook, report.event, tolerance))
            places.append(place)
        except Exception as error:  # noqa: BLE001 - kept as the reason: the others of the list are no part of it
            _log.error(
                "a stored event cannot be converted", sequence=webhook.sequence, index=place, **about(webhook)
            )
            faults.append(Refusal(place, f"cannot be converted: {error!r}"))
    return ConvertedWebhook(webhook, events, "", places, faults)


def _said(fault: Fault) -> str:
    return f"INVALID_FIELDS: {fault.field}: {fault.message}; {fault.remedy}"


def _occurred_at(at: datetime, received_at: datetime, tolerance: timedelta) -> datetime:
    return received_at if at - received_at > tolerance else at


def _select(converted: event_pb2.CustomerEvent, customer: ShopCustomer) -> None:
    converted.customer_name = customer.name
    if customer.is_known:
        converted.customer.member_id = customer.member_id
        converted.customer.phone = customer.phone
        converted.customer.email = customer.email
        converted.customer.browser_token = customer.browser_token


def _order(order: event_pb2.OrderCompleted, shop_id: str, event: ShopEvent) -> None:
    source = event.order
    assert source.total is not None, "checked at receipt"
    order.shop_id = shop_id
    order.order_id = source.id or ""
    order.order_number = source.number or ""
    order.amount.CopyFrom(_money(source.currency, source.total))
    for item in source.items or ():
        line = order.items.add(
            name=item.name or "",
            quantity=item.quantity_text,
            product_id=item.product_id or "",
            sku=item.sku or "",
        )
        if item.unit_price is not None:
            line.unit_price.CopyFrom(_money(source.currency, item.unit_price))
    order.signed = True
    order.test = bool(source.test)
    order.cart_id = source.cart
    if event.attribution is not None:
        order.click_id = event.attribution.click_id or ""


def _refund(refund: event_pb2.OrderRefunded, shop_id: str, event: ShopEvent) -> None:
    assert event.refund is not None, "checked at receipt"
    refund.shop_id = shop_id
    refund.refund_id = event.refund.id
    refund.order_id = event.order.id or ""
    refund.amount.CopyFrom(_money(event.order.currency, event.refund.amount))
    refund.signed = True


def _update(update: event_pb2.OrderUpdated, shop_id: str, event: ShopEvent) -> None:
    assert event.order.total is not None, "checked at receipt"
    update.shop_id = shop_id
    update.order_id = event.order.id or ""
    update.left_amount.CopyFrom(_money(event.order.currency, event.order.total))
    update.signed = True


def _money(currency: str, text: str) -> money_pb2.Money:
    return money_pb2.Money(currency_code=currency, amount_micros=parse_micros(text))
