"""Pairs of customers as answers."""

from __future__ import annotations

from libs.common.rpc.values import timestamp
from omnijourney.segment.v1 import identity_conflict_pb2
from services.segment.domain.views import IdentityConflict


def conflict_message(conflict: IdentityConflict) -> identity_conflict_pb2.IdentityConflict:
    """As the contract has it."""
    return identity_conflict_pb2.IdentityConflict(
        identity_conflict_id=str(conflict.identity_conflict_id),
        customer_id=str(conflict.customer_id),
        other_customer_id=str(conflict.other_customer_id),
        matched_field=conflict.matched_field,
        other_matched_field=conflict.other_matched_field,
        resolved=conflict.resolved,
        create_time=timestamp(conflict.create_time),
    )
