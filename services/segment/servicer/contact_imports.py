# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of contact imports, and imports as operations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.common.paging import page_key, page_of, page_size
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.long_work import OperationPage, PageKey, Unpausable
from libs.common.rpc.servicing import ids_of, team_of
from omnijourney.common.v1 import operation_pb2
from omnijourney.common.v1 import operations_service_pb2 as operations
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert import contact_imports as convert
from services.segment.domain.contact_files import sample
from services.segment.domain.contact_imports import ContactImport, ImportState
from services.segment.domain.contact_rows import RowStatus
from services.segment.servicer.base import Base
from services.segment.usecases.contact_imports import ContactImports

_REPORT_PAGE: Final = 500


class ContactImportRpcs(Base):
    """See the contract."""

    async def StartContactImport(
        self, request: pb.StartContactImportRequest, context: Any
    ) -> pb.StartContactImportResponse:
        """Keeps a file, or its first part."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        wish = convert.wish(check, request)
        is_whole = wish.file_bytes == len(request.csv)
        head = convert.file_head(check, request, ("account_id", request.account_id), is_whole=is_whole)
        check.done()

        def answer(found: ContactImport) -> pb.StartContactImportResponse:
            return pb.StartContactImportResponse(contact_import=convert.import_message(found))

        return await self._deps.contact_imports.start(
            request, team_id, head, wish, reply=pb.StartContactImportResponse, answer=answer
        )

    async def UploadContactImportPart(
        self, request: pb.UploadContactImportPartRequest, context: Any
    ) -> pb.UploadContactImportPartResponse:
        """Keeps the next part."""
        key = ids_of(request.team_id, "contact_import_id", request.contact_import_id)

        def answer(found: ContactImport) -> pb.UploadContactImportPartResponse:
            return pb.UploadContactImportPartResponse(contact_import=convert.import_message(found))

        return await self._deps.contact_imports.upload(
            request,
            key,
            request.start_byte,
            request.csv,
            reply=pb.UploadContactImportPartResponse,
            answer=answer,
        )

    async def PreviewContactImport(
        self, request: pb.PreviewContactImportRequest, context: Any
    ) -> pb.PreviewContactImportResponse:
        """What the first lines would do."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        head = convert.preview_head(check, request)
        check.done()
        columns, fault, rows = await self._deps.contact_imports.preview(team_id, head)
        return pb.PreviewContactImportResponse(
            columns=convert.column_messages(columns),
            message=fault,
            rows=[convert.previewed_message(line, outcome) for line, outcome in rows],
        )

    async def GetContactImport(
        self, request: pb.GetContactImportRequest, context: Any
    ) -> pb.GetContactImportResponse:
        """How far one is."""
        found = await self._deps.contact_imports.read(
            ids_of(request.team_id, "contact_import_id", request.contact_import_id)
        )
        return pb.GetContactImportResponse(contact_import=convert.import_message(found))

    async def ListContactImports(
        self, request: pb.ListContactImportsRequest, context: Any
    ) -> pb.ListContactImportsResponse:
        """Imports, newest first."""
        team_id = team_of(request.team_id)
        asked = ("contact imports", team_id, request.state)
        size = page_size(request.page_size)
        after = page_key(request.page_token, tuple[datetime, UUID], *asked)
        if request.state == operation_pb2.OPERATION_STATE_PAUSED:
            return pb.ListContactImportsResponse()  # nobody can hold one
        state = ImportState(request.state) if request.state else None
        found = await self._deps.contact_imports.page(team_id, state, after, size + 1)
        page = page_of(found, size, lambda each: (each.created_at, each.asked.contact_import_id), *asked)
        return pb.ListContactImportsResponse(
            contact_imports=map(convert.import_message, page.rows), next_page_token=page.next_token
        )

    async def ListContactImportRows(
        self, request: pb.ListContactImportRowsRequest, context: Any
    ) -> pb.ListContactImportRowsResponse:
        """Lines of which there is something to say."""
        key = ids_of(request.team_id, "contact_import_id", request.contact_import_id)
        await self._deps.contact_imports.read(key)
        asked = ("contact import rows", *key, request.status)
        size = page_size(request.page_size)
        after = page_key(request.page_token, int, *asked) or 0
        found = await self._deps.contact_imports.rows(key, request.status or None, after, size + 1)
        page = page_of(found, size, lambda each: each.line, *asked)
        return pb.ListContactImportRowsResponse(
            rows=map(convert.row_message, page.rows), next_page_token=page.next_token
        )

    async def ExportContactImportReport(
        self, request: pb.ExportContactImportReportRequest, context: Any
    ) -> AsyncIterator[pb.ExportContactImportReportResponse]:
        """The lines that failed, as a file."""
        key = ids_of(request.team_id, "contact_import_id", request.contact_import_id)
        found = await self._deps.contact_imports.read(key)
        yield pb.ExportContactImportReportResponse(csv=convert.report_heading(found))
        after = 0
        while rows := await self._deps.contact_imports.rows(key, RowStatus.FAILED, after, _REPORT_PAGE):
            yield pb.ExportContactImportReportResponse(csv=convert.report(found, rows))
            after = rows[-1].line

    async def GetContactImportSample(
        self, request: pb.GetContactImportSampleRequest, context: Any
    ) -> pb.GetContactImportSampleResponse:
        """A file as it should look."""
        team_id = team_of(request.team_id)
        with_points = await self._deps.contact_imports.has_points(team_id)
        lines = sample(int(request.channel), with_points=with_points)
        return pb.GetContactImportSampleResponse(csv=convert.sample_text(lines))


class ContactImportOperations(Unpausable):
    """Imports are operations under their own ids."""

    def __init__(self, imports: ContactImports) -> None:
        """Of the servicer."""
        self._imports = imports

    async def read(self, team_id: UUID, operation_id: UUID) -> operation_pb2.Operation:
        """See `Operations`."""
        return convert.operation_message(await self._imports.read((team_id, operation_id)))

    async def page(self, team_id: UUID, after: PageKey | None, limit: int) -> OperationPage:
        """See `Operations`."""
        found = await self._imports.page(team_id, None, after, limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        following = (last.created_at, last.asked.contact_import_id) if last else None
        return OperationPage([convert.operation_message(each) for each in found[:limit]], following)

    async def cancel(
        self, request: operations.CancelOperationRequest, team_id: UUID, operation_id: UUID
    ) -> operations.CancelOperationResponse:
        """See `Operations`."""
        form = operations.CancelOperationResponse

        def answer(found: ContactImport) -> operations.CancelOperationResponse:
            return form(operation=convert.operation_message(found))

        return await self._imports.cancel(request, (team_id, operation_id), form, answer)
