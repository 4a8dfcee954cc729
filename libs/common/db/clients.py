"""The clients of `platform.api_client` that configuration gives: the installation's first token and our own services.

All others are made by segment's RPCs, which can change none of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

import asyncpg

from libs.common.ids import derived_id
from libs.common.text import fold

_CONFIGURED: Final = UUID("5b0f6c5e-7a3c-4f3e-9d53-0e6a3c1d9b42")
"""Namespace of their ids."""

_REGISTER: Final = """
INSERT INTO platform.api_client (api_client_id, name, name_folded, scopes, token_sha256, configured, version)
VALUES ($1, $2, $3, $4, $5, true, 0)
ON CONFLICT (api_client_id) DO UPDATE
   SET name = excluded.name, scopes = excluded.scopes, token_sha256 = excluded.token_sha256, revoked_at = NULL
"""
_IS_REGISTERED: Final = """
SELECT true FROM platform.api_client
 WHERE api_client_id = $1 AND name = $2 AND scopes = $3 AND token_sha256 = $4 AND revoked_at IS NULL
"""


def configured_client_id(name: str) -> UUID:
    """The id of the client that configuration calls `name`; the same in every installation."""
    return derived_id(_CONFIGURED, name)


async def register_client(
    connection: asyncpg.Connection[Any], name: str, scopes: Iterable[int], token_sha256: bytes
) -> None:
    """Makes the installation's client `name` what is given here: the numbers of its scopes, and its token's SHA-256
    (`libs.common.callers.token_digest`). The token that it had before ends at once.

    `connection` is the owner's. Nothing changes when all is so already. Raises the driver's UniqueViolationError when
    another client has the token.
    """
    client_id, numbers = configured_client_id(name), sorted(set(scopes))
    if not await connection.fetchval(_IS_REGISTERED, client_id, name, numbers, token_sha256):
        await connection.execute(_REGISTER, client_id, name, fold(name), numbers, token_sha256)
