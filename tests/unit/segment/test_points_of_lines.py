"""What people are told of points that the ledger refuses to a line of a file, and by which reason."""

from __future__ import annotations

from typing import Any, cast

import grpc
import pytest

from libs.common.ids import new_id
from omnijourney.common.v1 import channel_pb2
from omnijourney.internal.v1 import ledger_service_pb2 as pb
from omnijourney.points.v1 import posting_pb2
from services.segment.clients.ledger import LedgerClient, Posted
from services.segment.convert.checks import reason_number
from services.segment.domain.contact_imports import Asked, ContactRow
from services.segment.domain.contact_rows import RowStatus

ASKED = Asked(
    new_id(), new_id(), "f", b"", 1, channel_pb2.CHANNEL_WHATSAPP, new_id(), False, False, False, "a", ()
)


class Channel:
    """To a ledger that answers each posting alike."""

    def __init__(self, answer: posting_pb2.PostingResult) -> None:
        self.answer = answer

    def unary_unary(self, *_: Any, **__: Any) -> Any:
        """The one call that there is."""

        async def post(request: pb.PostEntriesRequest, **_: Any) -> pb.PostEntriesResponse:
            return pb.PostEntriesResponse(results=[self.answer for _ in request.postings])

        return post


@pytest.mark.rule("P-10b")
@pytest.mark.parametrize(
    ("points", "status", "reason", "expected"),
    [
        (-5, "REJECTED", "INSUFFICIENT", Posted(False, "5 points asked, 2 there", "INSUFFICIENT_POINTS")),
        (5, "REFUSED", "MODULE_MISSING", Posted(False, "the team lacks the module POINTS", "MODULE_MISSING")),
        (
            -5,
            "REFUSED",
            "MODULE_MISSING",
            Posted(False, "the team lacks the module POINTS", "MODULE_MISSING"),
        ),
        (
            5,
            "REJECTED",
            "OUT_OF_RANGE",
            Posted(False, "5 points would leave the range that a balance has", "POINTS_OUT_OF_RANGE"),
        ),
        (5, "REFUSED", "KEY_REUSED", Posted(False, "the ledger refused 5 points", "INVALID_FIELDS")),
    ],
)
async def test_a_refused_line_has_a_reason_of_its_own(
    points: int, status: str, reason: str, expected: Posted
) -> None:
    answer = posting_pb2.PostingResult(
        status=posting_pb2.PostingStatus.Value(f"POSTING_STATUS_{status}"),
        reason=posting_pb2.PostingReason.Value(f"POSTING_REASON_{reason}"),
        balance=2,
    )
    client = LedgerClient(cast("grpc.aio.Channel", Channel(answer)))
    row = ContactRow(2, RowStatus.WAITING, "", "", new_id(), points, ())
    (posted,) = await client.post(ASKED, [row])
    assert posted == expected._replace(message=f"Point Balance: {expected.message}")
    assert reason_number(posted.reason)
