"""Whose an order is, to contract."""

from __future__ import annotations

from libs.common.rpc.values import timestamp
from omnijourney.segment.v1 import history_pb2
from omnijourney.stats.v1 import attribution_pb2 as pb
from services.stats.convert.figures import amounts
from services.stats.domain.views import AttributedOrder


def explanation(order: AttributedOrder) -> pb.OrderExplanation:
    """The way from click to order."""
    click = order.clicked_at or order.before_at
    revenue = {order.currency: order.counted_micros} if order.counted_micros else {}
    return pb.OrderExplanation(
        reason=_reason(order),
        journey_id=str(order.journey_id or ""),
        node_id=order.node_id,
        click_time=timestamp(click) if click is not None else None,
        occur_time=timestamp(order.ordered_at),
        revenue=amounts(revenue),
    )


def _reason(order: AttributedOrder) -> pb.AttributionReason.ValueType:
    if order.journey_id is not None:
        return pb.ATTRIBUTION_REASON_LAST_CLICK
    if order.customer_id is None:
        anonymous = order.uncounted == history_pb2.UNCOUNTED_REASON_ANONYMOUS
        return pb.ATTRIBUTION_REASON_ANONYMOUS if anonymous else pb.ATTRIBUTION_REASON_NOT_COUNTED
    return pb.ATTRIBUTION_REASON_NO_CLICK if order.before_at is None else pb.ATTRIBUTION_REASON_CLICK_TOO_OLD
