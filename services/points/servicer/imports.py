# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of imports: a part of the servicer of points."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec

from libs.common.callers import caller
from libs.common.csv_text import BYTE_ORDER_MARK, csv_lines
from libs.common.errors import FieldViolation, InvalidArgument
from libs.common.paging import page_key, page_of, page_size
from libs.common.rpc.servicing import ids_of, team_of
from omnijourney.points.v1 import points_service_pb2 as pb
from services.points.convert import imports as convert
from services.points.domain.imports import FILE_BYTES_MAX, ImportState, sample
from services.points.domain.views import Import, ImportCounts
from services.points.servicer.base import Base
from services.points.usecases.imports import ImportKey

"""Largest file: a hundred thousand lines of 160 bytes."""
_PREVIEW_DEFAULT: Final = 100
_PREVIEW_MAX: Final = 500
_REPORT_PAGE: Final = 2_000


Moved = TypeVar("Moved", pb.ExecuteImportResponse, pb.UndoImportResponse, pb.CancelImportResponse)


class _PageKey(msgspec.Struct, frozen=True, array_like=True):
    created_at: datetime
    import_id: UUID


class ImportCalls(Base):
    """The RPCs of imports in `protos/omnijourney/points/v1/points_service.proto`."""

    async def CreateImport(self, request: pb.CreateImportRequest, context: Any) -> pb.CreateImportResponse:
        """Opens an import."""
        team_id, terms = convert.terms(request, caller().name)

        def answer(opened: Import, counts: ImportCounts) -> pb.CreateImportResponse:
            return pb.CreateImportResponse(points_import=convert.points_import(opened, counts))

        return await self._deps.imports.open(request, team_id, terms, pb.CreateImportResponse, answer)

    async def UploadImportFile(
        self, request_iterator: AsyncIterator[pb.UploadImportFileRequest], context: Any
    ) -> pb.UploadImportFileResponse:
        """Takes a whole file."""
        request, content = await _collect(request_iterator)
        key = ids_of(request.team_id, "points_import_id", request.points_import_id)

        def answer(uploaded: Import, counts: ImportCounts) -> pb.UploadImportFileResponse:
            return pb.UploadImportFileResponse(points_import=convert.points_import(uploaded, counts))

        return await self._deps.imports.upload(
            request, key, content, reply=pb.UploadImportFileResponse, answer=answer
        )

    async def AddImportRows(self, request: pb.AddImportRowsRequest, context: Any) -> pb.AddImportRowsResponse:
        """Adds some rows."""
        key = ids_of(request.team_id, "points_import_id", request.points_import_id)
        lines = convert.lines(request)

        def answer(found: Import, counts: ImportCounts) -> pb.AddImportRowsResponse:
            return pb.AddImportRowsResponse(points_import=convert.points_import(found, counts))

        return await self._deps.imports.add_rows(
            request, key, lines, reply=pb.AddImportRowsResponse, answer=answer
        )

    async def PreviewImport(self, request: pb.PreviewImportRequest, context: Any) -> pb.PreviewImportResponse:
        """What would become of the rows now."""
        rows_max = min(request.rows_max or _PREVIEW_DEFAULT, _PREVIEW_MAX)
        key = await self._opened(request.team_id, request.points_import_id)
        preview = await self._deps.imports.preview(key, rows_max)
        return pb.PreviewImportResponse(
            counts=convert.counts_message(preview.counts), rows=map(convert.row, preview.rows)
        )

    async def ExecuteImport(self, request: pb.ExecuteImportRequest, context: Any) -> pb.ExecuteImportResponse:
        """Starts posting."""
        move = (ImportState.OPEN, ImportState.RUNNING)
        return await self._move(
            request, request.team_id, request.points_import_id, pb.ExecuteImportResponse, move
        )

    async def UndoImport(self, request: pb.UndoImportRequest, context: Any) -> pb.UndoImportResponse:
        """Starts taking back."""
        move = (ImportState.DONE, ImportState.UNDOING)
        return await self._move(
            request, request.team_id, request.points_import_id, pb.UndoImportResponse, move
        )

    async def CancelImport(self, request: pb.CancelImportRequest, context: Any) -> pb.CancelImportResponse:
        """Gives up."""
        move = (ImportState.OPEN, ImportState.CANCELLED)
        return await self._move(
            request, request.team_id, request.points_import_id, pb.CancelImportResponse, move
        )

    async def _move(
        self,
        request: pb.ExecuteImportRequest | pb.UndoImportRequest | pb.CancelImportRequest,
        team_id: str,
        points_import_id: str,
        reply: type[Moved],
        move: tuple[ImportState, ImportState],
    ) -> Moved:
        def answer(moved: Import, counts: ImportCounts) -> Moved:
            return reply(points_import=convert.points_import(moved, counts))

        key = ids_of(team_id, "points_import_id", points_import_id)
        response = await self._deps.imports.move(request, key, move, reply, answer)
        self._deps.importer.wake()
        return response

    async def _opened(self, team_id: str, points_import_id: str) -> ImportKey:
        """Team and import, of a team that may see it."""
        key = ids_of(team_id, "points_import_id", points_import_id)
        await self._deps.modules.require(key[0])
        return key

    async def GetImport(self, request: pb.GetImportRequest, context: Any) -> pb.GetImportResponse:
        """Reads an import."""
        found = await self._deps.imports.read(await self._opened(request.team_id, request.points_import_id))
        return pb.GetImportResponse(points_import=convert.points_import(*found))

    async def ListImports(self, request: pb.ListImportsRequest, context: Any) -> pb.ListImportsResponse:
        """A page of imports."""
        team_id = team_of(request.team_id)
        await self._deps.modules.require(team_id)
        size = page_size(request.page_size)
        key = page_key(request.page_token, _PageKey, "imports", request.team_id)
        after = (key.created_at, key.import_id) if key else None
        found = await self._deps.import_store.list_imports(team_id, after, size + 1)
        page = page_of(
            found,
            size,
            lambda each: _PageKey(each.created_at, each.import_id),
            "imports",
            request.team_id,
        )
        counts = await self._deps.import_store.counts(team_id, [each.import_id for each in page.rows])
        return pb.ListImportsResponse(
            imports=[convert.points_import(each, counts[each.import_id]) for each in page.rows],
            next_page_token=page.next_token,
        )

    async def ListImportRows(
        self, request: pb.ListImportRowsRequest, context: Any
    ) -> pb.ListImportRowsResponse:
        """A page of rows."""
        found = await self._deps.import_store.read(
            *await self._opened(request.team_id, request.points_import_id)
        )
        statuses = convert.statuses(request.statuses)
        asked = ("rows", request.team_id, request.points_import_id, *request.statuses)
        size = page_size(request.page_size)
        after = page_key(request.page_token, int, *asked) or 0
        rows = await self._deps.import_store.rows(found, statuses, after, size + 1)
        page = page_of(rows, size, lambda each: each.row.line.row_number, *asked)
        return pb.ListImportRowsResponse(rows=map(convert.row, page.rows), next_page_token=page.next_token)

    async def ExportImportReport(
        self, request: pb.ExportImportReportRequest, context: Any
    ) -> AsyncIterator[pb.ExportImportReportResponse]:
        """The report as CSV."""
        found = await self._deps.import_store.read(
            *await self._opened(request.team_id, request.points_import_id)
        )
        yield pb.ExportImportReportResponse(csv=csv_lines([convert.REPORT_HEADER]))
        after = 0
        while rows := await self._deps.import_store.rows(found, (), after, _REPORT_PAGE):
            yield pb.ExportImportReportResponse(csv=convert.report(rows))
            after = rows[-1].row.line.row_number

    async def GetImportSample(
        self, request: pb.GetImportSampleRequest, context: Any
    ) -> pb.GetImportSampleResponse:
        """The sample file, the same for every team that has points."""
        await self._deps.modules.require(team_of(request.team_id))
        return pb.GetImportSampleResponse(csv=BYTE_ORDER_MARK + csv_lines(sample()))


async def _collect(
    pieces: AsyncIterator[pb.UploadImportFileRequest],
) -> tuple[pb.UploadImportFileRequest, bytes]:
    """The first piece without its bytes, which stands for the request, and the file. Raises InvalidArgument."""
    request: pb.UploadImportFileRequest | None = None
    content = bytearray()
    async for piece in pieces:
        content += piece.csv
        if len(content) > FILE_BYTES_MAX:
            raise InvalidArgument.of(FieldViolation("csv", f"must have at most {FILE_BYTES_MAX} bytes"))
        if request is None:
            request = piece
            request.ClearField("csv")
    return request or pb.UploadImportFileRequest(), bytes(content)
