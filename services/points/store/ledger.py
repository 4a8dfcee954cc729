"""The ledger in PostgreSQL: posting, formulas and figures. Reports, the feed and the checker's rows are in reports.py.

Every writer takes its locks in one order: accounts by team and customer, then orders and outcomes by team and key, then
the heads of the history by partition. So no two transactions wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from libs.common import crash
from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool, connection_of, snapshot, transaction
from libs.common.db.queries import QueryBook
from services.points.domain.book import Book, Ref, accounts_of
from services.points.domain.decide import needs_formula, order_key_of
from services.points.domain.earning import Formula
from services.points.domain.model import Account, Answer, Outcome, Posting
from services.points.store import rows

_NO_ACCOUNT = Account()


Then = Callable[[Connection, Sequence[Answer]], Awaitable[None]]


class Posted(msgspec.Struct, frozen=True):
    """Answers in the order of the postings, and the number of entries written."""

    answers: list[Answer]
    entries: int


class SetFormula(msgspec.Struct, frozen=True):
    """A team's formula as it is set."""

    formula: Formula
    created_at: datetime


class Summary(msgspec.Struct, frozen=True):
    """Sums over a team's ledger; see the contract's LedgerSummary for each."""

    entries: int
    earned: int
    refunded: int
    refund_shortfall: int
    journey_added: int
    journey_deducted: int
    redeemed: int
    imported: int
    manual: int
    balance: int
    cumulative: int
    accounts: int
    rejected: int
    skipped: int


class LedgerStore:
    """Posts batches and reads figures. Raises the driver's errors; posting the same batch again is always safe."""

    def __init__(self, pool: Pool, queries: QueryBook, clock: Clock) -> None:
        """`queries`: sql/queries/ of this service."""
        self._pool = pool
        self._sql = queries
        self._clock = clock
        self._formulas: dict[UUID, Formula] = {}

    async def post(
        self, postings: Sequence[Posting], then: Then | None = None, *, locking: bool = False
    ) -> Posted:
        """Posts a batch in one transaction; `then` writes the caller's own rows with it.

        The batch is decided on what was read without locks, and written by one statement that holds only if that is
        still so. `locking`, and with `then`, accounts are locked first: for a batch that others stood in the way of.

        Raises asyncpg.SerializationError when what was read has changed and asyncpg.UniqueViolationError when a key
        was recorded meanwhile; nothing was written then, and the batch can be posted again.
        """
        teams = {posting.team_id for posting in postings}
        if not locking and then is None:
            async with connection_of(self._pool) as connection:
                return await self._post(connection, postings, list(teams))
        async with transaction(self._pool, teams) as connection:
            await self._lock_accounts(connection, accounts_of(postings))
            posted = await self._post(connection, postings, None)
            if then is not None:
                await then(connection, posted.answers)
            return posted

    async def post_within(self, connection: Connection, postings: Sequence[Posting]) -> Posted:
        """Posts in the transaction of the caller, who holds the locks of all accounts that the postings touch."""
        return await self._post(connection, postings, None)

    async def lock_account(self, connection: Connection, ref: Ref) -> None:
        """Makes the account if there is none and locks it: the first lock of the caller's transaction."""
        await self._lock_accounts(connection, [ref])

    async def balance_in(self, connection: Connection, team_id: UUID, customer_id: UUID) -> int:
        """A customer's balance as the caller's transaction sees it; 0 without an account."""
        row = await connection.fetchrow(self._sql["read_balances"], [team_id], [customer_id])
        return row["balance"] if row is not None else 0

    async def _lock_accounts(self, connection: Connection, refs: Sequence[Ref]) -> None:
        await connection.execute(self._sql["lock_accounts"], *rows.short_ref_columns(refs))

    async def _post(
        self, connection: Connection, postings: Sequence[Posting], teams: list[UUID] | None
    ) -> Posted:
        """Reads, folds, writes. `teams`: those to bind to in a transaction of each statement's own, else None."""
        known = await self._load(connection, postings, teams)
        # The time is taken after reading, so that it grows with the sequence of an account.
        book = Book(known.accounts, known.orders, self._formulas, known.outcomes, self._clock.now())
        answers = book.fold(postings)
        if book.outcomes:
            columns = rows.batch_columns(book, known.orders)
            crash.reach("points.before_commit")
            await connection.execute(self._sql["write_batch"], teams, book.outcomes[0].recorded_at, *columns)
        return Posted(answers, len(book.entries))

    async def _load(
        self, connection: Connection, postings: Sequence[Posting], teams: list[UUID] | None
    ) -> rows.Known:
        # Without repetitions: the query joins, and would answer a key as often as it is asked.
        keys = list(dict.fromkeys((posting.team_id, posting.key) for posting in postings))
        orders = list(dict.fromkeys(_orders_of(postings)))
        # A formula that was read once is never read again: it never changes.
        unknown = {posting.team_id for posting in postings if needs_formula(posting)} - self._formulas.keys()
        records = await connection.fetch(
            self._sql["load_batch"],
            teams,
            *rows.short_ref_columns(accounts_of(postings)),
            *rows.short_ref_columns(keys),
            *rows.short_ref_columns(orders),
            list(unknown) or None,
        )
        known = rows.known(records)
        self._formulas.update(known.formulas)
        return known

    async def set_formula(self, team_id: UUID, formula: Formula) -> SetFormula:
        """Sets the team's formula unless one is set; returns the one that is set now, be it another."""
        arguments = (team_id, formula.amount_micros, formula.points_micros, self._clock.now())
        async with transaction(self._pool, [team_id]) as connection:
            await connection.execute(self._sql["insert_formula"], *arguments)
        present = await self.formula(team_id)
        assert present is not None, "a formula is never deleted"
        return present

    async def formula(self, team_id: UUID) -> SetFormula | None:
        """The team's formula, None if none is set."""
        async with transaction(self._pool, [team_id]) as connection:
            row = await connection.fetchrow(self._sql["read_formulas"], [team_id])
        if row is None:
            return None
        return SetFormula(Formula(row["amount_micros"], row["points_micros"]), row["created_at"])

    async def balances(self, refs: Sequence[Ref]) -> list[Account]:
        """Figures of customers, in the order of `refs`; zeros for one without an account."""
        unique = list(dict.fromkeys(refs))
        async with transaction(self._pool, {team_id for team_id, _ in unique}) as connection:
            records = await connection.fetch(self._sql["read_balances"], *rows.ref_columns(unique))
        found = {
            (row["team_id"], row["customer_id"]): Account(row["balance"], row["cumulative"], row["sequence"])
            for row in records
        }
        return [found.get(ref, _NO_ACCOUNT) for ref in refs]

    async def balance_at(self, ref: Ref, at: datetime) -> Account:
        """Figures of a customer at a past moment; zeros before the first entry."""
        async with transaction(self._pool, [ref[0]]) as connection:
            row = await connection.fetchrow(self._sql["read_balance_at"], *ref, at)
        return _NO_ACCOUNT if row is None else Account(row["balance"], row["cumulative"], row["sequence"])

    async def outcome(self, ref: Ref) -> Outcome | None:
        """What is recorded under a key of a team; None if nothing."""
        async with transaction(self._pool, [ref[0]]) as connection:
            row = await connection.fetchrow(self._sql["read_outcome"], *ref)
        return None if row is None else rows.outcome(row)

    async def summary(self, team_id: UUID) -> Summary:
        """Sums over a team's ledger, all of one moment."""
        async with snapshot(self._pool, [team_id]) as connection:
            entries = await connection.fetchrow(self._sql["sum_entries"], team_id)
            outcomes = await connection.fetchrow(self._sql["sum_outcomes"], team_id)
            accounts = await connection.fetchval(self._sql["count_accounts"], team_id)
        assert entries is not None
        assert outcomes is not None
        return Summary(**dict(entries), **dict(outcomes), accounts=accounts)


def _orders_of(postings: Iterable[Posting]) -> Iterator[Ref]:
    for posting in postings:
        key = order_key_of(posting)
        if key is not None:
            yield posting.team_id, key
