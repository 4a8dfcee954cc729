"""Clients of the API for tests: rows as segment makes them, made by the owner, so that no segment need run."""

from __future__ import annotations

import secrets
from uuid import UUID

import asyncpg

from libs.common.callers import token_digest
from libs.common.ids import new_id
from libs.testing.fixtures import Database

_TEAM = "INSERT INTO platform.team (team_id) VALUES ($1) ON CONFLICT DO NOTHING"
_ACCOUNT = (
    "INSERT INTO platform.channel_account (team_id, account_id, channel)"
    " VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
)
_CLIENT = (
    "INSERT INTO platform.api_client (api_client_id, team_id, name, name_folded, scopes, token_sha256, version)"
    " VALUES ($1, $2, $3, $3, $4, $5, 0)"
)


async def make_known(database: Database, team_id: UUID) -> None:
    """Lets a team be known to all services; segment knows nothing of it."""
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        await connection.execute(_TEAM, team_id)
    finally:
        await connection.close()


async def make_account(
    database: Database, team_id: UUID, account_id: UUID | str, channel: int | None = None
) -> None:
    """Lets a channel account be known to all services, of whatever channel where it is not said; the gateway knows
    nothing of it."""
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        await connection.execute(_ACCOUNT, team_id, account_id, channel)
    finally:
        await connection.close()


async def make_client(database: Database, *scopes: int, team_id: UUID | None = None) -> str:
    """The token of a new client of a team, which is made known; None: of the installation."""
    if team_id is not None:
        await make_known(database, team_id)
    token, client_id = f"oj_{secrets.token_urlsafe(32)}", new_id()
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        digest = token_digest(token.encode())
        await connection.execute(_CLIENT, client_id, team_id, f"client-{client_id}", list(scopes), digest)
    finally:
        await connection.close()
    return token
