"""What the parts of the servicer share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool
from libs.common.db.requests import Write, answer_once
from libs.common.errors import Aborted
from libs.common.mailbox.intake import Intake
from services.segment.convert.checks import Check
from services.segment.domain.facts import Fact
from services.segment.usecases.judging import Judge
from services.segment.worker.notifier import FactNotifiers
from services.segment.worker.writers import Announcer, Writer

Reply = TypeVar("Reply", bound=Message)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the servicer calls."""

    pool: Pool
    clock: Clock
    writer: Writer
    announcer: Announcer
    intake: Intake
    judge: Judge
    notifiers: FactNotifiers
    draining: asyncio.Event


class Base:
    """Holds the parts, and does writes of people: answered once, told after the commit."""

    def __init__(self, parts: Parts) -> None:
        """One per process."""
        self._parts = parts

    async def _write(
        self,
        scope: UUID,
        request: Write,
        reply: type[Reply],
        work: Callable[[Connection, list[Fact]], Awaitable[Reply]],
        *,
        teams: Iterable[UUID] = (),
    ) -> Reply:
        """Does `work` once per request id; it appends the facts that it wrote to its second argument.

        Raises ResourceExhausted, and leaves nothing behind, if facts would be mail and too much mail waits.
        """
        bound = set(teams)

        async def checked(connection: Connection, facts: list[Fact]) -> Reply:
            answer = await work(connection, facts)
            if any(fact.mail_number is not None for fact in facts):
                self._parts.intake.check()
            return answer

        async def once() -> Reply:
            facts: list[Fact] = []
            answer = await answer_once(
                self._parts.pool,
                scope,
                request,
                reply,
                lambda connection: checked(connection, facts),
                teams=bound,
            )
            self._parts.announcer.committed(facts)
            return answer

        return await self._parts.writer.until_alone("edits", once)


def check_etag(given: str, present: int) -> None:
    """Raises Aborted `ETAG_MISMATCH` when an etag is given and is not the present one."""
    if given and given != str(present):
        raise Aborted.etag_mismatch(str(present))


def read_mask(check: Check, mask: FieldMask, allowed: Iterable[str]) -> list[str]:
    """The fields that change; an empty mask means all that are allowed."""
    known = list(allowed)
    for path in mask.paths:
        if path not in known:
            check.fault("update_mask", f"{path!r} cannot be changed")
    return list(mask.paths) or known
