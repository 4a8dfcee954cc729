"""The ledger in PostgreSQL: what batches are decided on, what they write, formulas and figures.

Every writer takes its locks in one order: accounts by team and customer, then orders and outcomes by team and key, then
the heads of the history by partition. So no two transactions wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from libs.common import crash
from libs.common.db.pool import Connection, Pool, snapshot, transaction
from libs.common.db.queries import QueryBook
from libs.common.ids import partition_of
from services.points.domain.adds import Add, Parts, parted
from services.points.domain.book import Book, accounts_of
from services.points.domain.decide import needs_formula, order_key_of
from services.points.domain.earning import Formula
from services.points.domain.identity import fingerprint
from services.points.domain.model import (
    FIGURE_MAX,
    Account,
    AccountKey,
    OrderKey,
    Posting,
    PostingKey,
    PostingOutcome,
)
from services.points.domain.views import FormulaSetting, LedgerSums
from services.points.store import rows
from services.points.store.errors import ledger_errors

_NO_ACCOUNT = Account()


class LedgerStore:
    """Loads and writes batches, and reads figures. Raises the driver's errors.

    Methods that take a connection work in the transaction of their caller.
    """

    def __init__(self, pool: Pool, queries: QueryBook) -> None:
        """`queries`: sql/queries/ of this service."""
        self._pool = pool
        self._sql = queries
        self._formulas: dict[UUID, Formula] = {}

    async def lock_accounts(self, connection: Connection, keys: Sequence[AccountKey]) -> None:
        """Makes the accounts that are missing and locks all: the first locks of the caller's transaction."""
        await connection.execute(self._sql["lock_accounts"], *rows.short_key_columns(keys))

    async def load(
        self, connection: Connection, postings: Sequence[Posting], teams: Collection[UUID] | None
    ) -> rows.LoadedBatch:
        """What a batch is decided on, as of one moment. `teams`: those to bind to; None in a transaction, which is."""
        # Without repetitions: the query joins, and would answer a key as often as it is asked.
        keys = list(dict.fromkeys(PostingKey((posting.team_id, posting.key)) for posting in postings))
        orders = list(dict.fromkeys(_orders_of(postings)))
        # A formula that was read once is never read again: it never changes.
        unknown = {posting.team_id for posting in postings if needs_formula(posting)} - self._formulas.keys()
        account_teams, customers = rows.short_key_columns(accounts_of(postings))
        key_teams, key_ids = rows.short_key_columns(keys)
        order_teams, order_keys = rows.short_key_columns(orders)
        query = self._sql.bind(
            "load_batch",
            teams=teams,
            account_teams=account_teams,
            customers=customers,
            key_teams=key_teams,
            keys=key_ids,
            order_teams=order_teams,
            order_keys=order_keys,
            formula_teams=list(unknown) or None,
        )
        records = await connection.fetch(*query)
        loaded = rows.loaded_batch(records)
        self._formulas.update(loaded.formulas)
        return loaded._replace(formulas=self._formulas)

    async def write(
        self,
        connection: Connection,
        book: Book,
        loaded: rows.LoadedBatch,
        teams: Collection[UUID] | None,
    ) -> None:
        """Writes what is new in a folded book, if what was loaded for it still holds. `teams` as of `load`.

        Raises LedgerChangedError if it does not, or if a key was recorded meanwhile; nothing is written then.
        """
        if not book.outcomes:
            return
        batch = rows.batch_rows(book, loaded.orders)
        query = self._sql.bind("write_batch", teams=teams, recorded_at=book.now, **batch._asdict())
        crash.reach("points.before_commit")
        with ledger_errors():
            await connection.execute(*query)

    def parted(
        self, postings: Sequence[Posting], now: datetime, without_module: Collection[UUID] = ()
    ) -> Parts:
        """See `domain/adds.py`; by the formulas that were read so far."""
        return parted(postings, self._formulas, now, without_module)

    async def post_adds(
        self, connection: Connection, adds: Sequence[Add], now: datetime
    ) -> list[PostingOutcome]:
        """Writes plain adds in a transaction of one statement, on the figures that it finds.

        Raises LedgerChangedError when an account changed meanwhile, or a key, an order or a figure stands against it;
        nothing is written then, and the postings have to be decided upon.
        """
        contents = [fingerprint(add.posting) for add in adds]
        partitions = [partition_of(add.posting.team_id, add.posting.customer_id) for add in adds]
        written = list(map(rows.add_row, adds, contents))
        teams = list({add.posting.team_id for add in adds})
        common = {"teams": teams, "recorded_at": now, "figure_max": FIGURE_MAX}
        if len(adds) == 1:
            query = self._sql.bind("post_add", **common, partition=partitions[0], posted=written[0])
        else:
            query = self._sql.bind("post_adds", **common, partitions=partitions, adds=written)
        crash.reach("points.before_commit")
        with ledger_errors():
            found = await connection.fetchrow(*query)
        assert found is not None
        figures = zip(*found, strict=True) if len(adds) > 1 else (tuple(found),)
        return [
            rows.added_outcome(add, content, after, now)
            for add, content, after in zip(adds, contents, figures, strict=True)
        ]

    async def set_formula(
        self, connection: Connection, team_id: UUID, formula: Formula, now: datetime
    ) -> FormulaSetting:
        """Sets the team's formula unless one is set; returns the one that is set now, be it another."""
        query = self._sql.bind(
            "insert_formula", team_id=team_id, **msgspec.structs.asdict(formula), created_at=now
        )
        await connection.execute(*query)
        present = await self.formula_in(connection, team_id)
        assert present is not None, "a formula is never deleted"
        return present

    async def formula(self, team_id: UUID) -> FormulaSetting | None:
        """The team's formula, None if none is set."""
        async with transaction(self._pool, [team_id]) as connection:
            return await self.formula_in(connection, team_id)

    async def formula_in(self, connection: Connection, team_id: UUID) -> FormulaSetting | None:
        """The same, as the caller's transaction sees it."""
        row = await connection.fetchrow(*self._sql.bind("read_formulas", teams=[team_id]))
        if row is None:
            return None
        return FormulaSetting(Formula(row["amount_micros"], row["points_micros"]), row["created_at"])

    async def balances(self, keys: Sequence[AccountKey]) -> list[Account]:
        """Figures of customers, in the order of `keys`; zeros for one without an account."""
        unique = list(dict.fromkeys(keys))
        async with transaction(self._pool, {team_id for team_id, _ in unique}) as connection:
            found = await self.balances_in(connection, unique)
        return [found[key] for key in keys]

    async def balances_in(
        self, connection: Connection, keys: Sequence[AccountKey]
    ) -> dict[AccountKey, Account]:
        """The same, as the caller's transaction sees them: balance, cumulative and sequence."""
        records = await connection.fetch(self._sql["read_balances"], *rows.key_columns(keys))
        found = dict.fromkeys(keys, _NO_ACCOUNT)
        for row in records:
            key = AccountKey((row["team_id"], row["customer_id"]))
            found[key] = Account(row["balance"], row["cumulative"], row["sequence"])
        return found

    async def balance_at(self, key: AccountKey, at: datetime) -> Account:
        """Figures of a customer at a past moment; zeros before the first entry."""
        query = self._sql.bind("read_balance_at", team_id=key[0], customer_id=key[1], moment=at)
        async with transaction(self._pool, [key[0]]) as connection:
            row = await connection.fetchrow(*query)
        return _NO_ACCOUNT if row is None else Account(row["balance"], row["cumulative"], row["sequence"])

    async def outcome(self, key: PostingKey) -> PostingOutcome | None:
        """What is recorded under a key of a team; None if nothing."""
        async with transaction(self._pool, [key[0]]) as connection:
            row = await connection.fetchrow(*self._sql.bind("read_outcome", team_id=key[0], key=key[1]))
        return None if row is None else rows.outcome(row)

    async def sums(self, team_id: UUID) -> LedgerSums:
        """Sums over a team's ledger, all of one moment."""
        async with snapshot(self._pool, [team_id]) as connection:
            entries = await connection.fetchrow(*self._sql.bind("sum_entries", team_id=team_id))
            outcomes = await connection.fetchrow(*self._sql.bind("sum_outcomes", team_id=team_id))
            accounts = await connection.fetchval(*self._sql.bind("count_accounts", team_id=team_id))
        assert entries is not None
        assert outcomes is not None
        return LedgerSums(**dict(entries), **dict(outcomes), accounts=accounts)


def _orders_of(postings: Iterable[Posting]) -> Iterator[OrderKey]:
    for posting in postings:
        key = order_key_of(posting)
        if key is not None:
            yield OrderKey((posting.team_id, key))
