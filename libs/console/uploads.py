"""Files that a browser sends: kept in a temporary file while they come, so that no memory holds one."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import IO, Final

from aiohttp import BodyPartReader, web

from libs.console.visits import Visit

_MEMORY_BYTES_MAX: Final = 1024 * 1024
_CHUNK_BYTES: Final = 256 * 1024
_TEXT_BYTES_MAX: Final = 64 * 1024
_FIELDS_MAX: Final = 500


def _spool() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(_MEMORY_BYTES_MAX)


@dataclass(slots=True)
class Upload:
    """A form with one file."""

    fields: dict[str, str] = field(default_factory=dict)
    name: str = ""
    """Of the file, without a folder; empty where none was chosen."""
    size: int = 0
    sha256: bytes = b""
    file: IO[bytes] = field(default_factory=_spool)

    async def head(self, size: int) -> bytes:
        """Its first bytes."""
        return await asyncio.to_thread(self._at, 0, size)

    async def parts(self, size: int) -> AsyncIterator[tuple[int, bytes]]:
        """Where each part begins, and the part."""
        for start in range(0, self.size, size):
            yield start, await asyncio.to_thread(self._at, start, size)

    def close(self) -> None:
        """The file is gone."""
        self.file.close()

    def _at(self, start: int, size: int) -> bytes:
        self.file.seek(start)
        return self.file.read(size)


async def upload_of(visit: Visit, bytes_max: int) -> Upload:
    """Reads a form with a file of at most `bytes_max`. Raises HTTPRequestEntityTooLarge, HTTPBadRequest."""
    upload = Upload()
    digest = hashlib.sha256()
    try:
        reader = await visit.request.multipart()
        while (part := await reader.next()) is not None:
            if not isinstance(part, BodyPartReader) or len(upload.fields) >= _FIELDS_MAX:
                raise web.HTTPBadRequest
            if part.filename is None:
                upload.fields.setdefault(part.name or "", await _text(part))
                continue
            upload.name = part.filename.replace("\\", "/").rpartition("/")[2][:200]
            while chunk := await part.read_chunk(_CHUNK_BYTES):
                upload.size += len(chunk)
                if upload.size > bytes_max:
                    raise web.HTTPRequestEntityTooLarge(max_size=bytes_max, actual_size=upload.size)
                digest.update(chunk)
                await asyncio.to_thread(upload.file.write, chunk)
    except (ValueError, AssertionError):
        upload.close()
        raise web.HTTPBadRequest from None
    except BaseException:
        upload.close()
        raise
    upload.sha256 = digest.digest()
    upload.fields["request_id"] = upload.fields.get("request_id") or visit.request_id
    return upload


async def _text(part: BodyPartReader) -> str:
    content = b""
    while chunk := await part.read_chunk(_CHUNK_BYTES):
        content += chunk
        if len(content) > _TEXT_BYTES_MAX:
            raise web.HTTPRequestEntityTooLarge(max_size=_TEXT_BYTES_MAX, actual_size=len(content))
    return content.decode("utf-8", "replace")
