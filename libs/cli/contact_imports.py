"""`omnijourney import`: a file of contacts, from a path or an address, uploaded in parts and followed to its end."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any, Final, cast
from urllib.error import HTTPError
from urllib.parse import urlsplit

import grpc
from google.protobuf.json_format import MessageToJson

from libs.cli.console import EXIT_FAULT, complain, say
from libs.cli.journeys import Command, NoSuch
from libs.cli.progress import progress
from libs.client import Client
from libs.client.paging import items
from libs.common.ids import new_id
from libs.common.rpc.errors import remote_error
from omnijourney.common.v1 import channel_pb2, operation_pb2
from omnijourney.common.v1 import operations_service_pb2 as operations
from omnijourney.segment.v1 import identity_conflict_pb2
from omnijourney.segment.v1 import operation_pb2 as messages
from omnijourney.segment.v1 import segment_service_pb2 as pb

PART_BYTES: Final = 1024 * 1024
FILE_BYTES_MAX: Final = 512 * 1024 * 1024
"""As the contract has it."""
FETCH_S: Final = 3_600.0
"""How long a file at an address may take."""
EXIT_LINES_FAILED: Final = 3
"""All of the file was worked off, and some of its lines are to be corrected."""
_TIMEOUT_S: Final = 60.0
_REPORT_TIMEOUT_S: Final = 600.0
_TRIES_MAX: Final = 30
_RETRY_S: Final = 1.0
_LOOK_EVERY_S: Final = 0.5
_PASSING: Final = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
)
_NAMED_MAX: Final = 20
_OF_REPORTS: Final = frozenset({"", "import line", "import fault"})
"""Columns that mean nothing: without a heading, and those that a report has added."""
_ENDED: Final = frozenset(
    {
        operation_pb2.OPERATION_STATE_SUCCEEDED,
        operation_pb2.OPERATION_STATE_FAILED,
        operation_pb2.OPERATION_STATE_CANCELLED,
    }
)


@dataclass(frozen=True)
class Asked:
    """What a person asks for."""

    team_id: str
    source: str
    """A path, or an address of http or https."""
    channel: str = ""
    account_id: str = ""
    mapping: tuple[str, ...] = ()
    """`Heading=field` each."""
    triggers: bool = False
    deduct_cumulative: bool = False
    again: bool = False
    report: Path | None = None
    as_json: bool = False

    @property
    def head(self) -> dict[str, Any]:
        """The fields that previews and imports have in common."""
        columns = []
        for text in self.mapping:
            heading, given, name = text.rpartition("=")
            if not given or not heading:
                raise NoSuch(f"--map {text!r} is not of the form Heading=field")
            columns.append(identity_conflict_pb2.ImportColumn(heading=heading, field=name))
        return {
            "team_id": self.team_id,
            "channel": channel_pb2.Channel.Value(f"CHANNEL_{self.channel.upper()}") if self.channel else 0,
            "mapping": identity_conflict_pb2.ImportMapping(columns=columns) if columns else None,
        }


def preview(asked: Asked) -> Command:
    """Shows what columns are, and what the first lines would change."""

    async def command(client: Client) -> int:
        async with _opened(asked.source) as file:
            request = pb.PreviewContactImportRequest(
                csv=file.read(PART_BYTES), channel_account_id=asked.account_id, **asked.head
            )
        answer = await client.segment.PreviewContactImport(request, timeout=_TIMEOUT_S)
        if asked.as_json:
            say(_json(answer))
            return 0
        for column in answer.columns:
            say(f"{column.heading}: {column.field or 'passed over'}")
        if answer.message:
            complain(f"the file {answer.message}")
            return EXIT_FAULT
        for row in answer.rows:
            status = messages.ImportRowStatus.Name(row.status).removeprefix("IMPORT_ROW_STATUS_")
            say(f"line {row.line}  {status:9}  {row.message}")
        return 0

    return command


def load(asked: Asked) -> Command:
    """Imports a file, or goes on with the import of the same one; shows how far it is until it has ended."""

    async def command(client: Client) -> int:
        async with _opened(asked.source) as file:
            found = await _start(client, asked, file)
            _tell_passed_over(asked, found)
            with progress("bytes uploaded", found.file_bytes) as at:
                await _upload(client, asked, file, found, at)
        return await _follow(client, asked, found.contact_import_id)

    return command


def cancel(asked: Asked) -> Command:
    """Ends the import of a file early; what was applied stays."""

    async def command(client: Client) -> int:
        async with _opened(asked.source) as file:
            digest = _digest(file)
        request = pb.ListContactImportsRequest(team_id=asked.team_id, page_size=100)
        async for each in items(
            client.segment.ListContactImports, request, "contact_imports", timeout_s=_TIMEOUT_S
        ):
            if each.file_sha256 == digest and each.operation.state not in _ENDED:
                wish = operations.CancelOperationRequest(
                    team_id=asked.team_id, request_id=str(new_id()), operation_id=each.contact_import_id
                )
                await client.operations("segment").CancelOperation(wish, timeout=_TIMEOUT_S)
                say(f"{each.contact_import_id}  cancelled")
                return 0
        raise NoSuch("no import of this file is under way")

    return command


def _tell_passed_over(asked: Asked, found: messages.ContactImport) -> None:
    """Names the columns of which nothing is taken, but for those that people said so of, and those of a report."""
    meant = {text.rpartition("=")[0].casefold() for text in asked.mapping}
    left = [
        each.heading
        for each in found.columns
        if not each.field and each.heading.casefold() not in meant | _OF_REPORTS
    ]
    if left:
        more = f" and {len(left) - _NAMED_MAX} more" if len(left) > _NAMED_MAX else ""
        named = ", ".join(repr(heading) for heading in left[:_NAMED_MAX])
        complain(
            f"nothing is taken of the columns {named}{more}: --map 'Heading=field' says what one is,"
            " --map 'Heading=' that it is to be passed over"
        )


async def _start(client: Client, asked: Asked, file: IO[bytes]) -> messages.ContactImport:
    """The import of the file: a new one, or the one that there is already."""
    digest = _digest(file)
    length = file.seek(0, 2)
    file.seek(0)
    request = pb.StartContactImportRequest(
        request_id=str(new_id()),
        file_name=(Path(urlsplit(asked.source).path).name or "contacts.csv")[-200:],
        account_id=asked.account_id,
        csv=file.read(PART_BYTES),
        deduct_cumulative=asked.deduct_cumulative,
        file_bytes=length,
        file_sha256=digest,
        repeat=asked.again,
        triggers=asked.triggers,
        **asked.head,
    )
    try:
        answer = await _tried(lambda: client.segment.StartContactImport(request, timeout=_TIMEOUT_S))
        return cast("messages.ContactImport", answer.contact_import)
    except grpc.aio.AioRpcError as error:
        fault = remote_error(error)
        known = fault.metadata.get("import_id", "")
        if fault.reason != "IMPORT_FILE_REPEATED" or not known:
            raise
    found = await _read(client, asked.team_id, known)
    if found.operation.state == operation_pb2.OPERATION_STATE_SUCCEEDED:
        complain("this file was imported before: nothing of it is applied again without --again")
    elif found.uploaded_bytes < found.file_bytes:
        complain(f"goes on with the upload at byte {found.uploaded_bytes:,}")
    return found


async def _upload(
    client: Client,
    asked: Asked,
    file: IO[bytes],
    found: messages.ContactImport,
    at: Callable[[int, int], None],
) -> None:
    start = found.uploaded_bytes
    file.seek(start)
    while start < found.file_bytes:
        at(start, found.file_bytes)
        request = pb.UploadContactImportPartRequest(
            team_id=asked.team_id,
            request_id=str(new_id()),
            contact_import_id=found.contact_import_id,
            start_byte=start,
            csv=file.read(PART_BYTES),
        )
        if not request.csv:
            raise NoSuch("the file has become shorter while it was read")

        async def send(request: pb.UploadContactImportPartRequest = request) -> Any:
            return await client.segment.UploadContactImportPart(request, timeout=_TIMEOUT_S)

        await _tried(send)
        start += len(request.csv)
    at(start, found.file_bytes)


async def _follow(client: Client, asked: Asked, contact_import_id: str) -> int:
    """Shows progress until it has ended; the exit code says how."""
    found = await _read(client, asked.team_id, contact_import_id)
    with progress("lines", found.operation.total_count) as at:
        while found.operation.state not in _ENDED:
            at(found.operation.done_count, found.operation.total_count)
            await asyncio.sleep(_LOOK_EVERY_S)
            found = await _read(client, asked.team_id, contact_import_id)
        at(found.operation.done_count, found.operation.total_count)
    if asked.report is not None:
        await _write_report(client, asked, contact_import_id)
    if asked.as_json:
        say(_json(found))
    else:
        _show(found)
    if found.operation.state != operation_pb2.OPERATION_STATE_SUCCEEDED:
        return EXIT_FAULT
    return EXIT_LINES_FAILED if found.operation.refused_count else 0


def _show(found: messages.ContactImport) -> None:
    operation = found.operation
    state = operation_pb2.OperationState.Name(operation.state).removeprefix("OPERATION_STATE_")
    why = f"  {operation.error.message}" if operation.HasField("error") else ""
    say(
        f"{found.contact_import_id}  {state}  {found.applied_count} applied, {found.unchanged_count} unchanged,"
        f" {operation.refused_count} failed{why}"
    )


async def _write_report(client: Client, asked: Asked, contact_import_id: str) -> None:
    """The lines that failed, to be corrected and loaded again."""
    assert asked.report is not None
    request = pb.ExportContactImportReportRequest(team_id=asked.team_id, contact_import_id=contact_import_id)
    with asked.report.open("wb") as out:
        async for piece in client.segment.ExportContactImportReport(request, timeout=_REPORT_TIMEOUT_S):
            out.write(piece.csv)


async def _read(client: Client, team_id: str, contact_import_id: str) -> messages.ContactImport:
    request = pb.GetContactImportRequest(team_id=team_id, contact_import_id=contact_import_id)
    answer = await _tried(lambda: client.segment.GetContactImport(request, timeout=_TIMEOUT_S))
    return cast("messages.ContactImport", answer.contact_import)


async def _tried(call: Callable[[], Any]) -> Any:
    """The answer, asked for again while the service is away or busy. Each call may be repeated."""
    for tries in range(1, _TRIES_MAX + 1):
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            if error.code() not in _PASSING or tries == _TRIES_MAX:
                raise
            await asyncio.sleep(_RETRY_S)
    raise AssertionError("unreachable")


@asynccontextmanager
async def _opened(source: str) -> AsyncIterator[IO[bytes]]:
    """The file; what is at an address is kept in a temporary one first. Raises NoSuch."""
    is_address = source.lower().startswith(("http://", "https://"))
    try:
        file = await asyncio.to_thread(_fetched if is_address else _local, source)
    except (OSError, HTTPException, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise NoSuch(f"{source}: {said}") from error
    with file:
        yield file


def _local(path: str) -> IO[bytes]:
    if Path(path).exists() and not Path(path).is_file():
        raise OSError("is a directory or a device, and no file")
    return Path(path).open("rb")


def _fetched(address: str) -> IO[bytes]:
    with ExitStack() as closing:
        kept = closing.enter_context(tempfile.TemporaryFile())
        try:
            answer = urllib.request.urlopen(address, timeout=_TIMEOUT_S)  # noqa: S310  # nosec B310 - http and https
        except HTTPError as error:
            error.close()
            raise
        with answer:
            _copy(answer, kept)
        closing.pop_all()
    kept.seek(0)
    return kept


def _copy(answer: Any, kept: IO[bytes]) -> None:
    until_s = time.monotonic() + FETCH_S
    while part := answer.read(PART_BYTES):
        kept.write(part)
        if kept.tell() > FILE_BYTES_MAX:
            raise OSError(f"has more than {FILE_BYTES_MAX:,} bytes: divide it")
        if time.monotonic() > until_s:
            raise OSError(f"has not ended after {FETCH_S:,.0f} s")
    if answer.length:
        raise OSError(f"ended {answer.length:,} bytes too early")


def _digest(file: IO[bytes]) -> bytes:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]  # any file of bytes does


def _json(message: Any) -> str:
    return MessageToJson(message, preserving_proto_field_name=True, indent=None, ensure_ascii=False)
