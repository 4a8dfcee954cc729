"""Clients of the API: what may be given to them, and by whom."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final, NamedTuple
from uuid import UUID

from libs.common.errors import FailedPrecondition, PermissionDenied

CLIENTS_MAX: Final = 100
"""Clients of one team, or of the installation, that are not revoked."""
INSTALLATION_CLIENTS_MAX: Final = 100_000
"""The same of all teams together: every process holds them in memory, some 500 bytes each."""
OVERLAP_MAX: Final = timedelta(days=7)
"""How long the old token may work beside the new one, real time."""


class Scope(IntEnum):
    """The numbers of `common.v1.Scope`."""

    READ = 1
    WRITE = 2
    ADMIN = 3
    OPERATE = 4
    INTERNAL = 5


class ApiClient(NamedTuple):
    """A row of `platform.api_client` without its digests. Times are real time."""

    api_client_id: UUID
    team_id: UUID | None
    name: str
    name_folded: str
    scopes: tuple[int, ...]
    expire_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime
    last_used: datetime | None
    version: int
    configured: bool


class NewClient(NamedTuple):
    """A client to be made."""

    api_client_id: UUID
    team_id: UUID | None
    name: str
    scopes: tuple[int, ...]
    expire_at: datetime | None


class Changes(NamedTuple):
    """Fields to change; None: as it was."""

    name: str | None = None
    scopes: tuple[int, ...] | None = None
    ends: bool = False
    """Whether `expire_at` is changed."""
    expire_at: datetime | None = None


def require_scopes(wanted: Iterable[int], held: Collection[int]) -> None:
    """Raises PermissionDenied `SCOPE_MISSING` for a scope that is wanted and that the caller does not hold itself."""
    for scope in sorted(wanted):
        if scope not in held:
            raise PermissionDenied.scope_missing(Scope(scope).name)


def require_changeable(client: ApiClient) -> None:
    """Raises FailedPrecondition `API_CLIENT_UNCHANGEABLE`."""
    cause = "CONFIGURED" if client.configured else "REVOKED" if client.revoked_at else ""
    if cause:
        said = {
            "CONFIGURED": "configuration gives this client: change it there",
            "REVOKED": "the client was revoked",
        }
        raise FailedPrecondition("API_CLIENT_UNCHANGEABLE", said[cause], metadata={"cause": cause})


def require_room(own: int, all_together: int) -> None:
    """Raises FailedPrecondition `API_CLIENT_LIMIT` when there are as many clients as there may be."""
    limit = CLIENTS_MAX if own >= CLIENTS_MAX else INSTALLATION_CLIENTS_MAX
    if own >= CLIENTS_MAX or all_together >= INSTALLATION_CLIENTS_MAX:
        message = f"there are {limit} clients already: revoke one"
        raise FailedPrecondition("API_CLIENT_LIMIT", message, metadata={"limit": str(limit)})


def changed(client: ApiClient, changes: Changes, name_folded: str) -> ApiClient:
    """The client with its changes."""
    return client._replace(
        name=client.name if changes.name is None else changes.name,
        name_folded=client.name_folded if changes.name is None else name_folded,
        scopes=client.scopes if changes.scopes is None else changes.scopes,
        expire_at=changes.expire_at if changes.ends else client.expire_at,
    )
