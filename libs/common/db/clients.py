"""The clients of `platform.api_client` that configuration gives: the installation's first token and our own services.

All others are made by segment's RPCs, which can change none of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from libs.common.callers import ALL_BUT_INTERNAL
from libs.common.ids import derived_id
from libs.common.text import fold

_CONFIGURED: Final = UUID("5b0f6c5e-7a3c-4f3e-9d53-0e6a3c1d9b42")
"""Namespace of their ids."""

_REGISTER: Final = """
INSERT INTO platform.api_client (api_client_id, name, name_folded, scopes, token_sha256, configured, version)
VALUES ($1, $2, $3, $4, $5, true, 0)
ON CONFLICT (api_client_id) DO UPDATE
   SET name = excluded.name, scopes = excluded.scopes, token_sha256 = excluded.token_sha256, revoked_at = NULL,
       old_token_sha256 = CASE WHEN $6 THEN api_client.token_sha256 END,
       old_token_expire_at = CASE WHEN $6 THEN clock_timestamp() + $7::interval END
"""
_IS_KNOWN: Final = """
SELECT true FROM platform.api_client WHERE configured AND scopes = $1 AND token_sha256 = $2 AND revoked_at IS NULL
"""
_IS_REGISTERED: Final = """
SELECT true FROM platform.api_client
 WHERE api_client_id = $1 AND name = $2 AND scopes = $3 AND token_sha256 = $4 AND revoked_at IS NULL
"""


def configured_client_id(name: str) -> UUID:
    """The id of the client that configuration calls `name`; the same in every installation."""
    return derived_id(_CONFIGURED, name)


async def register_client(
    connection: asyncpg.Connection[Any],
    name: str,
    scopes: Iterable[int],
    token_sha256: bytes,
    *,
    overlap: timedelta = timedelta(0),
) -> None:
    """Makes the installation's client `name` what is given here: the numbers of its scopes, and its token's SHA-256
    (`libs.common.callers.token_digest`). The token that it had before ends after `overlap`.

    `connection` is the owner's. Nothing changes when all is so already. Raises the driver's UniqueViolationError when
    another client has the token.
    """
    client_id, numbers = configured_client_id(name), sorted(set(scopes))
    if not await connection.fetchval(_IS_REGISTERED, client_id, name, numbers, token_sha256):
        values = (client_id, name, fold(name), numbers, token_sha256, bool(overlap), overlap)
        await connection.execute(_REGISTER, *values)


async def register_first_token(connection: asyncpg.Connection[Any], name: str, token_sha256: bytes) -> None:
    """Lets the installation's first token in: all teams, all scopes but INTERNAL. `name` of the client; nothing changes
    when the token is known under another one. Raises what `register_client` raises."""
    if not await connection.fetchval(_IS_KNOWN, sorted(ALL_BUT_INTERNAL), token_sha256):
        await register_client(connection, name, ALL_BUT_INTERNAL, token_sha256)
