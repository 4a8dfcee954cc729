"""Writes of clients are written down before they are answered, unless they have seen to it themselves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import Message

from libs.common.audit import is_write, recording

NoteWrite = Callable[[Message, Message], Awaitable[None]]
"""Writes down a write by its request and its answer."""
Handling = Callable[[Any, Any], Awaitable[Any]]


def audited(rpc: str, handle: Handling, note: NoteWrite | None) -> Handling:
    """The handler of an RPC (`package.Service/Method`), which leaves an entry where it is a public write."""
    if note is None or not is_write(rpc):
        return handle

    async def answer(request: Any, context: Any) -> Any:
        with recording() as running:
            result = await handle(request, context)
            if not running.settled and isinstance(request, Message):
                await note(request, result)
            return result

    return answer
