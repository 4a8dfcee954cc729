# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of imports: a part of the servicer of points."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec

from libs.common.db.pool import Connection, transaction
from libs.common.db.requests import Write, answer_once
from libs.common.errors import FieldViolation, InvalidArgument
from libs.common.paging import page_key, page_size, page_token
from omnijourney.points.v1 import points_import_pb2 as messages
from omnijourney.points.v1 import points_service_pb2 as pb
from services.points.convert import imports as convert
from services.points.convert import requests
from services.points.convert.csv_text import csv_lines
from services.points.domain.imports import ROWS_MAX, ImportState, RowStatus, read_file, sample
from services.points.servicer.base import Base
from services.points.store.imports import Counts, Import, SeenRow
from services.points.usecases.matching import match

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Largest file: a hundred thousand lines of 160 bytes."""
_PREVIEW_DEFAULT: Final = 100
_PREVIEW_MAX: Final = 500
_REPORT_PAGE: Final = 2_000
_BYTE_ORDER_MARK: Final = "\ufeff".encode()
"""By which spreadsheets know UTF-8."""


Moved = TypeVar("Moved", pb.ExecuteImportResponse, pb.UndoImportResponse, pb.CancelImportResponse)


class _PageKey(msgspec.Struct, frozen=True, array_like=True):
    created_at: datetime
    import_id: UUID


class ImportCalls(Base):
    """The RPCs of imports in `protos/omnijourney/points/v1/points_service.proto`."""

    async def CreateImport(self, request: pb.CreateImportRequest, context: Any) -> pb.CreateImportResponse:
        """Opens an import."""
        team_id, terms = convert.terms(request)

        async def create(connection: Connection) -> pb.CreateImportResponse:
            made = await self._parts.imports.create(connection, team_id, terms)
            return pb.CreateImportResponse(points_import=convert.points_import(made, None))

        return await answer_once(self._parts.pool, team_id, request, pb.CreateImportResponse, create)

    async def UploadImportFile(
        self, request_iterator: AsyncIterator[pb.UploadImportFileRequest], context: Any
    ) -> pb.UploadImportFileResponse:
        """Takes a whole file."""
        ids, content = await _collect(request_iterator)
        found = await self._parts.imports.read(*ids)
        if hashlib.sha256(content).digest() != found.terms.file_sha256:
            violation = FieldViolation("csv", "is not the file whose hash the import was opened with")
            raise InvalidArgument.of(violation)
        lines = await asyncio.to_thread(read_file, content)
        rows = await match(self._parts.finder, ids[0], lines)
        async with transaction(self._parts.pool, [ids[0]]) as connection:
            found = await self._parts.imports.lock(connection, *ids, ImportState.OPEN)
            await self._parts.imports.replace(connection, found, rows)
        return pb.UploadImportFileResponse(points_import=await self._told(found))

    async def AddImportRows(self, request: pb.AddImportRowsRequest, context: Any) -> pb.AddImportRowsResponse:
        """Adds some rows."""
        ids, lines = convert.ids(request.team_id, request.import_id), convert.lines(request)
        rows = await match(self._parts.finder, ids[0], lines)
        async with transaction(self._parts.pool, [ids[0]]) as connection:
            found = await self._parts.imports.lock(connection, *ids, ImportState.OPEN)
            convert.check_same(lines, await self._parts.imports.add(connection, found, rows))
            told = await self._parts.imports.counts(ids[0], [ids[1]], connection)
            if told[found.import_id].total > ROWS_MAX:
                raise InvalidArgument.of(FieldViolation("rows", f"an import has at most {ROWS_MAX} rows"))
        return pb.AddImportRowsResponse(points_import=await self._told(found))

    async def PreviewImport(self, request: pb.PreviewImportRequest, context: Any) -> pb.PreviewImportResponse:
        """What would become of the rows now."""
        found = await self._open(request.team_id, request.import_id)
        rows_max = min(request.rows_max or _PREVIEW_DEFAULT, _PREVIEW_MAX)
        tally, change = Counter[RowStatus](), 0
        refused: list[SeenRow] = []
        others: list[SeenRow] = []
        async for seen in self._parts.imports.foretell(found):
            tally[seen.outcome.status] += 1
            change += seen.outcome.delta_balance
            kept = others if seen.outcome.status in {RowStatus.APPLIED, RowStatus.UNCHANGED} else refused
            if len(kept) < rows_max:
                kept.append(seen)
        counts = Counts(
            total=tally.total(),
            applied=tally[RowStatus.APPLIED],
            unchanged=tally[RowStatus.UNCHANGED],
            invalid=tally[RowStatus.INVALID],
            insufficient=tally[RowStatus.INSUFFICIENT],
            delta_balance=change,
        )
        shown = [*refused, *others][:rows_max]
        return pb.PreviewImportResponse(
            counts=convert.counts_message(counts), rows=[convert.row(seen) for seen in shown]
        )

    async def _open(self, team_id: str, import_id: str) -> Import:
        ids = convert.ids(team_id, import_id)
        async with transaction(self._parts.pool, [ids[0]]) as connection:
            return await self._parts.imports.lock(connection, *ids, ImportState.OPEN)

    async def ExecuteImport(self, request: pb.ExecuteImportRequest, context: Any) -> pb.ExecuteImportResponse:
        """Starts posting."""
        move = (ImportState.OPEN, ImportState.RUNNING)
        return await self._move(request, request.team_id, request.import_id, pb.ExecuteImportResponse, move)

    async def UndoImport(self, request: pb.UndoImportRequest, context: Any) -> pb.UndoImportResponse:
        """Starts taking back."""
        move = (ImportState.DONE, ImportState.UNDOING)
        return await self._move(request, request.team_id, request.import_id, pb.UndoImportResponse, move)

    async def CancelImport(self, request: pb.CancelImportRequest, context: Any) -> pb.CancelImportResponse:
        """Gives up."""
        move = (ImportState.OPEN, ImportState.CANCELLED)
        return await self._move(request, request.team_id, request.import_id, pb.CancelImportResponse, move)

    async def _move(
        self,
        request: Write,
        team_id: str,
        import_id: str,
        reply: type[Moved],
        move: tuple[ImportState, ImportState],
    ) -> Moved:
        ids = convert.ids(team_id, import_id)

        async def work(connection: Connection) -> Moved:
            found = await self._parts.imports.lock(connection, *ids, move[0])
            moved = await self._parts.imports.move(connection, found, move[1])
            counts = await self._parts.imports.counts(ids[0], [ids[1]], connection)
            return reply(points_import=convert.points_import(moved, counts.get(ids[1])))

        answer = await answer_once(self._parts.pool, ids[0], request, reply, work)
        self._parts.importer.wake()
        return answer

    async def GetImport(self, request: pb.GetImportRequest, context: Any) -> pb.GetImportResponse:
        """Reads an import."""
        found = await self._parts.imports.read(*convert.ids(request.team_id, request.import_id))
        return pb.GetImportResponse(points_import=await self._told(found))

    async def ListImports(self, request: pb.ListImportsRequest, context: Any) -> pb.ListImportsResponse:
        """A page of imports."""
        team_id = requests.team(request.team_id)
        size = page_size(request.page_size)
        key = page_key(request.page_token, _PageKey, "imports", request.team_id)
        after = (key.created_at, key.import_id) if key else None
        found = await self._parts.imports.list_imports(team_id, after, size + 1)
        page, token = found[:size], ""
        if len(found) > size:
            token = page_token(_PageKey(page[-1].created_at, page[-1].import_id), "imports", request.team_id)
        counts = await self._parts.imports.counts(team_id, [each.import_id for each in page])
        return pb.ListImportsResponse(
            imports=[convert.points_import(each, counts.get(each.import_id)) for each in page],
            next_page_token=token,
        )

    async def ListImportRows(
        self, request: pb.ListImportRowsRequest, context: Any
    ) -> pb.ListImportRowsResponse:
        """A page of rows."""
        found = await self._parts.imports.read(*convert.ids(request.team_id, request.import_id))
        statuses = convert.statuses(request.statuses)
        asked = ("rows", request.team_id, request.import_id, *request.statuses)
        size = page_size(request.page_size)
        after = page_key(request.page_token, int, *asked) or 0
        rows = await self._parts.imports.rows(found, statuses, after, size + 1)
        page, token = rows[:size], ""
        if len(rows) > size:
            token = page_token(page[-1].row.line.row_number, *asked)
        return pb.ListImportRowsResponse(rows=[convert.row(seen) for seen in page], next_page_token=token)

    async def ExportImportReport(
        self, request: pb.ExportImportReportRequest, context: Any
    ) -> AsyncIterator[pb.ExportImportReportResponse]:
        """The report as CSV."""
        found = await self._parts.imports.read(*convert.ids(request.team_id, request.import_id))
        yield pb.ExportImportReportResponse(csv=csv_lines([convert.REPORT_HEADER]))
        after = 0
        while rows := await self._parts.imports.rows(found, (), after, _REPORT_PAGE):
            yield pb.ExportImportReportResponse(csv=convert.report(rows))
            after = rows[-1].row.line.row_number

    async def GetImportSample(
        self, request: pb.GetImportSampleRequest, context: Any
    ) -> pb.GetImportSampleResponse:
        """The sample file, the same for every team."""
        requests.team(request.team_id)
        return pb.GetImportSampleResponse(csv=_BYTE_ORDER_MARK + csv_lines(sample()))

    async def _told(self, found: Import) -> messages.PointsImport:
        counts = await self._parts.imports.counts(found.team_id, [found.import_id])
        return convert.points_import(found, counts.get(found.import_id))


async def _collect(pieces: AsyncIterator[pb.UploadImportFileRequest]) -> tuple[tuple[UUID, UUID], bytes]:
    """Team and import of the first piece, and the file. Raises InvalidArgument."""
    ids: tuple[UUID, UUID] | None = None
    content = bytearray()
    async for piece in pieces:
        if ids is None:
            ids = convert.ids(piece.team_id, piece.import_id)
        content += piece.csv
        if len(content) > FILE_BYTES_MAX:
            raise InvalidArgument.of(FieldViolation("csv", f"must have at most {FILE_BYTES_MAX} bytes"))
    return ids or convert.ids("", ""), bytes(content)
