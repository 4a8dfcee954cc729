"""Imports of contacts: messages ⇄ domain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from libs.common.audience.expressions import ChannelNumber
from libs.common.csv_text import BYTE_ORDER_MARK, csv_lines, harmless
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import error_reason_pb2, operation_pb2
from omnijourney.segment.v1 import identity_conflict_pb2
from omnijourney.segment.v1 import operation_pb2 as messages
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.checks import reason_number
from services.segment.domain.contact_files import REPORT_HEADINGS, Column
from services.segment.domain.contact_imports import ContactImport, ContactRow, FileHead, ImportState, Wish
from services.segment.domain.contact_rows import RowOutcome, RowStatus

_PREVIEW_BYTES_MAX: Final = 1024 * 1024
_SHA256_BYTES: Final = 32


def file_head(
    check: FieldCheck,
    request: pb.StartContactImportRequest | pb.PreviewContactImportRequest,
    account: tuple[str, str],
    *,
    is_whole: bool,
) -> FileHead:
    """A file or its first part; `account`: the name of its field, and its text."""
    channel = int(request.channel)
    if channel and channel not in set(ChannelNumber):
        check.fault("channel", "is no channel that contacts are on")
    if bool(channel) != bool(account[1]):
        check.fault(account[0], "is required with a channel, and means nothing without one")
    mapping = {each.heading: each.field for each in request.mapping.columns}
    if len(mapping) != len(request.mapping.columns):
        check.fault("mapping.columns", "must not hold a heading twice")
    return FileHead(request.csv, channel, check.optional_uuid(*account), mapping, is_whole)


def wish(check: FieldCheck, request: pb.StartContactImportRequest) -> Wish:
    """What else an import is started with."""
    length = request.file_bytes or len(request.csv)
    if length < len(request.csv):
        check.fault("file_bytes", "must not be less than the bytes of csv")
    if length > len(request.csv) and len(request.file_sha256) != _SHA256_BYTES:
        check.fault("file_sha256", "must be 32 bytes, since more parts follow")
    if "\x00" in request.file_name:
        check.fault("file_name", "must not hold the character U+0000")
    return Wish(
        request.file_name,
        request.file_sha256,
        length,
        request.deduct_cumulative,
        request.triggers,
        request.repeat,
    )


def preview_head(check: FieldCheck, request: pb.PreviewContactImportRequest) -> FileHead:
    """What is to be previewed: what is as long as it may be has a last line that may be cut."""
    account = ("channel_account_id", request.channel_account_id)
    return file_head(check, request, account, is_whole=len(request.csv) < _PREVIEW_BYTES_MAX)


def import_message(found: ContactImport) -> messages.ContactImport:
    """An import."""
    asked, stand = found.asked, found.stand
    return messages.ContactImport(
        contact_import_id=str(asked.contact_import_id),
        file_name=asked.file_name,
        operation=operation_message(found),
        channel=asked.channel,  # type: ignore[arg-type]  # the numbers are those of the contract
        account_id=str(asked.account_id or ""),
        deduct_cumulative=asked.deduct_cumulative,
        applied_count=stand.applied_count,
        unchanged_count=stand.unchanged_count,
        create_time=timestamp(found.created_at),
        file_bytes=asked.file_bytes,
        uploaded_bytes=stand.uploaded_bytes,
        file_sha256=asked.file_sha256,
        triggers=asked.triggers,
        columns=column_messages(asked.columns),
        actor=asked.actor,
    )


def column_messages(columns: Iterable[Column]) -> list[identity_conflict_pb2.ImportColumn]:
    """How columns are understood."""
    return [identity_conflict_pb2.ImportColumn(heading=each.heading, field=each.field) for each in columns]


def operation_message(found: ContactImport) -> operation_pb2.Operation:
    """An import as an operation."""
    asked, stand = found.asked, found.stand
    message = operation_pb2.Operation(
        operation_id=str(asked.contact_import_id),
        team_id=str(asked.team_id),
        kind=operation_pb2.OPERATION_KIND_CONTACT_IMPORT,
        state=int(stand.state),  # type: ignore[arg-type]  # the numbers are those of the contract
        done_count=stand.done_count,
        total_count=stand.line_count,
        refused_count=stand.failed_count,
        resource_id=str(asked.contact_import_id),
        create_time=timestamp(found.created_at),
    )
    if stand.state is ImportState.FAILED:
        message.error.reason = error_reason_pb2.ERROR_REASON_INVALID_FIELDS
        message.error.message = stand.message
    if stand.ended_at is not None:
        message.end_time.CopyFrom(timestamp(stand.ended_at))
    return message


def row_message(row: ContactRow) -> messages.ImportRow:
    """A line of an import."""
    return messages.ImportRow(
        line=row.line,
        status=int(row.status),  # type: ignore[arg-type]  # the numbers are those of the contract
        message=row.message,
        customer_id=str(row.customer_id or ""),
        reason=reason_number(row.reason),
    )


def previewed_message(line: int, outcome: RowOutcome) -> messages.ImportRow:
    """A line as it would end."""
    status = RowStatus.APPLIED if outcome.status is RowStatus.WAITING else outcome.status
    return messages.ImportRow(
        line=line,
        status=int(status),  # type: ignore[arg-type]  # the numbers are those of the contract
        message=outcome.message,
        customer_id=str(outcome.customer_id or "") if not outcome.is_new else "",
        reason=reason_number(outcome.reason),
    )


def report_heading(found: ContactImport) -> bytes:
    """The first line of a report."""
    headings = [column.heading for column in found.asked.columns]
    return BYTE_ORDER_MARK + csv_lines([[*map(harmless, headings), *REPORT_HEADINGS]])


def report(found: ContactImport, rows: Sequence[ContactRow]) -> bytes:
    """Lines of a report."""
    width = len(found.asked.columns)
    return csv_lines(
        [*map(harmless, (*row.cells, *[""] * width)[:width]), row.line, row.message] for row in rows
    )


def sample_text(lines: Iterable[Sequence[str]]) -> bytes:
    """A sample file."""
    return BYTE_ORDER_MARK + csv_lines([*map(harmless, line)] for line in lines)
