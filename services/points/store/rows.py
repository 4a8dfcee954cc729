"""Database rows to domain objects and domain objects to rows, pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from msgspec.structs import astuple

from libs.common.ids import partition_of
from services.points.domain.adds import Add
from services.points.domain.book import Book, naming_of, note_of
from services.points.domain.check import EntryFigures, OrderSums, OutcomeRow
from services.points.domain.decide import source_of
from services.points.domain.earning import Formula
from services.points.domain.identity import after_times, before_figures
from services.points.domain.model import (
    Account,
    AccountKey,
    Earn,
    Entry,
    JourneyChange,
    Order,
    OrderKey,
    PostingKey,
    PostingOutcome,
    Reason,
    Source,
    Status,
)

Row = Mapping[str, Any]

_ORDER = ("customer_id", "posted", "earning", "amount_micros", "refunded_micros", "earned", "clawed", "taken")
_SOURCES = {source.value: source for source in Source}
_ENTRYLESS = (
    *("team_id", "key", "fingerprint", "customer_id", "source", "status", "reason", "requested_balance"),
    *("shortfall", "balance", "cumulative", "sequence"),
)


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
    """What load_batch_v2 returned: of its four columns each record has one."""
    loaded = LoadedBatch({}, {}, {}, {})
    for found_account, found_outcome, found_order, found_formula in records:
        if found_account is not None:
            account_key = AccountKey((found_account["team_id"], found_account["customer_id"]))
            loaded.accounts[account_key] = account(found_account)
        elif found_outcome is not None:
            posting_key = PostingKey((found_outcome["team_id"], found_outcome["key"]))
            loaded.outcomes[posting_key] = outcome(found_outcome)
        elif found_order is not None:
            order_key = OrderKey((found_order["team_id"], found_order["order_key"]))
            loaded.orders[order_key] = order(found_order)
        else:
            formula = Formula(found_formula["amount_micros"], found_formula["points_micros"])
            loaded.formulas[found_formula["team_id"]] = formula
    return loaded


def key_columns(keys: Sequence[tuple[UUID, UUID]]) -> tuple[list[UUID], list[UUID]]:
    """Two columns of ids."""
    return [key[0] for key in keys], [key[1] for key in keys]


def short_key_columns(
    keys: Sequence[tuple[UUID, UUID]],
) -> tuple[list[UUID] | None, list[UUID] | None]:
    """The same for functions that fill columns up: one team where all are of it, nulls for no keys."""
    teams, ids = key_columns(keys)
    if not teams:
        return None, None
    return teams[:1] if teams.count(teams[0]) == len(teams) else teams, ids


class BatchRows(NamedTuple):
    """Arguments of write_batch_v2: all that is new in a folded book. None where there is nothing.

    Values of the row types of migration 0008, as tuples; `partitions` of the entries' customers beside them.
    """

    account_count: int
    partitions: list[int] | None
    entries: list[tuple[Any, ...]] | None
    outcomes: list[tuple[Any, ...]] | None
    orders: list[tuple[Any, ...]] | None


def batch_rows(book: Book, loaded_orders: Mapping[OrderKey, Order]) -> BatchRows:
    """`loaded_orders`: what the orders of the book were folded on."""
    return BatchRows(
        account_count=len(book.changed_accounts),
        partitions=[partition_of(each.team_id, each.customer_id) for each in book.entries] or None,
        entries=_entry_rows(book) or None,
        outcomes=[_entryless(each) for each in book.outcomes if each.status != Status.POSTED] or None,
        orders=[_order_row(key, each, loaded_orders.get(key)) for key, each in book.changed_orders] or None,
    )


def add_row(add: Add, content: bytes) -> tuple[Any, ...]:
    """A value of `add_row` of migration 0014; `content`: the posting's fingerprint."""
    posting, points, number, gained, previous, is_last = add
    body, key, actor = posting.body, posting.key, posting.actor
    order = amount = enrolment = None
    node = ""
    if isinstance(body, JourneyChange):
        enrolment, node = body.enrolment_id, body.node_id
    elif isinstance(body, Earn):
        order, amount = body.order_key, body.amount_micros
    source, naming, note = source_of(posting), naming_of(posting), note_of(posting)
    head = before_figures(source, naming, points)
    tail = after_times((key, actor, order, enrolment, node, note))
    return (
        *(posting.team_id, posting.customer_id, number, gained, previous, is_last, source, *naming, points),
        *(posting.occurred_at, key, actor, order, amount, enrolment, node, note, content, head, tail),
    )


def added_outcome(add: Add, content: bytes, figures: tuple[int, int, int], now: datetime) -> PostingOutcome:
    """What is recorded of an add; `figures`: its account's sequence, balance and cumulative after it."""
    posting, points = add.posting, add.points
    sequence, balance, cumulative = figures
    return PostingOutcome(
        posting.team_id,
        posting.key,
        content,
        posting.customer_id,
        source_of(posting),
        Status.POSTED,
        Reason.NONE,
        points,
        points,
        points,
        0,
        balance,
        cumulative,
        sequence,
        now,
    )


def _entry_rows(book: Book) -> list[tuple[Any, ...]]:
    beside = zip(book.entries, book.first_sequences, _outcomes_of_entries(book.outcomes), strict=True)
    return [(*astuple(entry), before, *brought) for entry, before, brought in beside]


def _outcomes_of_entries(outcomes: Iterable[PostingOutcome]) -> Iterator[tuple[bytes | None, int, int]]:
    """Beside each entry its outcome's fingerprint, reason and shortfall. A merge is one outcome of two entries."""
    for each in outcomes:
        if each.status == Status.POSTED:
            yield each.fingerprint, each.reason, each.shortfall
            if each.source == Source.MERGE:
                yield None, 0, 0


def _entryless(each: PostingOutcome) -> tuple[Any, ...]:
    return tuple(getattr(each, name) for name in _ENTRYLESS)


def _order_row(key: OrderKey, each: Order, before: Order | None) -> tuple[Any, ...]:
    loaded = (before.posted, before.refunded_micros) if before is not None else (None, None)
    return (*key, *astuple(each), *loaded)
