"""Whose a Redis is: a key names the installation, so that another one that was given the same address by mistake is
refused before it takes mail that is not its own.

An empty Redis, new or restored to nothing, is taken by whoever comes first. What holds mail of a database that was
restored elsewhere is refused too, as it has to be: its numbers are given out again (docs/backup.md)."""

from __future__ import annotations

from typing import Final

from libs.common.mailbox.errors import MailboxOfAnother
from libs.common.mailbox.library import Client
from libs.common.mailbox.wire import translated

OWNER_KEY: Final = "oj:installation"


async def claim(client: Client, installation: str) -> None:
    """Writes whose the server is where it does not say so yet. `installation` is an id, and behind a space where its
    database is, for people.

    Raises MailboxOfAnother, and MailboxUnavailable.
    """
    with translated():
        if await client.set(OWNER_KEY, installation, nx=True):
            return
        other = await other_owner(client, installation)
    if other:
        raise MailboxOfAnother(other)


async def other_owner(client: Client, installation: str) -> str:
    """Where the database of the other installation is that the server is of; empty: it is of this one, or of none."""
    found = await client.get(OWNER_KEY)
    held = found.decode() if isinstance(found, bytes) else str(found or "")
    own, _, _ = installation.partition(" ")
    other, _, where = held.partition(" ")
    return where if other not in ("", own) else ""
