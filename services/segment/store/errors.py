"""What the driver's errors mean here: one table, by the name of the constraint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from libs.common.db.faults import COLLIDED
from libs.common.errors import AlreadyExists

_TAKEN: Final = {"saved_audience_name": "name", "api_client_name": "name"}
"""Unique constraints that no lock is taken for beforehand, and the field whose value is taken."""


class CollisionError(Exception):
    """Another transaction was faster with something that this one decided on; do the whole transaction again."""


@contextmanager
def domain_errors() -> Iterator[None]:
    """To be put around a whole transaction, since its commit may fail, too.

    Raises AlreadyExists `DUPLICATE_VALUE` for a value that is taken; CollisionError where the database undid the
    transaction for another's sake, or another one wrote a row that this one had looked for and not found.
    """
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        if field := _TAKEN.get(error.constraint_name or ""):
            raise AlreadyExists.value_taken(field) from error
        raise CollisionError(str(error)) from error
    except COLLIDED as error:
        raise CollisionError(str(error) or type(error).__name__) from error
