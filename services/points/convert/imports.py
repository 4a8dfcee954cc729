"""Imports: contract to domain and back, pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from libs.common.csv_text import csv_lines, harmless
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.values import timestamp
from libs.common.text import as_key
from omnijourney.common.v1 import operation_pb2
from omnijourney.points.v1 import points_import_pb2 as messages
from omnijourney.points.v1 import points_service_pb2 as pb
from services.points.domain.imports import (
    CELL_LENGTH_MAX,
    EXPLAINED,
    POINTS_LENGTH_MAX,
    Fault,
    Hints,
    ImportState,
    ImportTerms,
    Line,
    RowStatus,
)
from services.points.domain.views import Import, ImportCounts, ReportedRow

ROWS_OF_A_CALL_MAX: Final = 500
ROW_NUMBER_MAX: Final = 10**9
_FAULTS: Final = {
    messages.IMPORT_ROW_FAULT_UNSPECIFIED: "",
    **{messages.ImportRowFault.Value(f"IMPORT_ROW_FAULT_{fault.name}"): fault.value for fault in Fault},
}
_FAULT_NUMBERS: Final = {fault: number for number, fault in _FAULTS.items()}
_GIVEN_FAULTS: Final = frozenset({"", Fault.NOT_FOUND, Fault.AMBIGUOUS, Fault.MALFORMED})
_OPERATIONS: Final = {
    ImportState.RUNNING: (
        operation_pb2.OPERATION_KIND_POINTS_IMPORT,
        operation_pb2.OPERATION_STATE_RUNNING,
    ),
    ImportState.DONE: (
        operation_pb2.OPERATION_KIND_POINTS_IMPORT,
        operation_pb2.OPERATION_STATE_SUCCEEDED,
    ),
    ImportState.UNDOING: (
        operation_pb2.OPERATION_KIND_POINTS_IMPORT_UNDO,
        operation_pb2.OPERATION_STATE_RUNNING,
    ),
    ImportState.UNDONE: (
        operation_pb2.OPERATION_KIND_POINTS_IMPORT_UNDO,
        operation_pb2.OPERATION_STATE_SUCCEEDED,
    ),
}
REPORT_HEADER: Final = (
    "line",
    "member_id",
    "email",
    "phone",
    "customer_id",
    "point_balance",
    "status",
    "reason",
    "change",
    "cumulative_change",
    "cumulative_cut",
    "balance_after",
)


def terms(request: pb.CreateImportRequest, actor: str) -> tuple[UUID, ImportTerms]:
    """Team, and what the import is opened with by `actor`."""
    check, given = FieldCheck(), request.points_import
    team_id = check.uuid("team_id", request.team_id)
    if "\x00" in given.file_name:
        check.fault("points_import.file_name", "must not hold the character U+0000")
    if len(given.file_sha256) != 32:
        check.fault("points_import.file_sha256", "must be 32 bytes")
    read = ImportTerms(
        file_name=check.text("points_import.file_name", given.file_name, length_max=200),
        file_sha256=given.file_sha256,
        deduct_cumulative=given.deduct_cumulative,
        repeat=given.repeat,
        actor=actor,
    )
    check.done()
    return team_id, read


def lines(request: pb.AddImportRowsRequest) -> list[Line]:
    """Rows of a call."""
    check = FieldCheck()
    check.count("rows", request.rows, least=1, most=ROWS_OF_A_CALL_MAX)
    read = [_line(check, f"rows[{index}]", row) for index, row in enumerate(request.rows)]
    if len({line.row_number for line in read}) != len(read):
        check.fault("rows", "must not hold a line twice")
    check.done()
    return read


def _line(check: FieldCheck, path: str, row: messages.ImportRowInput) -> Line:
    """A row; MALFORMED and without its texts where they cannot be kept. Only what is wrong with its number, by which it
    is known, or with the fault that it has already refuses the call."""
    fault = _FAULTS.get(row.fault, "unknown")
    if fault not in _GIVEN_FAULTS:
        check.fault(f"{path}.fault", "must be NOT_FOUND, AMBIGUOUS, MALFORMED or unspecified")
    number = check.whole(f"{path}.row_number", row.row_number, least=1, most=ROW_NUMBER_MAX)
    texts = {name: getattr(row, name) for name in ("member_id", "email", "phone")}
    own = FieldCheck()
    for name, text in texts.items():
        own.text(name, text, length_max=CELL_LENGTH_MAX, length_min=0)
    own.text("points_text", row.points_text, length_max=POINTS_LENGTH_MAX, length_min=0)
    given = own.optional_uuid("customer_id", row.customer_id)
    if own.violations or "\x00" in "".join((*texts.values(), row.points_text)):
        return Line(number, Hints(), "", fault=Fault.MALFORMED.value)
    hints = Hints(**{name: as_key(text) for name, text in texts.items()})
    return Line(number, hints, row.points_text, given=given, fault=fault)


def statuses(numbers: Iterable[int]) -> list[RowStatus]:
    """Outcomes to be listed."""
    check, read = FieldCheck(), []
    for index, number in enumerate(numbers):
        try:
            read.append(RowStatus(number))
        except ValueError:
            check.fault(f"statuses[{index}]", "is no outcome")
    check.done()
    return read


def operation(found: Import, counts: ImportCounts) -> operation_pb2.Operation | None:
    """An import as the operation that works on it; None before it was executed, and when it never was."""
    if found.state not in _OPERATIONS:
        return None
    kind, state = _OPERATIONS[found.state]
    shown = operation_pb2.Operation(
        operation_id=str(found.import_id),
        team_id=str(found.team_id),
        kind=kind,
        state=state,
        done_count=counts.total - counts.waiting,
        total_count=counts.total,
        refused_count=counts.invalid + counts.insufficient + counts.not_undone,
        resource_id=str(found.import_id),
        create_time=timestamp(found.created_at),
    )
    if found.ended_at is not None and state == operation_pb2.OPERATION_STATE_SUCCEEDED:
        shown.end_time.CopyFrom(timestamp(found.ended_at))
    return shown


def points_import(found: Import, counts: ImportCounts) -> messages.PointsImport:
    """An import."""
    return messages.PointsImport(
        points_import_id=str(found.import_id),
        team_id=str(found.team_id),
        file_name=found.terms.file_name,
        file_sha256=found.terms.file_sha256,
        deduct_cumulative=found.terms.deduct_cumulative,
        state=found.state.value,  # type: ignore[arg-type]  # same numbers
        counts=counts_message(counts),
        create_time=timestamp(found.created_at),
        end_time=timestamp(found.ended_at) if found.ended_at else None,
        actor=found.terms.actor,
        repeat=found.terms.repeat,
    )


def counts_message(counts: ImportCounts) -> messages.ImportCounts:
    """Rows by outcome."""
    return messages.ImportCounts(**{name: getattr(counts, name) for name in counts.__struct_fields__})


def row(reported: ReportedRow) -> messages.ImportRow:
    """A row with its outcome."""
    line, outcome = reported.row.line, reported.outcome
    return messages.ImportRow(
        input=messages.ImportRowInput(
            row_number=line.row_number,
            customer_id=str(reported.row.customer_id or ""),
            points_text=line.points_text,
            fault=_FAULT_NUMBERS[line.fault],
            member_id=line.hints.member_id,
            email=line.hints.email,
            phone=line.hints.phone,
        ),
        status=outcome.status.value,  # type: ignore[arg-type]  # same numbers
        detail=_detail(reported),
        requested=reported.row.points,
        delta_balance=outcome.delta_balance,
        delta_cumulative=outcome.delta_cumulative,
        cumulative_cut=outcome.cumulative_cut,
        balance=outcome.balance,
        repeated_customer=reported.repeated,
        fault=_FAULT_NUMBERS[outcome.fault],
    )


def _detail(reported: ReportedRow) -> str:
    outcome = reported.outcome
    if outcome.fault:
        return EXPLAINED[Fault(outcome.fault)]
    if outcome.status == RowStatus.INSUFFICIENT:
        return f"{-reported.row.points} points asked, {outcome.balance} there"
    if outcome.status == RowStatus.NOT_UNDONE:
        return "too few points were left to take it back"
    return f"the cumulative points were cut by {outcome.cumulative_cut}" if outcome.cumulative_cut else ""


def report(rows: Sequence[ReportedRow]) -> bytes:
    """Lines of the report."""
    return csv_lines(_report_line(reported) for reported in rows)


def _report_line(reported: ReportedRow) -> tuple[object, ...]:
    line, outcome = reported.row.line, reported.outcome
    hints = (line.hints.member_id, line.hints.email, line.hints.phone)
    decided = outcome.status in {RowStatus.APPLIED, RowStatus.UNDONE, RowStatus.NOT_UNDONE}
    return (
        line.row_number,
        *map(harmless, hints),
        reported.row.customer_id or "",
        harmless(line.points_text),
        outcome.status.name,
        outcome.fault or _detail(reported),
        outcome.delta_balance,
        outcome.delta_cumulative,
        outcome.cumulative_cut,
        outcome.balance if decided else "",
    )
