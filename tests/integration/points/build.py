"""Postings as clients build them."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from libs.common.ids import new_id
from omnijourney.common.v1 import money_pb2
from omnijourney.internal.v1 import postings_pb2

HOUR = timedelta(hours=1)


def _posting(team_id: UUID, customer_id: UUID, key: UUID | None) -> postings_pb2.Posting:
    return postings_pb2.Posting(
        key=str(key or new_id()), team_id=str(team_id), customer_id=str(customer_id), actor="test"
    )


def earn(
    team_id: UUID,
    customer_id: UUID,
    amount_micros: int,
    *,
    order_key: UUID | None = None,
    has_phone: bool = True,
    key: UUID | None = None,
) -> postings_pb2.Posting:
    """An order earns; its key is the order's unless another is given."""
    order_key = order_key or new_id()
    posting = _posting(team_id, customer_id, key or order_key)
    posting.earn.CopyFrom(
        postings_pb2.EarnPosting(
            order_key=str(order_key),
            shop_id="shop",
            order_id=f"order {order_key}",
            amount=money_pb2.Money(currency_code="USD", amount_micros=amount_micros),
            has_phone=has_phone,
        )
    )
    return posting


def refund(
    team_id: UUID,
    customer_id: UUID,
    amount_micros: int,
    *,
    order_key: UUID | None = None,
    key: UUID | None = None,
) -> postings_pb2.Posting:
    """A refund, of an order or of none."""
    refund_key = key or new_id()
    posting = _posting(team_id, customer_id, refund_key)
    posting.refund.CopyFrom(
        postings_pb2.RefundPosting(
            refund_key=str(refund_key),
            order_key=str(order_key or ""),
            shop_id="shop",
            refund_id=f"refund {refund_key}",
            amount=money_pb2.Money(currency_code="USD", amount_micros=amount_micros),
        )
    )
    return posting


def journey(
    team_id: UUID, customer_id: UUID, points: int, *, has_phone: bool = True, key: UUID | None = None
) -> postings_pb2.Posting:
    """A node adds, or deducts negative points."""
    posting = _posting(team_id, customer_id, key)
    ids = {"journey_id": str(new_id()), "enrolment_id": str(new_id())}
    if points > 0:
        posting.journey_add.CopyFrom(
            postings_pb2.JourneyAddPosting(
                points=points, journey_name="welcome", node_id="gift", has_phone=has_phone, **ids
            )
        )
    else:
        posting.journey_deduct.CopyFrom(
            postings_pb2.JourneyDeductPosting(
                points=-points, journey_name="welcome", node_id="fee", has_phone=has_phone, **ids
            )
        )
    return posting


def manual(
    team_id: UUID, customer_id: UUID, points: int, *, deduct_cumulative: bool = False, key: UUID | None = None
) -> postings_pb2.Posting:
    """An operator adds, or deducts negative points."""
    posting = _posting(team_id, customer_id, key)
    posting.manual.CopyFrom(
        postings_pb2.ManualPosting(points=points, deduct_cumulative=deduct_cumulative, note="because")
    )
    return posting


def coupon(team_id: UUID, customer_id: UUID, points: int, *, key: UUID | None = None) -> postings_pb2.Posting:
    """Points are spent on a coupon."""
    posting = _posting(team_id, customer_id, key)
    posting.coupon.CopyFrom(
        postings_pb2.CouponPosting(
            points=points, coupon_id=str(new_id()), coupon_name="mug", claim_id=str(new_id())
        )
    )
    return posting


def import_row(
    team_id: UUID,
    customer_id: UUID,
    points: int,
    *,
    deduct_cumulative: bool = False,
    key: UUID | None = None,
) -> postings_pb2.Posting:
    """A row of an import."""
    posting = _posting(team_id, customer_id, key)
    posting.import_row.CopyFrom(
        postings_pb2.ImportPosting(
            points=points,
            deduct_cumulative=deduct_cumulative,
            import_id=str(new_id()),
            file_name="list.csv",
            row_number=2,
        )
    )
    return posting


def merge(
    team_id: UUID, customer_id: UUID, survivor_id: UUID, *, key: UUID | None = None
) -> postings_pb2.Posting:
    """All points move to the survivor."""
    posting = _posting(team_id, customer_id, key)
    posting.merge.CopyFrom(
        postings_pb2.MergePosting(survivor_customer_id=str(survivor_id), merge_id=str(new_id()))
    )
    return posting
