# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of rows that were set aside: a part of the servicer of points."""

from __future__ import annotations

from typing import Any

from libs.common.paging import page_key, page_of, page_size
from omnijourney.points.v1 import points_service_pb2 as pb
from services.points.convert import ledger as convert
from services.points.servicer.base import Base


class SetAsideCalls(Base):
    """The RPCs of rows set aside in `protos/omnijourney/points/v1/points_service.proto`."""

    async def ListRowsSetAside(
        self, request: pb.ListRowsSetAsideRequest, context: Any
    ) -> pb.ListRowsSetAsideResponse:
        """Rows that could not be applied."""
        aside, size = self._deps.rows_set_aside, page_size(request.page_size)
        aside.check_source(request.source)
        arguments = ("set aside", request.source)
        after = page_key(request.page_token, tuple[int, int], *arguments) or (-1, 0)
        page = page_of(await aside.page(after, size + 1), size, lambda row: row.place, *arguments)
        return pb.ListRowsSetAsideResponse(
            rows=[convert.row_set_aside(aside.source, row) for row in page.rows],
            next_page_token=page.next_token,
        )

    async def RetryRowsSetAside(
        self, request: pb.RetryRowsSetAsideRequest, context: Any
    ) -> pb.RetryRowsSetAsideResponse:
        """Applies rows that could not be applied before."""
        aside = self._deps.rows_set_aside
        aside.check_source(request.source)

        def answer(applied: int, left: int) -> pb.RetryRowsSetAsideResponse:
            return pb.RetryRowsSetAsideResponse(applied_count=applied, left_count=left)

        return await aside.retry(request, pb.RetryRowsSetAsideResponse, answer)
