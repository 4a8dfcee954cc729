"""The ledger of points, as segment posts to it: points of lines of contact imports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import grpc

from libs.common.errors import Unavailable
from libs.common.rpc.client import CALL_DEADLINE_S, retrying
from omnijourney.internal.v1 import ledger_service_pb2 as pb
from omnijourney.internal.v1 import ledger_service_pb2_grpc, postings_pb2
from omnijourney.points.v1 import posting_pb2
from services.segment.domain.contact_imports import Asked, ContactRow, posting_key

POSTINGS_MAX: Final = 500
_REFUSALS: Final[dict[int, tuple[str, str]]] = {
    posting_pb2.POSTING_REASON_INSUFFICIENT: (
        "{asked} points asked, {there} there",
        "INSUFFICIENT_POINTS",
    ),
    posting_pb2.POSTING_REASON_OUT_OF_RANGE: (
        "{points} points would leave the range that a balance has",
        "POINTS_OUT_OF_RANGE",
    ),
    posting_pb2.POSTING_REASON_MODULE_MISSING: ("the team lacks the module POINTS", "MODULE_MISSING"),
}
"""Reason of the ledger → what people are told, and the `ErrorReason`."""


class Posted(NamedTuple):
    """What became of the points of a line."""

    applied: bool
    message: str = ""
    """Why not, or what was cut."""
    reason: str = ""
    """Name of an `ErrorReason` where it was not."""


class Ledger(Protocol):
    """Where points are posted."""

    async def post(self, asked: Asked, rows: Sequence[ContactRow]) -> list[Posted]:
        """Posts the points of up to POSTINGS_MAX lines, each counted once however often it is asked. Raises
        Unavailable."""
        ...


class LedgerClient:
    """See `Ledger`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """`channel` to points."""
        self._stub = ledger_service_pb2_grpc.LedgerServiceStub(channel)

    async def post(self, asked: Asked, rows: Sequence[ContactRow]) -> list[Posted]:
        """See `Ledger`."""
        request = pb.PostEntriesRequest(postings=[_posting(asked, row) for row in rows])
        try:
            response = await retrying(lambda: self._stub.PostEntries(request, timeout=CALL_DEADLINE_S))
        except grpc.aio.AioRpcError as error:
            raise Unavailable.dependency("points") from error
        if any(result.status == posting_pb2.POSTING_STATUS_FAILED for result in response.results):
            raise Unavailable.dependency("points")
        return [_posted(row.points, result) for row, result in zip(rows, response.results, strict=True)]


def _posting(asked: Asked, row: ContactRow) -> postings_pb2.Posting:
    return postings_pb2.Posting(
        key=str(posting_key(asked.contact_import_id, row.line)),
        team_id=str(asked.team_id),
        customer_id=str(row.customer_id),
        actor=asked.actor,
        import_row=postings_pb2.ImportPosting(
            points=row.points,
            deduct_cumulative=asked.deduct_cumulative,
            import_id=str(asked.contact_import_id),
            file_name=asked.file_name,
            row_number=row.line,
        ),
    )


def _posted(points: int, result: posting_pb2.PostingResult) -> Posted:
    if result.status == posting_pb2.POSTING_STATUS_POSTED:
        cut = result.shortfall
        return Posted(True, f"the cumulative points were cut by {cut}" if cut else "")
    said, reason = _REFUSALS.get(result.reason, ("the ledger refused {points} points", "INVALID_FIELDS"))
    message = said.format(points=points, asked=-points, there=result.balance)
    return Posted(False, f"Point Balance: {message}", reason)
