"""Database rows to domain objects and domain objects to columns, pure. Column order is that of sql/queries/."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from msgspec.structs import astuple

from libs.common.ids import partition_of
from services.points.domain.book import Book
from services.points.domain.check import EntryFigures, OrderSums, OutcomeRow
from services.points.domain.earning import Formula
from services.points.domain.model import (
    Account,
    AccountKey,
    Entry,
    Order,
    OrderKey,
    PostingKey,
    PostingOutcome,
    Reason,
    Source,
    Status,
)

Row = Mapping[str, Any]
Columns = list[Sequence[Any] | None]

_ORDER = ("customer_id", "posted", "earning", "amount_micros", "refunded_micros", "earned", "clawed", "taken")
_SOURCES = {source.value: source for source in Source}
_TOLD = (
    *("team_id", "key", "fingerprint", "customer_id", "source", "status", "reason", "requested_balance"),
    *("shortfall", "balance", "cumulative", "sequence"),
)
_ACCOUNT_KIND, _OUTCOME_KIND, _ORDER_KIND = 1, 2, 3


class LoadedBatch(NamedTuple):
    """What a batch is decided on."""

    accounts: dict[AccountKey, Account]
    orders: dict[OrderKey, Order]
    formulas: dict[UUID, Formula]
    outcomes: dict[PostingKey, PostingOutcome]


def account(row: Row) -> Account:
    """An account, from columns balance, cumulative, sequence, last_at, last_hash."""
    return Account(row["balance"], row["cumulative"], row["sequence"], row["last_at"], row["last_hash"])


def order(row: Row) -> Order:
    """An order."""
    return Order(*(row[name] for name in _ORDER))


def outcome(row: Row) -> PostingOutcome:
    """A recorded outcome."""
    fields = {name: row[name] for name in PostingOutcome.__struct_fields__}
    kinds = {
        "source": _SOURCES[row["source"]],
        "status": Status(row["status"]),
        "reason": Reason(row["reason"]),
    }
    return PostingOutcome(**{**fields, **kinds})


def entry(row: Iterable[Any]) -> Entry:
    """An entry, from all columns of the table in their order."""
    team_id, customer_id, sequence, _, _, source, *others = row
    return Entry(team_id, customer_id, sequence, _SOURCES[source], *others)


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


def loaded_batch(records: Iterable[Any]) -> LoadedBatch:
    """What load_batch returned."""
    found = LoadedBatch({}, {}, {}, {})
    for kind, team, key, customer, balance, cumulative, sequence, at, digest, others in map(tuple, records):
        if kind == _ACCOUNT_KIND:
            found.accounts[AccountKey((team, key))] = Account(balance, cumulative, sequence, at, digest)
        elif kind == _OUTCOME_KIND:
            source, status, reason, *changes = others
            kinds = (_SOURCES[source], Status(status), Reason(reason))
            fields = (team, key, digest, customer, *kinds, *changes, balance, cumulative, sequence, at)
            found.outcomes[PostingKey((team, key))] = PostingOutcome(*fields)
        elif kind == _ORDER_KIND:
            posted, earning, *figures = others
            found.orders[OrderKey((team, key))] = Order(customer, bool(posted), bool(earning), *figures)
        else:
            found.formulas[team] = Formula(*others)
    return found


def key_columns(keys: Sequence[tuple[UUID, UUID]]) -> Columns:
    """Two columns of ids."""
    return [[key[0] for key in keys], [key[1] for key in keys]]


def short_key_columns(keys: Sequence[tuple[UUID, UUID]]) -> Columns:
    """The same for functions that fill columns up: one team is enough where all are of it."""
    teams, ids = key_columns(keys)
    return [_short(teams), ids or None]


def batch_columns(book: Book, known_orders: Mapping[OrderKey, Order]) -> Columns:
    """Parameters of write_batch from the third on: all that is new in a folded book."""
    posted = [each for each in book.outcomes if each.status == Status.POSTED]
    return [
        *_entry_columns(book.entries),
        book.first_sequences,
        *_mark_columns(posted),
        *_told_columns([each for each in book.outcomes if each.status != Status.POSTED]),
        *_order_columns(book.changed_orders, known_orders),
    ]


def _entry_columns(entries: Sequence[Entry]) -> Columns:
    if not entries:
        return [None] * 22
    columns = list(zip(*map(astuple, entries), strict=True))
    teams, customers, sequences, sources, source_ids, source_names, *figures = columns[:12]
    balance_deltas, cumulative_deltas, requests, cumulative_requests, balances, cumulatives = figures
    occurred, posted, keys, actors, orders, enrolments, nodes, notes, hashes = columns[12:]
    return [
        *(_short(teams), customers, sequences, list(map(partition_of, teams, customers))),
        *(_short(sources), _short(source_ids), _short(source_names)),
        *(balance_deltas, cumulative_deltas),
        *(_other(requests, balance_deltas), _other(cumulative_requests, cumulative_deltas)),
        *(balances, cumulatives, _short(occurred), _short(posted), keys, _short(actors)),
        *(_sparse(orders), _sparse(enrolments), _short(nodes), _short(notes), hashes),
    ]


def _mark_columns(posted: Sequence[PostingOutcome]) -> Columns:
    """Of each entry's outcome the fingerprint, the reason and the shortfall. A merge is one outcome of two entries."""
    marks: list[tuple[bytes | None, int, int]] = []
    for outcome in posted:
        marks.append((outcome.fingerprint, outcome.reason, outcome.shortfall))
        if outcome.source == Source.MERGE:
            marks.append((None, 0, 0))
    fingerprints, reasons, shortfalls = _columns(marks, 3)
    return [fingerprints, _short(reasons), _short(shortfalls)]


def _told_columns(outcomes: Sequence[PostingOutcome]) -> Columns:
    teams, *others = _columns([[getattr(each, name) for name in _TOLD] for each in outcomes], len(_TOLD))
    return [_short(teams), *others]


def _order_columns(
    orders: Sequence[tuple[OrderKey, Order]], known_orders: Mapping[OrderKey, Order]
) -> Columns:
    before = [known_orders.get(key) for key, _ in orders]
    return [
        *short_key_columns([key for key, _ in orders]),
        *_columns([astuple(order) for _, order in orders], len(_ORDER)),
        _sparse([order and order.posted for order in before]),
        _sparse([order and order.refunded_micros for order in before]),
    ]


def _columns(rows: Sequence[Sequence[Any]], width: int) -> Columns:
    return list(zip(*rows, strict=True)) if rows else [None] * width


def _short(column: Sequence[Any] | None) -> Sequence[Any] | None:
    """One element of a column that says the same in every row."""
    if not column:
        return None
    return column[:1] if column.count(column[0]) == len(column) else column


def _sparse(column: Sequence[Any]) -> Sequence[Any] | None:
    """Nothing of a column of nulls."""
    return None if column.count(None) == len(column) else column


def _other(column: Sequence[Any], usual: Sequence[Any]) -> Sequence[Any] | None:
    """Only what differs from another column."""
    if column == usual:
        return None
    return [None if each == other else each for each, other in zip(column, usual, strict=True)]
