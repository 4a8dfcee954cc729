"""Clients of the API, in `platform.api_client`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.db.pool import Connection
from libs.common.errors import NotFound
from libs.common.text import fold
from services.segment.domain.api_clients import ApiClient, NewClient
from services.segment.store.base import BOOK


async def insert_client(connection: Connection, client: NewClient, token_sha256: bytes) -> ApiClient:
    """A new client, with its version and time; a name that is taken is refused by its constraint."""
    return await _write(
        connection,
        "insert_api_client",
        client.api_client_id,
        team_id=client.team_id,
        name=client.name,
        name_folded=fold(client.name),
        scopes=client.scopes,
        token_sha256=token_sha256,
        expire_at=client.expire_at,
    )


async def count_clients(connection: Connection, team_id: UUID | None) -> tuple[int, int]:
    """How many are not revoked: of the team, and of all."""
    row = await connection.fetchrow(*BOOK.bind("count_api_clients", team_id=team_id))
    assert row is not None
    return row[0], row[1]


async def lock_client(connection: Connection, team_id: UUID | None, client_id: UUID) -> ApiClient:
    """A client, locked. Raises NotFound for one of another team, and for our own services."""
    query = BOOK.bind("lock_api_client", team_id=team_id, api_client_id=client_id)
    row = await connection.fetchrow(*query)
    if row is None:
        raise NotFound.of("api_client", client_id)
    return _client_of(row)


async def update_client(connection: Connection, client: ApiClient) -> ApiClient:
    """The changed client, which was locked before; a name that is taken is refused by its constraint."""
    return await _write(
        connection,
        "update_api_client",
        client.api_client_id,
        name=client.name,
        name_folded=client.name_folded,
        scopes=client.scopes,
        expire_at=client.expire_at,
    )


async def rotate_client(
    connection: Connection, client_id: UUID, token_sha256: bytes, old_until: datetime | None
) -> ApiClient:
    """The client, locked before, with a new token; the old one works until `old_until`, None: no more."""
    return await _write(
        connection, "rotate_api_client", client_id, token_sha256=token_sha256, old_until=old_until
    )


async def revoke_client(connection: Connection, client_id: UUID) -> ApiClient:
    """The client, locked before, revoked."""
    return await _write(connection, "revoke_api_client", client_id)


async def list_clients(
    connection: Connection, team_id: UUID | None, after: tuple[str, UUID] | None, row_max: int
) -> list[ApiClient]:
    """In order of name and id."""
    name, client_id = after or (None, None)
    query = BOOK.bind(
        "list_api_clients", team_id=team_id, after_name=name, after_id=client_id, row_max=row_max
    )
    return [_client_of(row) for row in await connection.fetch(*query)]


async def _write(connection: Connection, query: str, client_id: UUID, **columns: Any) -> ApiClient:
    row = await connection.fetchrow(*BOOK.bind(query, api_client_id=client_id, **columns))
    assert row is not None
    return _client_of(row)


def _client_of(row: Iterable[Any]) -> ApiClient:
    client = ApiClient(*row)
    return client._replace(scopes=tuple(client.scopes))
