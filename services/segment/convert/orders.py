"""Orders and refunds as answers."""

from __future__ import annotations

from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import money_pb2
from omnijourney.segment.v1 import order_pb2
from services.segment.domain.model import Item, Order, Refund, Uncounted
from services.segment.domain.refunds import left_of
from services.segment.domain.views import KnownOrder


def order_message(known: KnownOrder) -> order_pb2.Order:
    """An order without its items and refunds, which its remaining amount takes into account."""
    order = known.order
    counted = [refund.body for refund in known.refunds if refund.uncounted == Uncounted.COUNTS]
    body = order.body
    left = left_of(body.amount_micros, body.currency, counted)
    return order_pb2.Order(
        shop_id=body.shop_id,
        order_id=body.order_id,
        customer_id=str(order.customer_id or ""),
        amount=_money(body.currency, body.amount_micros),
        remaining_amount=_money(body.currency, max(left, min(body.amount_micros, 0))),
        counted=order.uncounted == Uncounted.COUNTS,
        occur_time=timestamp(order.occurred_at),
    )


def whole_order_message(known: KnownOrder) -> order_pb2.Order:
    """An order with its items and refunds."""
    message = order_message(known)
    message.items.extend(_item(item, known.order) for item in known.order.body.items)
    message.refunds.extend(_refund(refund) for refund in known.refunds)
    return message


def _item(item: Item, order: Order) -> order_pb2.OrderedItem:
    price = None
    if item.price_micros is not None:
        price = _money(item.price_currency or order.body.currency, item.price_micros)
    return order_pb2.OrderedItem(name=item.name, quantity=item.quantity, unit_price=price)


def _refund(refund: Refund) -> order_pb2.OrderRefund:
    body = refund.body
    return order_pb2.OrderRefund(
        refund_id=body.refund_id,
        amount=_money(body.currency, body.amount_micros),
        occur_time=timestamp(refund.occurred_at),
    )


def _money(currency: str, micros: int) -> money_pb2.Money:
    return money_pb2.Money(currency_code=currency, amount_micros=micros)
