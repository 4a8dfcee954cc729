"""Refusals of points, other than answers of a posting. Each names its reason of the contract."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from libs.common.errors import Aborted, AlreadyExists, FailedPrecondition, FieldViolation, InvalidArgument
from libs.common.money import format_micros
from services.points.domain.earning import Formula
from services.points.domain.imports import ImportState

SEARCH_DAYS_MAX = 90
"""Longest search in the history (P-11)."""


class LedgerChangedError(Aborted):
    """What a batch was decided on changed before it was written; nothing was written, and posting it again is safe."""


class OutcomeKeptError(Exception):
    """The database does not let outcomes go yet: its clock is behind this process'."""


def formula_already_set(formula: Formula) -> FailedPrecondition:
    """Another formula is set, and it never changes (P-01)."""
    metadata = {
        "amount": format_micros(formula.amount_micros, 0),
        "points": format_micros(formula.points_micros, 0),
    }
    return FailedPrecondition(
        "FORMULA_ALREADY_SET", "the team has another earning formula", metadata=metadata
    )


def insufficient_points(balance: int, required: int) -> FailedPrecondition:
    """More was to be taken than is there."""
    metadata = {"balance": str(balance), "required": str(required), "shortfall": str(required - balance)}
    return FailedPrecondition(
        "INSUFFICIENT_POINTS", f"{required} points asked, {balance} there", metadata=metadata
    )


def points_out_of_range(balance: int) -> FailedPrecondition:
    """A figure would leave its range."""
    metadata = {"balance": str(balance)}
    return FailedPrecondition("POINTS_OUT_OF_RANGE", "a figure would leave its range", metadata=metadata)


def search_range_too_long(days: int, field: str) -> InvalidArgument:
    """A search over more days than allowed; `field` has the first of them."""
    reason = "SEARCH_RANGE_TOO_LONG"
    must = f"must be at most {SEARCH_DAYS_MAX} days before the end, is {days}: search a part at a time"
    return InvalidArgument(
        reason,
        f"at most {SEARCH_DAYS_MAX} days",
        metadata={"days": str(days), "days_max": str(SEARCH_DAYS_MAX)},
        violations=[FieldViolation(field, must, reason)],
    )


def coupon_not_claimable(cause: str) -> FailedPrecondition:
    """The coupon cannot be claimed; `cause` by the contract's names."""
    message = f"the coupon cannot be claimed: {cause}"
    return FailedPrecondition("COUPON_NOT_CLAIMABLE", message, metadata={"cause": cause})


def import_state(state: ImportState) -> FailedPrecondition:
    """The import's state does not allow it."""
    return FailedPrecondition("IMPORT_STATE", f"the import is {state.name}", metadata={"state": state.name})


def import_file_repeated(import_id: UUID | None) -> AlreadyExists:
    """The same file was imported before."""
    metadata = {"import_id": str(import_id or "")}
    return AlreadyExists("IMPORT_FILE_REPEATED", "this file was imported before", metadata=metadata)


def coupon_claim_used(used_at: datetime) -> FailedPrecondition:
    """The claim was used before."""
    metadata = {"use_time": _text_of(used_at)}
    return FailedPrecondition("COUPON_CLAIM_USED", "the claim was used before", metadata=metadata)


def coupon_claim_expired(expires_at: datetime) -> FailedPrecondition:
    """The claim is not valid any more."""
    metadata = {"expire_time": _text_of(expires_at)}
    return FailedPrecondition("COUPON_CLAIM_EXPIRED", "the claim is not valid any more", metadata=metadata)


def _text_of(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
