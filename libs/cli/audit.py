"""`omnijourney audit export`: who changed what, a JSON object a line."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

import grpc
from google.protobuf.json_format import MessageToJson

from libs.cli.console import EXIT_FAULT, err
from libs.client import Client, ClientSettings
from libs.common.rpc.values import timestamp
from omnijourney.segment.v1.consent_pb2 import AuditEntry
from omnijourney.segment.v1.segment_service_pb2 import ListAuditEntriesRequest

_TIMEOUT_S: Final = 30.0
_PAGE: Final = 500


async def export_audit(
    settings: ClientSettings, team_id: str, start: datetime | None, end: datetime | None
) -> int:
    """Writes the entries of a team, empty: of no team, to stdout, newest first. Returns the exit code."""
    request = ListAuditEntriesRequest(team_id=team_id, page_size=_PAGE)
    for field, at in (("start_time", start), ("end_time", end)):
        if at is not None:
            getattr(request, field).CopyFrom(timestamp(at.astimezone()))
    async with Client(settings.targets(), settings.api_token(), tls=settings.tls_of_calls()) as client:
        try:
            async for entry in _entries(client, request):
                text = MessageToJson(entry, preserving_proto_field_name=True, indent=None, ensure_ascii=False)
                sys.stdout.write(text + "\n")
        except grpc.aio.AioRpcError as error:
            err.print(f"{error.code().name}: {error.details()}", highlight=False, markup=False)
            return EXIT_FAULT
    return 0


async def _entries(client: Client, request: ListAuditEntriesRequest) -> AsyncIterator[AuditEntry]:
    while True:
        page = await client.segment.ListAuditEntries(request, timeout=_TIMEOUT_S)
        for entry in page.audit_entries:
            yield entry
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return
