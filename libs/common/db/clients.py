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
from libs.common.db.book import BOOK
from libs.common.ids import derived_id
from libs.common.text import fold

_CONFIGURED: Final = UUID("5b0f6c5e-7a3c-4f3e-9d53-0e6a3c1d9b42")
"""Namespace of their ids."""


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
    wanted = {"client_id": client_id, "name": name, "scopes": numbers, "token_sha256": token_sha256}
    if not await connection.fetchval(*BOOK.bind("is_client_registered", **wanted)):
        before = {"overlaps": bool(overlap), "overlap": overlap}
        await connection.execute(*BOOK.bind("register_client", **wanted, name_folded=fold(name), **before))


async def register_first_token(connection: asyncpg.Connection[Any], name: str, token_sha256: bytes) -> None:
    """Lets the installation's first token in: all teams, all scopes but INTERNAL. `name` of the client; nothing changes
    when the token is known under another one. Raises what `register_client` raises."""
    query = BOOK.bind("is_token_known", scopes=sorted(ALL_BUT_INTERNAL), token_sha256=token_sha256)
    if not await connection.fetchval(*query):
        await register_client(connection, name, ALL_BUT_INTERNAL, token_sha256)
