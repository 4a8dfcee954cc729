"""Points for many customers from a file: uploaded, looked through, run, reported, and taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from aiohttp import web

from libs.console.downloads import CSV, download, once
from libs.console.faults import Faults
from libs.console.forms import refusal, status_of, texts_of
from libs.console.languages import noted
from libs.console.pages.customers import id_of
from libs.console.pages.points import has_points
from libs.console.uploads import Upload, upload_of
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.client import CallError
from omnijourney.points.v1 import points_import_pb2
from omnijourney.points.v1 import points_service_pb2 as points

routes = web.RouteTableDef()

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
_PART_BYTES: Final = 256 * 1024
_ROWS_SHOWN: Final = 100
STATES: Final[Mapping[int, tuple[str, str]]] = {
    points_import_pb2.IMPORT_STATE_OPEN: ("draft", noted("Not run yet")),
    points_import_pb2.IMPORT_STATE_RUNNING: ("planned", noted("Running")),
    points_import_pb2.IMPORT_STATE_DONE: ("good", noted("Done")),
    points_import_pb2.IMPORT_STATE_UNDOING: ("planned", noted("Being taken back")),
    points_import_pb2.IMPORT_STATE_UNDONE: ("closed", noted("Taken back")),
    points_import_pb2.IMPORT_STATE_CANCELLED: ("closed", noted("Cancelled")),
}
ROW_STATUSES: Final[Mapping[int, tuple[str, str]]] = {
    points_import_pb2.IMPORT_ROW_STATUS_APPLIED: ("good", noted("Applied")),
    points_import_pb2.IMPORT_ROW_STATUS_UNCHANGED: ("plain", noted("No change")),
    points_import_pb2.IMPORT_ROW_STATUS_INVALID: ("bad", noted("Wrong")),
    points_import_pb2.IMPORT_ROW_STATUS_INSUFFICIENT: ("warn", noted("Too few points")),
    points_import_pb2.IMPORT_ROW_STATUS_UNDONE: ("closed", noted("Taken back")),
    points_import_pb2.IMPORT_ROW_STATUS_NOT_UNDONE: ("warn", noted("Not taken back")),
}
ROW_FAULTS: Final[Mapping[int, str]] = {
    points_import_pb2.IMPORT_ROW_FAULT_MALFORMED: noted("The line has too many cells, or lacks its points."),
    points_import_pb2.IMPORT_ROW_FAULT_NOT_A_NUMBER: noted("The points are no whole number in plain digits."),
    points_import_pb2.IMPORT_ROW_FAULT_OUT_OF_RANGE: noted(
        "These are more points than one customer may have."
    ),
    points_import_pb2.IMPORT_ROW_FAULT_NO_CUSTOMER: noted("The line names no customer."),
    points_import_pb2.IMPORT_ROW_FAULT_NOT_FOUND: noted("No customer has this member ID, email or phone."),
    points_import_pb2.IMPORT_ROW_FAULT_AMBIGUOUS: noted("Several customers share this."),
    points_import_pb2.IMPORT_ROW_FAULT_NOT_ON_WHATSAPP: noted("The customer is no WhatsApp contact."),
    points_import_pb2.IMPORT_ROW_FAULT_NOT_POSTED: noted("The row could not be written. Import it again."),
    points_import_pb2.IMPORT_ROW_FAULT_MANGLED_NUMBER: noted(
        "A spreadsheet has cut the number, as in 8.86912E+11."
    ),
    points_import_pb2.IMPORT_ROW_FAULT_MODULE_MISSING: noted(
        "The team does not have the module that this needs."
    ),
}
_GOES_ON: Final = frozenset({points_import_pb2.IMPORT_STATE_RUNNING, points_import_pb2.IMPORT_STATE_UNDOING})
_NO_FILE: Final = noted("Choose a CSV file.")
_FIELDS: Final = {
    "points_import.file_name": "file",
    "points_import": "file",
    "csv": "file",
    "file_name": "file",
}


@routes.get("/points/imports")
async def listing(request: web.Request) -> web.Response:
    """What was imported, and a form for the next file."""
    visit = Visit.of(request)
    if not has_points(visit):
        return visit.render("points/missing.html")
    return await _list_page(visit)


async def _list_page(visit: Visit, status: int = 200, **context: Any) -> web.Response:
    page = await visit.call(
        visit.client.points.ListImports,
        points.ListImportsRequest(
            team_id=visit.team_id, page_size=PAGE_SIZE, page_token=visit.request.query.get("page_token", "")
        ),
    )
    return visit.render(
        "points/imports.html",
        status=status,
        **{
            "imports": page.imports,
            "states": STATES,
            "next_link": visit.page_link(page.next_page_token),
            "given": {},
            **context,
        },
    )


@routes.get("/points/imports/sample.csv")
async def sample(request: web.Request) -> web.StreamResponse:
    """A file to begin with."""
    visit = Visit.of(request)
    answer = await visit.call(
        visit.client.points.GetImportSample, points.GetImportSampleRequest(team_id=visit.team_id)
    )
    return await download(visit, "points-import-sample.csv", CSV, once(answer.csv))


@routes.post("/points/imports")
async def upload(request: web.Request) -> web.Response:
    """Takes a file; nothing of it is posted before somebody has looked at what it would do."""
    visit = Visit.of(request)
    given = await upload_of(visit, FILE_BYTES_MAX)
    try:
        if not given.size:
            faults = Faults({"file": visit.say(_NO_FILE)})
            return await _list_page(visit, 422, given=given.fields, faults=faults)
        import_id = await _uploaded(visit, given)
    except CallError as error:
        faults = refusal(visit, error, _FIELDS)
        return await _list_page(visit, status_of(error), given=given.fields, faults=faults)
    finally:
        given.close()
    return visit.go(f"/points/imports/{import_id}")


async def _uploaded(visit: Visit, given: Upload) -> str:
    opened = await visit.call(
        visit.client.points.CreateImport,
        points.CreateImportRequest(
            team_id=visit.team_id,
            request_id=given.fields["request_id"],
            points_import=points_import_pb2.PointsImport(
                file_name=given.name or "points.csv",
                file_sha256=given.sha256,
                deduct_cumulative="deduct_cumulative" in given.fields,
                repeat="repeat" in given.fields,
            ),
        ),
    )
    import_id = str(opened.points_import.points_import_id)
    try:
        await visit.client.points.UploadImportFile(_pieces(visit, import_id, given))
    except CallError:
        # What has no file is of no use: the next upload of it must not be refused as a repetition.
        await visit.call(
            visit.client.points.CancelImport,
            points.CancelImportRequest(
                team_id=visit.team_id, request_id=f"{visit.request_id}-cancel", points_import_id=import_id
            ),
        )
        raise
    return import_id


async def _pieces(
    visit: Visit, import_id: str, given: Upload
) -> AsyncIterator[points.UploadImportFileRequest]:
    async for _, part in given.parts(_PART_BYTES):
        yield points.UploadImportFileRequest(
            team_id=visit.team_id,
            points_import_id=import_id,
            request_id=f"{given.fields['request_id']}-file",
            csv=part,
        )


@routes.get("/points/imports/{import_id}")
async def shown(request: web.Request) -> web.Response:
    """One import: what it would do, how far it is, or what became of it."""
    visit = Visit.of(request)
    import_id = id_of(request.match_info["import_id"])
    names: dict[str, Any] = {"team_id": visit.team_id, "points_import_id": import_id}
    found = (await visit.call(visit.client.points.GetImport, points.GetImportRequest(**names))).points_import
    counts, rows, next_token = found.counts, [], ""
    if found.state == points_import_pb2.IMPORT_STATE_OPEN:
        preview = await visit.call(
            visit.client.points.PreviewImport, points.PreviewImportRequest(rows_max=_ROWS_SHOWN, **names)
        )
        counts, rows = preview.counts, preview.rows
    elif not visit.is_part:
        page = await visit.call(
            visit.client.points.ListImportRows,
            points.ListImportRowsRequest(
                page_size=PAGE_SIZE, page_token=request.query.get("page_token", ""), **names
            ),
        )
        rows, next_token = page.rows, page.next_page_token
    return visit.render(
        "points/import_part.html" if visit.is_part else "points/import.html",
        given=found,
        counts=counts,
        rows=rows,
        next_link=visit.page_link(next_token),
        goes_on=found.state in _GOES_ON,
        states=STATES,
        row_statuses=ROW_STATUSES,
        row_faults=ROW_FAULTS,
    )


@routes.post("/points/imports/{import_id}")
async def act(request: web.Request) -> web.Response:
    """Runs an import, gives it up, or takes it back."""
    visit = Visit.of(request)
    import_id = id_of(request.match_info["import_id"])
    given = await texts_of(visit)
    names = {"team_id": visit.team_id, "points_import_id": import_id, "request_id": given["request_id"]}
    action, client = given.get("action", ""), visit.client.points
    if action == "run":
        await visit.call(client.ExecuteImport, points.ExecuteImportRequest(**names))
        return visit.go(f"/points/imports/{import_id}", noted("The import runs. You can leave this page."))
    if action == "cancel":
        await visit.call(client.CancelImport, points.CancelImportRequest(**names))
        return visit.go("/points/imports", noted("The import was given up. Nothing was changed."))
    if action == "undo":
        await visit.call(client.UndoImport, points.UndoImportRequest(**names))
        return visit.go(f"/points/imports/{import_id}", noted("The points are being taken back."))
    raise web.HTTPBadRequest


@routes.get("/points/imports/{import_id}/report.csv")
async def report(request: web.Request) -> web.StreamResponse:
    """Every row with what became of it."""
    visit = Visit.of(request)
    parts = visit.client.points.ExportImportReport(
        points.ExportImportReportRequest(
            team_id=visit.team_id, points_import_id=id_of(request.match_info["import_id"])
        )
    )
    return await download(visit, "points-import-report.csv", CSV, (part.csv async for part in parts))
