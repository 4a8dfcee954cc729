"""The ledger in PostgreSQL: posting, formulas and figures. Reports, the feed and the checker's rows are in reports.py.

Every writer takes its locks in one order: accounts by team and customer, then orders by team and key, then the heads of
the history by partition. So no two transactions wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from libs.common import crash
from libs.common.clock import Clock
from libs.common.db.history import allocate, count_by_partition
from libs.common.db.pool import Connection, Pool, snapshot, transaction
from libs.common.db.queries import QueryBook
from libs.common.ids import partition_of
from services.points import rows
from services.points.domain.book import Book, Ref, accounts_of
from services.points.domain.decide import order_key_of
from services.points.domain.earning import Formula
from services.points.domain.model import Account, Answer, Entry, Order, Outcome, Posting

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
        """`queries`: sql/queries.sql of this service."""
        self._pool = pool
        self._sql = queries
        self._clock = clock
        self._formulas: dict[UUID, Formula] = {}

    async def post(self, postings: Sequence[Posting], then: Then | None = None) -> Posted:
        """Posts a batch in one transaction: lock, fold, write; `then` writes the caller's own rows with it.

        Raises asyncpg.UniqueViolationError when another transaction recorded one of the keys or orders for another
        customer meanwhile; nothing was written then, and the batch can be posted again.
        """
        refs = accounts_of(postings)
        teams = {posting.team_id for posting in postings}
        while True:
            async with transaction(self._pool, teams) as connection:
                accounts = await self._lock_accounts(connection, refs)
                missing = [ref for ref in refs if ref not in accounts]
                if not missing:
                    posted = await self._post_locked(connection, postings, teams, accounts)
                    if then is not None:
                        await then(connection, posted.answers)
                    return posted
            # New accounts are made in a transaction of their own: made after others are locked, they would break the
            # order of locking. They stay, be the batch posted or not; an account without entries says nothing.
            async with transaction(self._pool, teams) as connection:
                await connection.execute(self._sql["insert_accounts"], *rows.ref_columns(missing))

    async def post_within(self, connection: Connection, postings: Sequence[Posting]) -> Posted:
        """Posts in the transaction of the caller, who holds the locks of all accounts that the postings touch."""
        accounts = await self._lock_accounts(connection, accounts_of(postings))
        return await self._post_locked(
            connection, postings, {posting.team_id for posting in postings}, accounts
        )

    async def lock_account(self, connection: Connection, ref: Ref) -> None:
        """Makes the account if there is none and locks it: the first lock of the caller's transaction."""
        await connection.execute(self._sql["insert_accounts"], *rows.ref_columns([ref]))
        await self._lock_accounts(connection, [ref])

    async def balance_in(self, connection: Connection, team_id: UUID, customer_id: UUID) -> int:
        """A customer's balance as the caller's transaction sees it; 0 without an account."""
        row = await connection.fetchrow(self._sql["read_balances"], [team_id], [customer_id])
        return row["balance"] if row is not None else 0

    async def _post_locked(
        self,
        connection: Connection,
        postings: Sequence[Posting],
        teams: Iterable[UUID],
        accounts: Mapping[Ref, Account],
    ) -> Posted:
        # Keys are looked up after the locks: a repetition that waited for them finds the first one's outcome.
        outcomes = await self._read_outcomes(
            connection, [(posting.team_id, posting.key) for posting in postings]
        )
        orders = await self._lock_orders(connection, postings)
        formulas = await self._read_formulas(connection, teams)
        # So is the time, so that it grows with the sequence of an account.
        book = Book(accounts, orders, formulas, outcomes, self._clock.now())
        answers = book.fold(postings)
        await self._write(connection, book, orders)
        crash.reach("points.before_commit")
        return Posted(answers, len(book.entries))

    async def _lock_accounts(self, connection: Connection, refs: Sequence[Ref]) -> dict[Ref, Account]:
        records = await connection.fetch(self._sql["lock_accounts"], *rows.ref_columns(refs))
        return {(row["team_id"], row["customer_id"]): rows.account(row) for row in records}

    async def _read_outcomes(self, connection: Connection, refs: Sequence[Ref]) -> dict[Ref, Outcome]:
        # Without repetitions: the query joins, and would answer a key as often as it is asked.
        unique = list(dict.fromkeys(refs))
        records = await connection.fetch(self._sql["read_outcomes"], *rows.ref_columns(unique))
        return {(row["team_id"], row["key"]): rows.outcome(row) for row in records}

    async def _lock_orders(self, connection: Connection, postings: Sequence[Posting]) -> dict[Ref, Order]:
        keys = ((posting.team_id, order_key_of(posting)) for posting in postings)
        refs = sorted({(team_id, key) for team_id, key in keys if key is not None})
        if not refs:
            return {}
        records = await connection.fetch(self._sql["lock_orders"], *rows.ref_columns(refs))
        return {(row["team_id"], row["order_key"]): rows.order(row) for row in records}

    async def _read_formulas(self, connection: Connection, teams: Iterable[UUID]) -> Mapping[UUID, Formula]:
        """Formulas of the teams that have one. One that was read once is never read again: it never changes."""
        unknown = [team_id for team_id in teams if team_id not in self._formulas]
        if unknown:
            for row in await connection.fetch(self._sql["read_formulas"], unknown):
                self._formulas[row["team_id"]] = Formula(row["amount_micros"], row["points_micros"])
        return self._formulas

    async def _write(self, connection: Connection, book: Book, known_orders: Mapping[Ref, Order]) -> None:
        if not book.outcomes:
            return
        columns = rows.outcome_columns(book.outcomes)
        await connection.execute(self._sql["insert_outcomes"], *columns, book.outcomes[0].recorded_at)
        fresh = [each for each in book.changed_orders if each[0] not in known_orders]
        changed = [each for each in book.changed_orders if each[0] in known_orders]
        if fresh:
            await connection.execute(self._sql["insert_orders"], *rows.order_columns(fresh))
        if changed:
            await connection.execute(self._sql["update_orders"], *rows.order_columns(changed))
        if not book.entries:
            return
        await connection.execute(self._sql["update_accounts"], *rows.account_columns(book.changed_accounts))
        places = await _allocate_places(connection, book.entries)
        await connection.execute(self._sql["insert_entries"], *rows.entry_columns(book.entries, places))

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
            return (await self._read_outcomes(connection, [ref])).get(ref)

    async def summary(self, team_id: UUID) -> Summary:
        """Sums over a team's ledger, all of one moment."""
        async with snapshot(self._pool, [team_id]) as connection:
            entries = await connection.fetchrow(self._sql["sum_entries"], team_id)
            outcomes = await connection.fetchrow(self._sql["sum_outcomes"], team_id)
            accounts = await connection.fetchval(self._sql["count_accounts"], team_id)
        assert entries is not None
        assert outcomes is not None
        return Summary(**dict(entries), **dict(outcomes), accounts=accounts)


async def _allocate_places(connection: Connection, entries: Sequence[Entry]) -> list[tuple[int, int]]:
    """Partition and position of each entry, numbered in the order of the fold; locks the heads until the commit."""
    partitions = [partition_of(entry.team_id, entry.customer_id) for entry in entries]
    following = await allocate(connection, count_by_partition(partitions))
    places = []
    for partition in partitions:
        places.append((partition, following[partition]))
        following[partition] += 1
    return places
