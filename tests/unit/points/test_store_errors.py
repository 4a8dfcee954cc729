"""What the database refuses becomes an error of the domain where the domain has a word for it."""

from __future__ import annotations

import asyncpg
import pytest

from services.points.domain.errors import LedgerChangedError, OutcomeKeptError
from services.points.store.errors import ledger_errors, retention_errors


def refused(constraint: str) -> asyncpg.UniqueViolationError:
    error = asyncpg.UniqueViolationError("duplicate key")
    error.constraint_name = constraint
    return error


@pytest.mark.parametrize(
    "error", [refused("outcome_pkey"), asyncpg.SerializationError("an account has changed")]
)
def test_what_another_writer_changed_is_a_conflict_that_may_be_tried_again(error: Exception) -> None:
    with pytest.raises(LedgerChangedError) as raised, ledger_errors():
        raise error
    assert raised.value.reason == "WRITE_CONFLICT"
    assert raised.value.retry_after_s is not None


def test_a_constraint_that_writers_cannot_meet_at_stays_a_fault() -> None:
    with pytest.raises(asyncpg.UniqueViolationError), ledger_errors():
        raise refused("coupon_claim_code")


def test_an_outcome_that_the_database_keeps_is_no_fault_of_the_database() -> None:
    with pytest.raises(OutcomeKeptError), retention_errors():
        raise asyncpg.InsufficientPrivilegeError("an outcome is kept for 13 months")
