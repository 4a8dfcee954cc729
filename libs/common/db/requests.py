"""Writes that are answered once: the same request id with the same content gets the first answer again."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

import structlog
from google.protobuf.message import Message

from libs.common.audit import Recording, entry_of, is_audited, recording
from libs.common.callers import caller
from libs.common.db.audit import answer_with_entry
from libs.common.db.book import BOOK
from libs.common.db.faults import PASSING
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.errors import AlreadyExists, DomainError, FieldViolation, InvalidArgument, Unavailable
from libs.common.redaction import redacted
from libs.common.tasks import set_within

REQUEST_ID_LENGTH_MAX: Final = 128
ANSWERS_KEPT_S: Final = 7 * 86_400.0
"""How long, in real seconds, a repeated request gets its first answer; longer than any client goes on trying."""
_FORGET_EVERY_S: Final = 600.0
_FORGET_PAUSE_S: Final = 0.2
_FORGET_ROWS: Final = 5_000

_log = structlog.get_logger(__name__)

Reply = TypeVar("Reply", bound=Message)
Forget = Callable[[int], Awaitable[int]]
"""Forgets at most so many of the oldest rows; how many it were."""


class Write(Protocol):
    """A request of a write: any message with a field `request_id`."""

    request_id: str

    def SerializeToString(self, *, deterministic: bool = ...) -> bytes:  # noqa: N802 - protobuf's name
        """The content."""
        ...


async def answer_once(
    pool: Pool,
    scope: UUID,
    request: Write,
    reply: type[Reply],
    work: Callable[[Connection], Awaitable[Reply]],
    *,
    teams: Iterable[UUID] = (),
    forbidden: DomainError | None = None,
    again: Callable[[Connection, Reply], Awaitable[Reply]] | None = None,
) -> Reply:
    """Does `work` in a transaction and keeps its answer with it; a repeated request gets that answer, without work.

    Request ids are unique within `scope`: the team, or the nil UUID for writes of no team. The transaction is bound to
    `scope` and `teams`. Work that raises leaves nothing behind, so that the id can be used again. Secrets of the answer
    are not kept with it: `again` may fill them in for a repetition, else they are empty there.
    Raises InvalidArgument for a missing or too long id, AlreadyExists `REQUEST_ID_REUSED` for other content; and
    `forbidden`, where something stands against new work: a repetition is answered all the same.
    """
    _check(request.request_id)
    digest = _digest(request)
    with recording() as audit:
        key = {"team_id": scope, "request_id": request.request_id}
        async with transaction(pool, {scope, *teams}) as connection:
            while not await connection.fetchval(*BOOK.bind("claim_request", **key, digest=digest)):
                record = await connection.fetchrow(*BOOK.bind("recall_request", **key))
                if record is not None:
                    audit.settled = True  # by the first call
                    recalled = _recalled(record, request.request_id, digest, reply)
                    return recalled if again is None else await again(connection, recalled)
                # Forgotten between the two: the id is free again.
            if forbidden is not None:
                raise forbidden
            answer = await work(connection)
            await _keep(connection, scope, request, answer, audit)
            return answer


async def answer_after(
    pool: Pool,
    scope: UUID,
    request: Write,
    reply: type[Reply],
    work: Callable[[], Awaitable[Reply]],
) -> Reply:
    """As `answer_once`, for work of many transactions that may be done again: its answer is kept when it is done.

    Raises what `answer_once` raises, and what `work` raises; what that has done stays done, and the id free.
    """
    _check(request.request_id)
    async with transaction(pool, [scope]) as connection:
        query = BOOK.bind("recall_request", team_id=scope, request_id=request.request_id)
        record = await connection.fetchrow(*query)
    if record is not None:
        with recording() as audit:
            audit.settled = True
            return _recalled(record, request.request_id, _digest(request), reply)
    answer = await work()

    async def done(_: Connection) -> Reply:
        return answer

    return await answer_once(pool, scope, request, reply, done)


async def _keep(
    connection: Connection, scope: UUID, request: Write, answer: Message, audit: Recording
) -> None:
    """Keeps an answer without its secrets, and the entry of the audit log that is due."""
    kept = redacted(answer).SerializeToString()
    if isinstance(request, Message) and is_audited(caller()):
        entry = entry_of(request, answer, audit)
        await answer_with_entry(connection, scope, kept, entry)
    else:
        query = BOOK.bind("answer_request", team_id=scope, request_id=request.request_id, answer=kept)
        await connection.execute(*query)
    audit.settled = True


async def forget_answers(pool: Pool, older_than_s: float, row_max: int = _FORGET_ROWS) -> int:
    """Forgets answers older than `older_than_s` real seconds, of all teams; returns how many, at most `row_max`."""
    query = BOOK.bind("forget_requests", older_than_s=older_than_s, row_max=row_max)
    forgotten: int = await pool.fetchval(*query)
    return forgotten


async def keep_forgetting(pool: Pool, stop: asyncio.Event) -> None:
    """Forgets old answers until `stop` is set."""
    await forget_by_batches(lambda row_max: forget_answers(pool, ANSWERS_KEPT_S, row_max), "answers", stop)


async def forget_by_batches(forget: Forget, what: str, stop: asyncio.Event) -> None:
    """Forgets old rows, a little at a time, until `stop` is set. A database or a service that is away is tried again
    later."""
    wait_s = 0.0
    while not await set_within(stop, wait_s):
        try:
            forgotten = await forget(_FORGET_ROWS)
        except (*PASSING, Unavailable) as error:
            _log.warning("old rows were not forgotten", what=what, error=str(error) or type(error).__name__)
            forgotten = 0
        wait_s = _FORGET_PAUSE_S if forgotten == _FORGET_ROWS else _FORGET_EVERY_S


def _recalled(record: Mapping[str, Any], request_id: str, digest: bytes, reply: type[Reply]) -> Reply:
    if record["digest"] != digest:
        raise AlreadyExists.request_id_reused(request_id)
    return reply.FromString(record["answer"])


def _digest(request: Write) -> bytes:
    # The kind of request belongs to it: closing and stopping the same journey are the same bytes.
    kind = f"{type(request).__module__}.{type(request).__qualname__}\n"
    return hashlib.sha256(kind.encode() + request.SerializeToString(deterministic=True)).digest()


def _check(request_id: str) -> None:
    if not request_id:
        raise InvalidArgument.of(FieldViolation("request_id", "is required"))
    if len(request_id) > REQUEST_ID_LENGTH_MAX:
        raise InvalidArgument.of(
            FieldViolation("request_id", f"must have at most {REQUEST_ID_LENGTH_MAX} characters")
        )
