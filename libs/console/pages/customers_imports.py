"""Contacts from a file: how its columns are understood, what it would do, how far it is, and what was wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from libs.console.downloads import CSV, download, once
from libs.console.faults import Faults
from libs.console.forms import refusal, status_of, texts_of
from libs.console.labels import CHANNELS, ENDED, OPERATION_STATES
from libs.console.languages import noted
from libs.console.pages.customers import CHOICES_MAX, id_of
from libs.console.uploads import Upload, upload_of
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1.account_pb2 import ChannelAccount
from omnijourney.client import CallError
from omnijourney.common.v1 import channel_pb2
from omnijourney.common.v1 import operations_service_pb2 as operations
from omnijourney.segment.v1 import attribute_pb2, identity_conflict_pb2, operation_pb2, team_pb2
from omnijourney.segment.v1 import segment_service_pb2 as segment

routes = web.RouteTableDef()

FILE_BYTES_MAX: Final = 512 * 1024 * 1024
PREVIEW_BYTES: Final = 1024 * 1024
_PART_BYTES: Final = 3 * 1024 * 1024
_COLUMNS_MAX: Final = 200
ROW_STATUSES: Final[Mapping[int, tuple[str, str]]] = {
    operation_pb2.IMPORT_ROW_STATUS_APPLIED: ("good", noted("Changes something")),
    operation_pb2.IMPORT_ROW_STATUS_UNCHANGED: ("plain", noted("No change")),
    operation_pb2.IMPORT_ROW_STATUS_FAILED: ("bad", noted("Wrong")),
}
COLUMN_FIELDS: Final[Mapping[str, str]] = {
    "": noted("Passed over"),
    "member_id": noted("Member ID"),
    "name": noted("Name"),
    "phone": noted("Phone"),
    "email": noted("Email"),
    "tags": noted("Tags"),
}
_EXTERNAL_ID: Final = noted("ID on the channel")
_POINTS: Final = noted("Add/deduct points")
_ATTRIBUTE: Final = noted("Attribute: %(name)s")
_NO_FILE: Final = noted("Choose a CSV file.")
_FIELDS: Final = {
    "csv": "file",
    "file_name": "file",
    "account_id": "account",
    "channel_account_id": "account",
}


@routes.get("/customers/imports")
async def listing(request: web.Request) -> web.Response:
    """What was imported."""
    visit = Visit.of(request)
    page = await visit.call(
        visit.client.segment.ListContactImports,
        segment.ListContactImportsRequest(
            team_id=visit.team_id, page_size=PAGE_SIZE, page_token=request.query.get("page_token", "")
        ),
    )
    return visit.render(
        "customers/imports.html",
        imports=page.contact_imports,
        channels=CHANNELS,
        states=OPERATION_STATES,
        next_link=visit.page_link(page.next_page_token),
    )


@routes.get("/customers/imports/new")
async def new(request: web.Request) -> web.Response:
    """Asks for the channel, then for the file."""
    return await _new_page(Visit.of(request))


async def _new_page(visit: Visit, status: int = 200, **context: Any) -> web.Response:
    accounts = await _accounts(visit)
    account = _chosen(accounts, visit.request.query.get("account", ""))
    return visit.render(
        "customers/import_preview.html" if visit.is_part else "customers/import_new.html",
        status=status,
        **{
            "accounts": [(each.channel_account_id, _account_name(each)) for each in accounts],
            "account": account,
            "moves_points": _moves_points(visit, account),
            "preview": None,
            "field_options": (),
            "row_statuses": ROW_STATUSES,
            "given": {},
            **context,
        },
    )


@routes.get("/customers/imports/sample.csv")
async def sample(request: web.Request) -> web.StreamResponse:
    """A file to begin with, for a channel."""
    visit = Visit.of(request)
    channel = request.query.get("channel", "")
    answer = await visit.call(
        visit.client.segment.GetContactImportSample,
        segment.GetContactImportSampleRequest(
            team_id=visit.team_id,
            channel=channel_pb2.Channel.ValueType(int(channel) if channel in map(str, CHANNELS) else 0),
        ),
    )
    return await download(visit, "contacts-sample.csv", CSV, once(answer.csv))


@routes.post("/customers/imports/preview")
async def preview(request: web.Request) -> web.Response:
    """Shows how the columns are understood and what the first lines would do; changes nothing. A script sends the first
    part of a file that stays chosen; without one the file has to be chosen once more."""
    visit = Visit.of(request)
    accounts = await _accounts(visit)
    account = _chosen(accounts, request.query.get("account", ""))
    given = await upload_of(visit, FILE_BYTES_MAX)
    try:
        if not given.size:
            faults = Faults({"file": visit.say(_NO_FILE)})
            return await _new_page(visit, 422, given=given.fields, faults=faults)
        answer = await visit.call(
            visit.client.segment.PreviewContactImport,
            segment.PreviewContactImportRequest(
                team_id=visit.team_id,
                csv=await given.head(PREVIEW_BYTES),
                channel=account.channel if account else channel_pb2.CHANNEL_UNSPECIFIED,
                channel_account_id=account.channel_account_id if account else "",
                mapping=_mapping(given),
            ),
        )
    except CallError as error:
        return await _new_page(
            visit, status_of(error), given=given.fields, faults=refusal(visit, error, _names(given))
        )
    finally:
        given.close()
    return await _new_page(
        visit, given=given.fields, preview=answer, field_options=await _field_options(visit, account)
    )


@routes.post("/customers/imports")
async def start(request: web.Request) -> web.Response:
    """Uploads the file and starts the import, which goes on by itself."""
    visit = Visit.of(request)
    accounts = await _accounts(visit)
    account = _chosen(accounts, request.query.get("account", ""))
    given = await upload_of(visit, FILE_BYTES_MAX)
    try:
        if not given.size:
            faults = Faults({"file": visit.say(_NO_FILE)})
            return await _new_page(visit, 422, given=given.fields, faults=faults)
        import_id = await _started(visit, given, account)
    except CallError as error:
        return await _new_page(
            visit, status_of(error), given=given.fields, faults=refusal(visit, error, _names(given))
        )
    finally:
        given.close()
    return visit.go(f"/customers/imports/{import_id}", noted("The import runs. You can leave this page."))


async def _started(visit: Visit, given: Upload, account: ChannelAccount | None) -> str:
    made = await visit.call(
        visit.client.segment.StartContactImport,
        segment.StartContactImportRequest(
            team_id=visit.team_id,
            request_id=given.fields["request_id"],
            file_name=given.name,
            channel=account.channel if account else channel_pb2.CHANNEL_UNSPECIFIED,
            account_id=account.channel_account_id if account else "",
            csv=await given.head(_PART_BYTES),
            deduct_cumulative="deduct_cumulative" in given.fields,
            file_bytes=given.size,
            file_sha256=given.sha256,
            repeat="repeat" in given.fields,
            triggers="triggers" in given.fields,
            mapping=_mapping(given),
        ),
    )
    import_id = str(made.contact_import.contact_import_id)
    async for begin, part in given.parts(_PART_BYTES):
        if begin:
            await visit.call(
                visit.client.segment.UploadContactImportPart,
                segment.UploadContactImportPartRequest(
                    team_id=visit.team_id,
                    request_id=f"{given.fields['request_id']}-{begin}",
                    contact_import_id=import_id,
                    start_byte=begin,
                    csv=part,
                ),
            )
    return import_id


@routes.get("/customers/imports/{import_id}")
async def shown(request: web.Request) -> web.Response:
    """How far an import is, and the lines that were wrong."""
    visit = Visit.of(request)
    names: dict[str, Any] = {
        "team_id": visit.team_id,
        "contact_import_id": id_of(request.match_info["import_id"]),
    }
    found, page = await asyncio.gather(
        visit.call(visit.client.segment.GetContactImport, segment.GetContactImportRequest(**names)),
        visit.call(
            visit.client.segment.ListContactImportRows,
            segment.ListContactImportRowsRequest(
                page_size=PAGE_SIZE, page_token=request.query.get("page_token", ""), **names
            ),
        ),
    )
    given = found.contact_import
    return visit.render(
        "customers/import_part.html" if visit.is_part else "customers/import.html",
        given=given,
        rows=page.rows,
        next_link=visit.page_link(page.next_page_token),
        has_ended=given.operation.state in ENDED,
        states=OPERATION_STATES,
        channels=CHANNELS,
        row_statuses=ROW_STATUSES,
    )


@routes.post("/customers/imports/{import_id}/cancel")
async def cancel(request: web.Request) -> web.Response:
    """Stops an import where it is; what was applied stays so."""
    visit = Visit.of(request)
    import_id = id_of(request.match_info["import_id"])
    given = await texts_of(visit)
    found = await visit.call(
        visit.client.segment.GetContactImport,
        segment.GetContactImportRequest(team_id=visit.team_id, contact_import_id=import_id),
    )
    await visit.call(
        visit.client.operations("segment").CancelOperation,
        operations.CancelOperationRequest(
            team_id=visit.team_id,
            request_id=given["request_id"],
            operation_id=found.contact_import.operation.operation_id,
        ),
    )
    return visit.go(f"/customers/imports/{import_id}", noted("The import is stopped."))


@routes.get("/customers/imports/{import_id}/report.csv")
async def report(request: web.Request) -> web.StreamResponse:
    """The lines that were wrong, with what was, to be corrected and imported again."""
    visit = Visit.of(request)
    parts = visit.client.segment.ExportContactImportReport(
        segment.ExportContactImportReportRequest(
            team_id=visit.team_id, contact_import_id=id_of(request.match_info["import_id"])
        )
    )
    return await download(visit, "contacts-report.csv", CSV, (part.csv async for part in parts))


async def _accounts(visit: Visit) -> list[ChannelAccount]:
    request = gateway.ListChannelAccountsRequest(team_id=visit.team_id, page_size=CHOICES_MAX)
    return list((await visit.call(visit.client.channel_gateway.ListChannelAccounts, request)).accounts)


def _chosen(accounts: list[ChannelAccount], account_id: str) -> ChannelAccount | None:
    """Of the team's accounts; None for contacts of no channel. Raises HTTPNotFound for an account that is not there."""
    if not account_id:
        return None
    for each in accounts:
        if each.channel_account_id == account_id:
            return each
    raise web.HTTPNotFound


def _account_name(account: ChannelAccount) -> str:
    return f"{CHANNELS.get(account.channel, '')} · {account.display_name}"


def _moves_points(visit: Visit, account: ChannelAccount | None) -> bool:
    """Points come by WhatsApp only, where the team has their module."""
    has_module = visit.team is not None and team_pb2.MODULE_POINTS in visit.team.settings.modules
    return has_module and account is not None and account.channel == channel_pb2.CHANNEL_WHATSAPP


def _columns(given: Upload) -> list[tuple[int, str, str]]:
    """Place, heading and field of the columns that the form names."""
    places = (place for place in range(_COLUMNS_MAX) if f"column-{place}" in given.fields)
    return [
        (place, given.fields.get(f"heading-{place}", ""), given.fields[f"column-{place}"]) for place in places
    ]


def _mapping(given: Upload) -> identity_conflict_pb2.ImportMapping | None:
    columns = [
        identity_conflict_pb2.ImportColumn(heading=heading, field=field)
        for _, heading, field in _columns(given)
    ]
    return identity_conflict_pb2.ImportMapping(columns=columns) if columns else None


def _names(given: Upload) -> dict[str, str]:
    """Where the faults of a request stand in the form."""
    of_columns = {
        f"mapping.columns[{index}]": f"column-{place}" for index, (place, _, _) in enumerate(_columns(given))
    }
    return {**_FIELDS, **of_columns}


async def _field_options(visit: Visit, account: ChannelAccount | None) -> list[tuple[str, str]]:
    """What a column may fill."""
    request = segment.ListAttributesRequest(
        team_id=visit.team_id, page_size=CHOICES_MAX, state=attribute_pb2.ATTRIBUTE_STATE_ACTIVE
    )
    attributes = (await visit.call(visit.client.segment.ListAttributes, request)).attributes
    return [
        *((field, visit.say(name)) for field, name in COLUMN_FIELDS.items()),
        *([("external_id", visit.say(_EXTERNAL_ID))] if account is not None else []),
        *([("points", visit.say(_POINTS))] if _moves_points(visit, account) else []),
        *(
            (f"attributes.{each.key}", visit.say(_ATTRIBUTE, name=each.display_name or each.key))
            for each in attributes
        ),
    ]
