"""Posting: what a batch is decided on is read, the batch is folded over it, and what is new is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.common.audit import note_before
from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool, connection_of, transaction
from libs.common.db.requests import Reply, Write, answer_once
from services.points.clients.modules import PointsModule
from services.points.domain.adds import Add
from services.points.domain.book import Book, accounts_of
from services.points.domain.earning import Formula
from services.points.domain.errors import LedgerChangedError, formula_already_set
from services.points.domain.model import AccountKey, Posted, Posting, PostingAnswer
from services.points.domain.views import FormulaSetting
from services.points.store.ledger import LedgerStore
from services.points.worker.posting import AfterPost

_ADDS_APART_MIN: Final = 32
"""A batch that holds others, too, is parted if it has so many plain adds: a transaction costs what they save."""


class Ledger:
    """Posts batches and sets formulas. Posting the same batch again is always safe.

    Raises the driver's errors, and LedgerChangedError when what a batch was decided on has changed or one of its keys
    was recorded meanwhile: nothing was written then, and the batch can be posted again.
    """

    def __init__(self, pool: Pool, store: LedgerStore, clock: Clock, modules: PointsModule) -> None:
        """`clock`: domain time of entries and outcomes; `modules` says which teams have the module POINTS."""
        self._pool = pool
        self._store = store
        self._clock = clock
        self._modules = modules

    async def post(self, postings: Sequence[Posting], *, pessimistic: bool = False) -> Posted:
        """Posts a batch, or a part of it if it raises.

        Plain adds are posted by one statement. Others, and those that something stands against, are decided on what was
        read without locks, and written by a statement that holds only if that is still so. `pessimistic`: all in one
        transaction whose accounts are locked before they are read, for a batch that others stood in the way of.
        """
        if pessimistic:
            return await self.post_with(postings, _nothing_else)
        without_module = await self._without_module(postings)
        now = self._clock.now()
        parts = self._store.parted(postings, now, without_module)
        if len(parts.adds) < len(postings) and len(parts.adds) < _ADDS_APART_MIN:
            async with connection_of(self._pool) as connection:
                return await self._decide(connection, postings, without_module)
        async with connection_of(self._pool) as connection:
            given = await self._add(connection, parts.adds, now)
            if not parts.others:
                return given
            decided = await self._decide(connection, parts.others, without_module)
        answers = dict(zip(parts.add_places, given.answers, strict=True))
        answers.update(zip(parts.other_places, decided.answers, strict=True))
        return Posted([answers[place] for place in range(len(postings))], given.entries + decided.entries)

    async def _add(self, connection: Connection, adds: Sequence[Add], now: datetime) -> Posted:
        """Posts plain adds, decided upon if they turn out to be none."""
        try:
            outcomes = await self._store.post_adds(connection, adds, now)
        except LedgerChangedError:
            return await self._decide(connection, [add.posting for add in adds])
        return Posted([PostingAnswer(outcome, replayed=False) for outcome in outcomes], len(outcomes))

    async def _decide(
        self, connection: Connection, postings: Sequence[Posting], without_module: Collection[UUID] = ()
    ) -> Posted:
        teams = list({posting.team_id for posting in postings})
        return await self._post(connection, postings, teams, without_module)

    async def _without_module(self, postings: Sequence[Posting]) -> Collection[UUID]:
        return await self._modules.lacking({posting.team_id for posting in postings})

    async def post_with(self, postings: Sequence[Posting], after_post: AfterPost) -> Posted:
        """Posts a batch and lets `after_post` write with it, all in one transaction whose accounts are locked first."""
        without_module = await self._without_module(postings)
        async with transaction(self._pool, {posting.team_id for posting in postings}) as connection:
            await self._store.lock_accounts(connection, accounts_of(postings))
            posted = await self._post(connection, postings, None, without_module)
            await after_post(connection, posted.answers)
            return posted

    async def post_in_transaction(self, connection: Connection, postings: Sequence[Posting]) -> Posted:
        """Posts in the transaction of the caller, who holds the locks of all accounts that the postings touch, and
        knows that the team has the module POINTS."""
        return await self._post(connection, postings, None)

    async def lock_account(self, connection: Connection, key: AccountKey) -> None:
        """Makes the account if there is none and locks it: the first lock of the caller's transaction."""
        await self._store.lock_accounts(connection, [key])

    async def balance_in(self, connection: Connection, key: AccountKey) -> int:
        """A customer's balance as the caller's transaction sees it; 0 without an account."""
        return (await self._store.balances_in(connection, [key]))[key].balance

    async def _post(
        self,
        connection: Connection,
        postings: Sequence[Posting],
        teams: Collection[UUID] | None,
        without_module: Collection[UUID] = (),
    ) -> Posted:
        """`teams`: those to bind to in a transaction of each statement's own; None in a transaction of the caller's."""
        loaded = await self._store.load(connection, postings, teams)
        # The time is taken after reading, so that it grows with the sequence of an account.
        now = self._clock.now()
        found = loaded.accounts, loaded.orders, loaded.formulas, loaded.outcomes
        book = Book(*found, now, without_module=without_module)
        answers = book.fold(postings)
        await self._store.write(connection, book, loaded, teams)
        return Posted(answers, len(book.entries))

    async def set_formula(
        self,
        request: Write,
        team_id: UUID,
        formula: Formula,
        reply: type[Reply],
        answer: Callable[[FormulaSetting], Reply],
    ) -> Reply:
        """Sets the formula, once. A repeated request gets the first answer, see `answer_once`.

        `reply` is the message of the answer, `answer` makes it of what is set.
        Raises FailedPrecondition `FORMULA_ALREADY_SET` when another one is set, and `MODULE_MISSING`.
        """
        forbidden = await self._modules.refusal(team_id)

        async def put(connection: Connection) -> Reply:
            was = await self._store.formula_in(connection, team_id)
            if was is not None:
                note_before(answer(was))
            present = await self._store.set_formula(connection, team_id, formula, self._clock.now())
            if present.formula != formula:
                raise formula_already_set(present.formula)
            return answer(present)

        return await answer_once(self._pool, team_id, request, reply, put, forbidden=forbidden)


async def _nothing_else(connection: Connection, answers: Sequence[PostingAnswer]) -> None:
    """Posting alone."""
