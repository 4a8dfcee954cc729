"""How long records are kept: messages ⇄ domain."""

from __future__ import annotations

from typing import Final

from libs.common.rpc.values import duration
from omnijourney.segment.v1 import consent_pb2
from services.segment.domain.retention import Periods, Retention

FIELDS: Final = frozenset(Periods._fields)
"""What a team may say."""


def read_periods(message: consent_pb2.Retention) -> Periods:
    """The periods that are set; their bounds were held before."""
    return Periods(
        **{
            field: getattr(message, field).ToTimedelta()
            for field in Periods._fields
            if message.HasField(field)  # type: ignore[arg-type]  # its names are those of the contract
        }
    )


def retention_message(retention: Retention) -> consent_pb2.Retention:
    """What a team says."""
    said = {field: duration(span) for field, span in retention.periods._asdict().items() if span is not None}
    return consent_pb2.Retention(**said, etag=str(retention.revision))
