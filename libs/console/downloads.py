"""Files that a browser keeps: parts of them go on as they come, so that none is held whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import structlog
from aiohttp import web

from libs.console.guard import HEADERS
from libs.console.visits import Visit
from omnijourney.client import CallError

CSV: Final = "text/csv; charset=utf-8"
JSON_LINES: Final = "application/jsonl"
_log = structlog.get_logger(__name__)


async def download(
    visit: Visit, name: str, content_type: str, parts: AsyncIterator[bytes]
) -> web.StreamResponse:
    """Sends a file named `name` (ASCII). Raises CallError for what fails before its first part; a later fault cuts the
    connection, so that nobody takes what came for the whole."""
    first = await anext(parts, b"")
    answer = web.StreamResponse(headers={**HEADERS, "Cache-Control": "no-store"})
    answer.headers["Content-Type"] = content_type
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["X-Request-Id"] = visit.request_id
    await answer.prepare(visit.request)
    try:
        await answer.write(first)
        async for part in parts:
            await answer.write(part)
    except CallError as error:
        _log.error("a download broke off", incident_id=visit.request_id, code=error.code.name)
        if visit.request.transport is not None:
            visit.request.transport.abort()
    return answer


async def once(content: bytes) -> AsyncIterator[bytes]:
    """A file that is there already, as its only part."""
    yield content
