"""Who may call: clients, their tokens, their scopes. A caller gives no more than it has."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from libs.common.callers import caller, token_digest
from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.errors import FieldViolation, InvalidArgument, PermissionDenied
from libs.common.ids import new_id
from libs.common.rpc.servicing import check_etag
from libs.common.text import fold
from services.segment.domain.api_clients import (
    OVERLAP_MAX,
    ApiClient,
    Changes,
    NewClient,
    changed,
    require_changeable,
    require_room,
    require_scopes,
)
from services.segment.domain.facts import Fact
from services.segment.store import api_clients, teams
from services.segment.usecases.edits import Edits, Once, Reply

_TOKEN_PREFIX: Final = "oj_"  # noqa: S105 - what all tokens begin with
"""By which people, and tools that look for leaked secrets, know a token."""
_TOKEN_BYTES: Final = 32


class Minted(NamedTuple):
    """A client and its new token, which nobody can be told again."""

    client: ApiClient
    token: str


class ApiClients:
    """`team_id` None: clients of the installation, for which the caller must be one.

    Each method raises NotFound for a team or a client that is not there, PermissionDenied `INSTALLATION_ONLY`.
    """

    def __init__(self, pool: Pool, edits: Edits, real_time: Clock) -> None:
        """One per process. Tokens end by `real_time`."""
        self._pool = pool
        self._edits = edits
        self._real_time = real_time

    async def create(
        self,
        once: Once[Minted, Reply],
        team_id: UUID | None,
        name: str,
        scopes: tuple[int, ...],
        expire_at: datetime | None,
    ) -> Reply:
        """A new client with its token. Raises AlreadyExists for a name that is taken, PermissionDenied
        `SCOPE_MISSING`, FailedPrecondition `API_CLIENT_LIMIT`."""
        _check_sees(team_id)
        require_scopes(scopes, caller().scopes)
        self._check_ahead("api_client.expire_time", expire_at)

        async def work(connection: Connection, _facts: list[Fact]) -> Minted:
            if team_id is not None:
                await teams.load_team(connection, team_id)
            require_room(*await api_clients.count_clients(connection, team_id))
            token = _new_token()
            client = NewClient(new_id(), team_id, name, scopes, expire_at)
            return Minted(
                await api_clients.insert_client(connection, client, token_digest(token.encode())), token
            )

        return await self._edits.once(once, work)

    async def update(
        self, once: Once[ApiClient, Reply], team_id: UUID | None, client_id: UUID, etag: str, changes: Changes
    ) -> Reply:
        """The changed client. Raises Aborted, AlreadyExists for a name that is taken, PermissionDenied
        `SCOPE_MISSING`, FailedPrecondition `API_CLIENT_UNCHANGEABLE`."""
        _check_sees(team_id)
        require_scopes(changes.scopes or (), caller().scopes)
        self._check_ahead("api_client.expire_time", changes.expire_at)

        async def work(connection: Connection, _facts: list[Fact]) -> ApiClient:
            present = await api_clients.lock_client(connection, team_id, client_id)
            require_changeable(present)
            check_etag(etag, present.version)
            once.note_before(present)
            wanted = changed(present, changes, fold(changes.name or ""))
            return present if wanted == present else await api_clients.update_client(connection, wanted)

        return await self._edits.once(once, work)

    async def rotate(
        self, once: Once[Minted, Reply], team_id: UUID | None, client_id: UUID, old_until: datetime | None
    ) -> Reply:
        """The client with a new token. Raises PermissionDenied `SCOPE_MISSING` where it may do what the caller may
        not, FailedPrecondition `API_CLIENT_UNCHANGEABLE`."""
        _check_sees(team_id)
        self._check_ahead("old_token_expire_time", old_until)
        if old_until is not None and old_until > self._real_time.now() + OVERLAP_MAX:
            raise _fault("old_token_expire_time", "must be at most 7 days ahead")

        async def work(connection: Connection, _facts: list[Fact]) -> Minted:
            present = await api_clients.lock_client(connection, team_id, client_id)
            require_changeable(present)
            require_scopes(present.scopes, caller().scopes)
            once.note_before(present)
            token = _new_token()
            digest = token_digest(token.encode())
            return Minted(await api_clients.rotate_client(connection, client_id, digest, old_until), token)

        return await self._edits.once(once, work)

    async def revoke(self, once: Once[ApiClient, Reply], team_id: UUID | None, client_id: UUID) -> Reply:
        """The revoked client; one that was revoked stays as it is. Raises FailedPrecondition
        `API_CLIENT_UNCHANGEABLE` for one that configuration gives."""
        _check_sees(team_id)

        async def work(connection: Connection, _facts: list[Fact]) -> ApiClient:
            present = await api_clients.lock_client(connection, team_id, client_id)
            if present.revoked_at is not None:
                return present
            require_changeable(present)
            once.note_before(present)
            return await api_clients.revoke_client(connection, client_id)

        return await self._edits.once(once, work)

    async def page(
        self, team_id: UUID | None, after: tuple[str, UUID] | None, row_max: int
    ) -> list[ApiClient]:
        """Clients in order of their names."""
        _check_sees(team_id)
        async with transaction(self._pool, [team_id] if team_id else []) as connection:
            if team_id is not None:
                await teams.load_team(connection, team_id)
            return await api_clients.list_clients(connection, team_id, after, row_max)

    def _check_ahead(self, field: str, at: datetime | None) -> None:
        if at is not None and at <= self._real_time.now():
            raise _fault(field, "must lie ahead, in real time")


def _check_sees(team_id: UUID | None) -> None:
    if team_id is not None:
        caller().require([team_id])
    elif caller().team_id is not None:
        raise PermissionDenied.installation_only()


def _fault(field: str, description: str) -> InvalidArgument:
    return InvalidArgument.of(FieldViolation(field, description))


def _new_token() -> str:
    return _TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
