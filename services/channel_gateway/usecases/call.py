"""A write as it was called."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from uuid import UUID

from google.protobuf.message import Message

from libs.common.audit import note_before
from libs.common.db.pool import Connection, Pool
from libs.common.db.requests import Write, answer_once

Done = TypeVar("Done")
Reply = TypeVar("Reply", bound=Message)


@dataclass(frozen=True, slots=True)
class Call(Generic[Done, Reply]):
    """Whose write it is, by what its repetition is recognised, and how what was done becomes the answer."""

    team_id: UUID
    request: Write = field(repr=False)
    form: type[Reply]
    reply: Callable[[Done], Reply]
    shown: Callable[[Any], Message] | None = None
    """Shows the resource where the answer does not: what the audit log keeps of one that goes."""

    def note_before(self, resource: Any) -> None:
        """Says how the resource was that the write is about to change."""
        note_before((self.shown or self.reply)(resource))


async def once(
    pool: Pool,
    call: Call[Done, Reply],
    work: Callable[[Connection], Awaitable[Done]],
    again: Callable[[Connection, Reply], Awaitable[Reply]] | None = None,
) -> Reply:
    """Does `work` in one transaction and keeps its answer with it; a repeated call gets that answer, without work.

    Secrets are not kept: `again` fills them in for a repetition. Raises what `answer_once` and `work` raise; nothing is
    written then.
    """

    async def and_reply(connection: Connection) -> Reply:
        return call.reply(await work(connection))

    return await answer_once(pool, call.team_id, call.request, call.form, and_reply, again=again)
