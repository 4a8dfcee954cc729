"""Database rows to domain objects and domain objects to columns, pure. Column order is that of sql/queries.sql."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.points.domain.book import Ref
from services.points.domain.check import EntryFigures, OrderSums, OutcomeRow
from services.points.domain.model import Account, Entry, Order, Outcome, Reason, Source, Status

Row = Mapping[str, Any]
Columns = list[Sequence[Any]]

_ACCOUNT = ("balance", "cumulative", "sequence", "last_at", "last_hash")
_ORDER = ("customer_id", "posted", "earning", "amount_micros", "refunded_micros", "earned", "clawed", "taken")


def account(row: Row) -> Account:
    """An account, from columns balance, cumulative, sequence, last_at, last_hash."""
    return Account(row["balance"], row["cumulative"], row["sequence"], row["last_at"], row["last_hash"])


def order(row: Row) -> Order:
    """An order."""
    return Order(*(row[name] for name in _ORDER))


def outcome(row: Row) -> Outcome:
    """A recorded outcome."""
    return Outcome(
        team_id=row["team_id"],
        key=row["key"],
        fingerprint=row["fingerprint"],
        customer_id=row["customer_id"],
        source=Source(row["source"]),
        status=Status(row["status"]),
        reason=Reason(row["reason"]),
        requested_balance=row["requested_balance"],
        delta_balance=row["delta_balance"],
        delta_cumulative=row["delta_cumulative"],
        shortfall=row["shortfall"],
        balance=row["balance"],
        cumulative=row["cumulative"],
        sequence=row["sequence"],
        recorded_at=row["recorded_at"],
    )


def entry(row: Row) -> Entry:
    """An entry."""
    return Entry(
        team_id=row["team_id"],
        customer_id=row["customer_id"],
        sequence=row["sequence"],
        source=Source(row["source"]),
        source_id=row["source_id"],
        source_name=row["source_name"],
        delta_balance=row["delta_balance"],
        delta_cumulative=row["delta_cumulative"],
        requested_balance=row["requested_balance"],
        requested_cumulative=row["requested_cumulative"],
        balance=row["balance"],
        cumulative=row["cumulative"],
        occurred_at=row["occurred_at"],
        posted_at=row["posted_at"],
        key=row["key"],
        actor=row["actor"],
        order_key=row["order_key"],
        enrolment_id=row["enrolment_id"],
        node_id=row["node_id"],
        note=row["note"],
        hash=row["hash"],
    )


def outcome_row(row: Row) -> OutcomeRow:
    """An outcome beside its entry, from the columns of check_outcomes."""
    figures = None
    if row["entry_key"] is not None:
        figures = EntryFigures(
            row["entry_key"],
            row["entry_source"],
            row["entry_balance"],
            row["entry_cumulative"],
            row["entry_delta_balance"],
            row["entry_delta_cumulative"],
        )
    return OutcomeRow(outcome(row), figures)


def order_sums(row: Row) -> OrderSums:
    """Sums over an order's entries, from the columns of check_orders."""
    return OrderSums(row["entries_earned"], row["entries_asked"], row["entries_taken"])


def ref_columns(refs: Sequence[Ref]) -> Columns:
    """Two columns of ids."""
    return [[ref[0] for ref in refs], [ref[1] for ref in refs]]


def account_columns(accounts: Sequence[tuple[Ref, Account]]) -> Columns:
    """Columns of update_accounts."""
    figures: Columns = [[getattr(state, name) for _, state in accounts] for name in _ACCOUNT]
    return ref_columns([ref for ref, _ in accounts]) + figures


def order_columns(orders: Sequence[tuple[Ref, Order]]) -> Columns:
    """Columns of insert_orders and update_orders."""
    facts: Columns = [[getattr(state, name) for _, state in orders] for name in _ORDER]
    return ref_columns([ref for ref, _ in orders]) + facts


def outcome_columns(outcomes: Sequence[Outcome]) -> Columns:
    """Columns of insert_outcomes: the fields of an outcome in their own order, without the time, the last one."""
    return [[getattr(each, name) for each in outcomes] for name in Outcome.__struct_fields__[:-1]]


def entry_columns(entries: Sequence[Entry], places: Sequence[tuple[int, int]]) -> Columns:
    """Columns of insert_entries: the fields of an entry, with partition and position after the sequence."""
    columns: Columns = [[getattr(each, name) for each in entries] for name in Entry.__struct_fields__]
    columns[3:3] = [[partition for partition, _ in places], [position for _, position in places]]
    return columns
