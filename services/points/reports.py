"""What is read from the ledger in bulk: the history report, the feed for other services, and rows for the checker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.db.history import read_history
from libs.common.db.pool import Connection, Pool, snapshot, transaction
from libs.common.db.queries import QueryBook
from services.points import rows
from services.points.domain.check import (
    Finding,
    Invariant,
    check_account,
    check_order,
    check_outcome,
)
from services.points.domain.earning import Formula
from services.points.domain.model import Account, Entry, Source

_CHECK_PAGE: Final = 500
"""Accounts, outcomes or orders held in memory at once by a check."""


class Search(msgspec.Struct, frozen=True):
    """A search in the history: posted from `start` to `end` (exclusive); no `sources` are all of them."""

    team_id: UUID
    start: datetime
    end: datetime
    sources: tuple[Source, ...] = ()
    customer_id: UUID | None = None


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of the history ended."""

    posted_at: datetime
    customer_id: UUID
    sequence: int


class PlacedEntry(msgspec.Struct, frozen=True):
    """An entry and its place in the feed."""

    partition: int
    position: int
    entry: Entry


class CheckScope(msgspec.Struct, frozen=True):
    """What to check; None is no bound. Bounds are of the posting time, `end` exclusive."""

    team_id: UUID
    customer_id: UUID | None = None
    start: datetime | None = None
    end: datetime | None = None


class CheckCounts(msgspec.Struct):
    """What a check went over, counted as it goes."""

    accounts: int = 0
    entries: int = 0
    outcomes: int = 0
    orders: int = 0


class ReportStore:
    """Reads the ledger. Raises the driver's errors."""

    def __init__(self, pool: Pool, queries: QueryBook) -> None:
        """`queries`: sql/queries.sql of this service."""
        self._pool = pool
        self._sql = queries

    async def entries(self, search: Search, after: Place | None, limit: int) -> list[PlacedEntry]:
        """Up to `limit` entries, newest first, after a place."""
        sources = list(search.sources) or None
        place = (after.posted_at, after.customer_id, after.sequence) if after else (None, None, None)
        arguments: tuple[Any, ...] = (search.team_id, search.start, search.end, sources, *place, limit)
        name = "list_entries"
        if search.customer_id is not None:
            name, arguments = "list_customer_entries", (*arguments, search.customer_id)
        async with transaction(self._pool, [search.team_id]) as connection:
            records = await connection.fetch(self._sql[name], *arguments)
        return [_placed(row) for row in records]

    async def history(
        self, cursors: Mapping[int, int], limit: int
    ) -> tuple[list[PlacedEntry], dict[int, int]]:
        """Up to `limit` entries of all teams after the cursors, and the cursors after them."""
        records, following = await read_history(
            self._pool, self._sql["history_teams"], self._sql["history_rows"], cursors, limit
        )
        return [_placed(row) for row in records], following

    async def check(self, scope: CheckScope, counts: CheckCounts) -> AsyncIterator[Finding]:
        """Checks the ledger at one moment and yields what is broken; counts into `counts`."""
        async with snapshot(self._pool, [scope.team_id]) as connection:
            for pages in (self._check_accounts, self._check_outcomes, self._check_orders, self._check_claims):
                async for finding in pages(connection, scope, counts):
                    yield finding

    async def _pages(self, connection: Connection, query: str, *arguments: Any) -> AsyncIterator[list[Any]]:
        cursor = await connection.cursor(self._sql[query], *arguments)
        while page := await cursor.fetch(_CHECK_PAGE):
            yield page

    async def _check_accounts(
        self, connection: Connection, scope: CheckScope, counts: CheckCounts
    ) -> AsyncIterator[Finding]:
        async for page in self._pages(connection, "check_accounts", scope.team_id, scope.customer_id):
            accounts = {row["customer_id"]: rows.account(row) for row in page}
            counts.accounts += len(accounts)
            async for finding in self._check_page(connection, scope, accounts, counts):
                yield finding
        async for page in self._pages(connection, "check_orphan_entries", scope.team_id, scope.customer_id):
            for row in page:
                yield Finding(
                    Invariant.CONSERVATION, "entries without an account", row["customer_id"], row["sequence"]
                )

    async def _check_page(
        self, connection: Connection, scope: CheckScope, accounts: Mapping[UUID, Account], counts: CheckCounts
    ) -> AsyncIterator[Finding]:
        customers = list(accounts)
        bases: dict[UUID, Account] = {}
        if scope.start is not None:
            records = await connection.fetch(self._sql["check_bases"], scope.team_id, customers, scope.start)
            bases = {row["customer_id"]: rows.account(row) for row in records}
        entries: dict[UUID, list[Entry]] = {customer_id: [] for customer_id in customers}
        for row in await connection.fetch(
            self._sql["check_entries"], scope.team_id, customers, scope.start, scope.end
        ):
            entries[row["customer_id"]].append(rows.entry(row))
            counts.entries += 1
        for customer_id, account in accounts.items():
            end = account if scope.end is None else None
            base = bases.get(customer_id, Account())
            for finding in check_account(customer_id, end, base, entries[customer_id]):
                yield finding

    async def _check_outcomes(
        self, connection: Connection, scope: CheckScope, counts: CheckCounts
    ) -> AsyncIterator[Finding]:
        bounds = (scope.team_id, scope.customer_id, scope.start, scope.end)
        async for page in self._pages(connection, "check_outcomes", *bounds):
            counts.outcomes += len(page)
            for row in page:
                for finding in check_outcome(rows.outcome_row(row)):
                    yield finding
        async for page in self._pages(connection, "check_entry_keys", *bounds):
            for row in page:
                recorded = (
                    f"{row['entries']} entries under one key"
                    if row["recorded"]
                    else "an entry without an outcome"
                )
                yield Finding(
                    Invariant.EXACTLY_ONCE, recorded, row["customer_id"], row["sequence"], row["key"]
                )

    async def _check_orders(
        self, connection: Connection, scope: CheckScope, counts: CheckCounts
    ) -> AsyncIterator[Finding]:
        formulas = await connection.fetch(self._sql["read_formulas"], [scope.team_id])
        formula = Formula(formulas[0]["amount_micros"], formulas[0]["points_micros"]) if formulas else None
        async for page in self._pages(connection, "check_orders", scope.team_id, scope.customer_id):
            counts.orders += len(page)
            for row in page:
                for finding in check_order(row["order_key"], rows.order(row), rows.order_sums(row), formula):
                    yield finding
        unknown = self._pages(connection, "check_entries_of_unknown_orders", scope.team_id, scope.customer_id)
        async for page in unknown:
            for row in page:
                yield Finding(
                    Invariant.ORDER_LAW,
                    "an entry of an order that is not recorded",
                    row["customer_id"],
                    row["sequence"],
                    row["order_key"],
                )

    async def _check_claims(
        self, connection: Connection, scope: CheckScope, counts: CheckCounts
    ) -> AsyncIterator[Finding]:
        del counts  # claims are not counted apart
        async for page in self._pages(connection, "check_claims", scope.team_id, scope.customer_id):
            for row in page:
                detail = f"a claim paid {row['points_paid']}, its entry says {row['delta_balance']}"
                place = (row["customer_id"], row["sequence"], row["claim_id"])
                yield Finding(Invariant.CLAIM_CLOSURE, detail, *place)


def _placed(row: rows.Row) -> PlacedEntry:
    return PlacedEntry(row["partition"], row["position"], rows.entry(row))


def place_after(entries: Sequence[PlacedEntry]) -> Place | None:
    """The place after a page; None if it is empty."""
    if not entries:
        return None
    last = entries[-1].entry
    return Place(last.posted_at, last.customer_id, last.sequence)
