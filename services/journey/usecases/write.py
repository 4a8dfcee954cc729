"""A write as it was called, done once: a repeated request id gets the first answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from google.protobuf.message import Message

from libs.common.audit import note_before
from libs.common.db.pool import Connection, Pool
from libs.common.db.requests import Write, answer_once

OPERATORS: Final = UUID(int=0)
"""Whose the writes of operators are: no team's."""

Result = TypeVar("Result")
Reply = TypeVar("Reply", bound=Message)


@dataclass(frozen=True, slots=True)
class Call(Generic[Result, Reply]):
    """Whose a write is, the request that a repetition is recognised by, and how its result becomes the answer."""

    team_id: UUID
    request: Write
    form: type[Reply]
    reply: Callable[[Result], Reply]
    shown: Callable[[Any], Message] | None = None
    """Shows the resource where the answer does not: what the audit log keeps of one that goes."""

    def note_before(self, resource: Any) -> None:
        """Says how the resource was that the write is about to change."""
        note_before((self.shown or self.reply)(resource))


async def once(
    pool: Pool, call: Call[Result, Reply], work: Callable[[Connection], Awaitable[Result]]
) -> Reply:
    """Does `work` in one transaction, together with its answer. Raises what `answer_once` and `work` raise."""

    async def answer(connection: Connection) -> Reply:
        return call.reply(await work(connection))

    return await answer_once(pool, call.team_id, call.request, call.form, answer)
