"""Rows for the checker, read at one moment and checked by `domain/check.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool, snapshot, transaction
from libs.common.db.queries import QueryBook
from libs.common.db.reading import read_rows
from services.points.domain.check import (
    Finding,
    Invariant,
    check_account,
    check_order,
    check_outcome,
)
from services.points.domain.earning import Formula
from services.points.domain.model import Account, Entry
from services.points.domain.retention import OUTCOMES_KEPT
from services.points.domain.views import CheckCounts, CheckScope
from services.points.store import rows

_PAGE: Final = 500
"""Accounts, outcomes or orders held in memory at once by a check."""


class CheckStore:
    """Checks the ledger. Raises the driver's errors."""

    def __init__(self, pool: Pool, queries: QueryBook, clock: Clock) -> None:
        """`queries`: sql/queries/ of this service."""
        self._pool = pool
        self._sql = queries
        self._clock = clock

    async def checked_at(self, team_id: UUID) -> datetime | None:
        """When the last incremental check that found nothing began; None before the first one."""
        async with transaction(self._pool, [team_id]) as connection:
            last: datetime | None = await connection.fetchval(
                *self._sql.bind("read_last_check", team_id=team_id)
            )
        return last

    async def set_checked_at(self, team_id: UUID, began_at: datetime) -> None:
        """An incremental check that began then found nothing; never moves back."""
        async with transaction(self._pool, [team_id]) as connection:
            await connection.execute(
                *self._sql.bind("write_last_check", team_id=team_id, checked_at=began_at)
            )

    async def check(self, scope: CheckScope, counts: CheckCounts) -> AsyncIterator[Finding]:
        """Checks the ledger at one moment and yields what is broken; counts into `counts`."""
        async with snapshot(self._pool, [scope.team_id]) as connection:
            for pages in (
                self._check_accounts,
                self._check_outcomes,
                self._check_orders,
                self._check_claims,
                self._check_imports,
                self._check_installation,
            ):
                async for finding in pages(connection, scope, counts):
                    yield finding

    async def _pages(self, connection: Connection, query: str, **arguments: Any) -> AsyncIterator[list[Any]]:
        cursor = await connection.cursor(*self._sql.bind(query, **arguments))
        while page := await cursor.fetch(_PAGE):
            yield page

    async def _check_accounts(
        self, connection: Connection, scope: CheckScope, counts: CheckCounts
    ) -> AsyncIterator[Finding]:
        async for page in self._pages(
            connection, "check_accounts", **_of(scope), changed_since=scope.changed_since
        ):
            accounts = {row["customer_id"]: rows.account(row) for row in page}
            counts.accounts += len(accounts)
            async for finding in self._check_page(connection, scope, accounts, counts):
                yield finding
        async for page in self._pages(connection, "check_orphan_entries", **_of(scope)):
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
            records = await connection.fetch(
                *self._sql.bind("check_bases", team_id=scope.team_id, customers=customers, moment=scope.start)
            )
            bases = {row["customer_id"]: rows.account(row) for row in records}
        entries: dict[UUID, list[Entry]] = {customer_id: [] for customer_id in customers}
        bounds = {"team_id": scope.team_id, "start_at": scope.start, "end_at": scope.end}
        query = self._sql.bind("check_entries", **bounds, customers=customers)
        for row in await read_rows(connection, *query):
            *fields, has_key = row
            entries[row["customer_id"]].append(rows.entry(fields))
            counts.entries += 1
            counts.outcomes += has_key
        for customer_id, account in accounts.items():
            end = account if scope.end is None else None
            base = bases.get(customer_id, Account())
            for finding in check_account(customer_id, end, base, entries[customer_id]):
                yield finding

    async def _check_outcomes(
        self, connection: Connection, scope: CheckScope, counts: CheckCounts
    ) -> AsyncIterator[Finding]:
        bounds = {**_of(scope), "start_at": scope.start, "end_at": scope.end}
        kept_since = self._clock.now() - OUTCOMES_KEPT + timedelta(days=1)
        async for page in self._pages(connection, "check_outcomes", **bounds):
            counts.outcomes += len(page)
            for row in page:
                for finding in check_outcome(rows.outcome_row(row)):
                    yield finding
        async for page in self._pages(connection, "check_entry_keys", **bounds, kept_since=kept_since):
            for row in page:
                recorded = _fault_of_key(row)
                yield Finding(
                    Invariant.EXACTLY_ONCE, recorded, row["customer_id"], row["sequence"], row["key"]
                )

    async def _check_orders(
        self, connection: Connection, scope: CheckScope, counts: CheckCounts
    ) -> AsyncIterator[Finding]:
        formulas = await connection.fetch(*self._sql.bind("read_formulas", teams=[scope.team_id]))
        formula = Formula(formulas[0]["amount_micros"], formulas[0]["points_micros"]) if formulas else None
        async for page in self._pages(
            connection, "check_orders", **_of(scope), changed_since=scope.changed_since
        ):
            counts.orders += len(page)
            for row in page:
                for finding in check_order(row["order_key"], rows.order(row), rows.order_sums(row), formula):
                    yield finding
        unknown = self._pages(connection, "check_entries_of_unknown_orders", **_of(scope))
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
        async for page in self._pages(connection, "check_claims", **_of(scope)):
            for row in page:
                detail = f"a claim paid {row['points_paid']}, its entry says {row['delta_balance']}"
                place = (row["customer_id"], row["sequence"], row["claim_id"])
                yield Finding(Invariant.CLAIM_CLOSURE, detail, *place)

    async def _check_imports(
        self, connection: Connection, scope: CheckScope, counts: CheckCounts
    ) -> AsyncIterator[Finding]:
        del counts  # rows of imports are not counted apart
        async for page in self._pages(connection, "check_import_rows", **_of(scope)):
            for row in page:
                detail = f"row {row['row_number']} of import {row['import_id']}, status {row['status']}"
                yield Finding(Invariant.IMPORT_CLOSURE, detail, row["customer_id"], row["sequence"])
        async for page in self._pages(connection, "check_import_entries", **_of(scope)):
            for row in page:
                place = (row["customer_id"], row["sequence"], row["key"])
                yield Finding(Invariant.IMPORT_CLOSURE, "an entry of an import without its row", *place)

    async def _check_installation(
        self, connection: Connection, scope: CheckScope, counts: CheckCounts
    ) -> AsyncIterator[Finding]:
        """What concerns no single customer; of a whole ledger only."""
        del counts
        if scope.customer_id is not None or scope.end is not None:
            return
        for row in await connection.fetch(self._sql["check_guards"]):
            detail = f"the trigger {row['trigger_name']} of {row['table_name']} is missing or disabled"
            yield Finding(Invariant.IMMUTABILITY, detail)
        if scope.start is None:
            for row in await connection.fetch(self._sql["check_history"]):
                yield Finding(Invariant.HISTORY_ORDER, f"partition {row['partition']}: {row['detail']}")


def _of(scope: CheckScope) -> dict[str, Any]:
    return {"team_id": scope.team_id, "customer_id": scope.customer_id}


def _fault_of_key(row: Mapping[str, Any]) -> str:
    if row["twice"]:
        return "an entry whose key is recorded without one, too"
    return f"{row['entries']} entries under one key" if row["recorded"] else "an entry without an outcome"
