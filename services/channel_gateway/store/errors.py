"""What the database refuses, in words of the domain: the one place that knows constraints and codes by name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Final

import asyncpg

from libs.common.db.faults import PASSING
from libs.common.errors import AlreadyExists, Unavailable
from services.channel_gateway.domain.errors import (
    CatalogueChangedError,
    KeyTakenError,
    LimitReachedError,
    NotOursError,
    ReservationConflictError,
)

_FIELDS: Final = {"template_by_name": "name", "shop_pkey": "shop_id"}
"""Unique constraints of what people name, with the field that holds the name."""
_CONFLICTS: Final[Mapping[str, type[ReservationConflictError]]] = {
    "OJ101": KeyTakenError,
    "OJ102": LimitReachedError,
    "OJ103": CatalogueChangedError,
}
"""Codes that the functions of a reservation raise."""
_NOT_OURS: Final = "OJ104"


@contextlib.contextmanager
def taken_values() -> Iterator[None]:
    """Raises AlreadyExists `DUPLICATE_VALUE` for a name that another resource has; other errors pass."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        field = _FIELDS.get(error.constraint_name or "")
        if field is None:
            raise
        raise AlreadyExists.value_taken(field) from error


@contextlib.contextmanager
def reservation_conflicts() -> Iterator[None]:
    """Raises a ReservationConflictError for what stood in the way of a batch; other errors pass."""
    try:
        yield
    except asyncpg.PostgresError as error:
        conflict = _CONFLICTS.get(error.sqlstate or "")
        if conflict is None:
            raise
        raise conflict(str(error)) from error


@contextlib.contextmanager
def sends_of_others() -> Iterator[None]:
    """Raises NotOursError where some of a batch of sends are settled or another's; other errors pass."""
    try:
        yield
    except asyncpg.PostgresError as error:
        if error.sqlstate != _NOT_OURS:
            raise
        raise NotOursError(str(error)) from error


@contextlib.contextmanager
def absences() -> Iterator[None]:
    """Raises Unavailable for faults of the database that pass by themselves; other errors pass."""
    try:
        yield
    except PASSING as error:
        raise Unavailable.dependency("database") from error
