"""Changes by hand: a client's is written down in the transaction that posts it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from google.protobuf.message import Message

from libs.common.audit import is_audited, note_change, recording
from libs.common.callers import caller
from libs.common.db.audit import note_with
from libs.common.db.pool import Connection
from services.points.domain.model import Account, Posting, PostingAnswer, PostingOutcome, Status
from services.points.worker.posting import AfterPost


class Writer(Protocol):
    """Who posts."""

    async def post(self, postings: Sequence[Posting]) -> list[PostingAnswer]:
        """Posts, in whatever transaction there is room; answers in the order of the postings."""
        ...

    async def post_alone(self, posting: Posting, after_post: AfterPost) -> PostingAnswer:
        """Posts in a transaction of its own, in which `after_post` writes as well."""
        ...


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A change by hand as it was called."""

    posting: Posting
    request: Message = field(repr=False)
    reply: Callable[[PostingAnswer], Message]
    shown: Callable[[Account], Message]
    """The customer's figures, as the audit log keeps them."""


class Adjustments:
    """Posts changes by hand."""

    def __init__(self, writer: Writer) -> None:
        """`writer` posts them."""
        self._writer = writer

    async def adjust(self, wanted: Adjustment) -> PostingAnswer:
        """Posts a change once a key, and answers a repetition as the first call, which alone leaves an entry.

        Raises what the writer raises; nothing is written then.
        """
        if not is_audited(caller()):
            (answer,) = await self._writer.post([wanted.posting])
            return answer
        with recording() as running:
            answer = await self._writer.post_alone(wanted.posting, _noting(wanted))
            running.settled = True
            return answer


def _noting(wanted: Adjustment) -> AfterPost:
    async def note(connection: Connection, answers: Sequence[PostingAnswer]) -> None:
        (answer,) = answers
        if answer.replayed or answer.outcome.status != Status.POSTED:
            return
        note_change(*map(wanted.shown, _figures(answer.outcome)))
        await note_with(connection, wanted.posting.team_id, wanted.request, wanted.reply(answer))

    return note


def _figures(posted: PostingOutcome) -> tuple[Account, Account]:
    """The account before and after a posting that wrote an entry."""
    before = Account(
        posted.balance - posted.delta_balance,
        posted.cumulative - posted.delta_cumulative,
        posted.sequence - 1,
    )
    return before, Account(posted.balance, posted.cumulative, posted.sequence)
