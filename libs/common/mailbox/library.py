"""The server-side functions: their text, and loading them where they are missing or old."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import ResponseError

Client = Redis | RedisCluster

VERSION: Final = 5
"""Of `mailbox.lua`. A server never goes back to an older one: newer functions serve older callers, too."""


def source() -> str:
    """The library's text, ready to be loaded."""
    text = resources.files(__package__).joinpath("mailbox.lua").read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return text.replace("@VERSION@", str(VERSION)).replace("@DIGEST@", digest)


async def ensure_loaded(client: Client) -> None:
    """Load the library on every primary that lacks it, has an older version, or another text of the same
    version.
    """
    if isinstance(client, RedisCluster):
        await client.initialize()  # type: ignore[unused-awaitable]  # returns the client itself
        for node in client.get_primaries():
            await _ensure(client, {"target_nodes": node})
        return
    await _ensure(client, {})


async def _ensure(client: Client, routing: dict[str, Any]) -> None:
    text = source()
    loaded = await _loaded_version(client, routing)
    if loaded is not None:
        version, digest = loaded
        if version > VERSION or (version == VERSION and digest in text):
            return
    await client.execute_command("FUNCTION LOAD", "REPLACE", text, **routing)


async def _loaded_version(client: Client, routing: dict[str, Any]) -> tuple[int, str] | None:
    try:
        reply = await client.execute_command("FCALL_RO", "oj_version", 0, **routing)
    except ResponseError as error:
        if "unction not found" in str(error):
            return None
        raise
    if isinstance(reply, dict):
        reply = next(iter(reply.values()))
    return int(reply[0]), reply[1].decode()
