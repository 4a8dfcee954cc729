"""Writes that people ask for: each answered once, done again when it collides, published after its commit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from google.protobuf.message import Message

from libs.common.audit import note_before
from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool
from libs.common.db.requests import Write, answer_once
from libs.common.mailbox.intake import Intake
from services.segment.domain.facts import Fact
from services.segment.worker.writers import FactPublisher, Writer

Result = TypeVar("Result")
Reply = TypeVar("Reply", bound=Message)

Work = Callable[[Connection, list[Fact]], Awaitable[Result]]
"""What one transaction does; it appends the facts that it wrote to its second argument."""


@dataclass(frozen=True, slots=True)
class Once(Generic[Result, Reply]):
    """A request whose first answer is kept and given again when the request comes again."""

    scope: UUID
    """The team; the nil UUID for writes of no team. Request ids are unique within it."""
    request: Write
    reply: type[Reply]
    written: Callable[[Result], Reply]
    """The answer as the contract writes it."""
    shown: Callable[[Any], Message] | None = None
    """Shows the resource where the answer does not: what the audit log keeps of one that goes."""

    def note_before(self, resource: Any) -> None:
        """Says how the resource was that the write is about to change."""
        note_before((self.shown or self.written)(resource))


class Edits:
    """Does writes. Raises Aborted `WRITE_CONFLICT` for one that collides again and again."""

    def __init__(
        self, pool: Pool, clock: Clock, writer: Writer, publisher: FactPublisher, intake: Intake
    ) -> None:
        """One per process."""
        self._pool = pool
        self._clock = clock
        self._writer = writer
        self._publisher = publisher
        self._intake = intake

    def now(self) -> datetime:
        """Domain time."""
        return self._clock.now()

    async def once(
        self, once: Once[Result, Reply], work: Work[Result], *, teams: Iterable[UUID] = ()
    ) -> Reply:
        """Does `work` once per request id, bound to the scope and `teams`.

        Raises ResourceExhausted, and leaves nothing behind, if facts would be mail and too much mail waits; and what
        `answer_once` raises.
        """
        bound = set(teams)

        async def attempt() -> Reply:
            facts: list[Fact] = []

            async def checked(connection: Connection) -> Reply:
                reply = once.written(await work(connection, facts))
                if any(fact.mail_number is not None for fact in facts):
                    self._intake.check()
                return reply

            reply = await answer_once(self._pool, once.scope, once.request, once.reply, checked, teams=bound)
            self._publisher.publish(facts)
            return reply

        return await self._writer.until_alone("edits", attempt)
