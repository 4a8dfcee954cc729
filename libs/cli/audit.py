"""`omnijourney audit export`: who changed what, a JSON object a line."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Final

import grpc
from google.protobuf.json_format import MessageToJson

from libs.cli.console import refused
from libs.client import Client, ClientSettings
from libs.client.paging import items
from libs.common.rpc.values import timestamp
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
            call = client.segment.ListAuditEntries
            async for entry in items(call, request, "audit_entries", timeout_s=_TIMEOUT_S):
                text = MessageToJson(entry, preserving_proto_field_name=True, indent=None, ensure_ascii=False)
                sys.stdout.write(text + "\n")
        except grpc.aio.AioRpcError as error:
            return refused(error)
    return 0
