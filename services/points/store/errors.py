"""What the database refuses, in words of the domain: the one place where names of constraints are known."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

import asyncpg

from services.points.domain.errors import LedgerChangedError, OutcomeKeptError

_BY_CONSTRAINT: Final = {
    "account_pkey": "another transaction made the account",
    "entry_key": "another transaction recorded the key",
    "entry_pkey": "another transaction wrote the entry",
    "outcome_pkey": "another transaction recorded the key",
    "shop_order_pkey": "another transaction recorded the order",
}
"""Unique constraints that two writers of the ledger can meet at."""


@contextlib.contextmanager
def ledger_errors() -> Iterator[None]:
    """Raises LedgerChangedError for what another writer of the ledger stood in the way of; other errors pass."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name not in _BY_CONSTRAINT:
            raise
        raise LedgerChangedError.write_conflict(_BY_CONSTRAINT[error.constraint_name]) from error
    except asyncpg.SerializationError as error:
        raise LedgerChangedError.write_conflict("what the batch was decided on has changed") from error


@contextlib.contextmanager
def retention_errors() -> Iterator[None]:
    """Raises OutcomeKeptError for an outcome that the database does not let go yet; other errors pass."""
    try:
        yield
    except asyncpg.InsufficientPrivilegeError as error:
        raise OutcomeKeptError(str(error)) from error
