"""The laws of the ledger, checked over rows as they are stored. Pure: rows in, findings out.

A check never stops at a broken law: it reports the first offence of each law per account or order, and goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from uuid import UUID

import msgspec

from services.points.domain.earning import Formula, earned
from services.points.domain.identity import chained
from services.points.domain.model import (
    UNDO_NOTE,
    Account,
    Entry,
    Order,
    PostingOutcome,
    Reason,
    Source,
    Status,
)


class Invariant(IntEnum):
    """The laws; numbers as in the contract."""

    CONSERVATION = 1
    CONTINUITY = 2
    DENSE_SEQUENCE = 3
    MONOTONE_TIME = 4
    NON_NEGATIVE = 5
    EXACTLY_ONCE = 6
    JUSTIFIED = 7
    SOURCE_LAW = 8
    ORDER_LAW = 9
    HASH_CHAIN = 10
    IMPORT_CLOSURE = 11
    HISTORY_ORDER = 12
    IMMUTABILITY = 13
    CLAIM_CLOSURE = 14


class Finding(msgspec.Struct, frozen=True):
    """A broken law and where; `sequence` 0 and ids None when it concerns no entry, customer or key."""

    invariant: Invariant
    detail: str
    customer_id: UUID | None = None
    sequence: int = 0
    key: UUID | None = None


class OutcomeRow(msgspec.Struct, frozen=True):
    """A recorded outcome and the entry at its customer and sequence; `entry` None when there is none."""

    outcome: PostingOutcome
    entry: EntryFigures | None


class EntryFigures(msgspec.Struct, frozen=True):
    """What an outcome must agree with."""

    key: UUID
    source: int
    balance: int
    cumulative: int
    delta_balance: int
    delta_cumulative: int


class OrderSums(msgspec.Struct, frozen=True):
    """Sums over the entries that name an order: what it earned, what refunds asked and took; all 0 or more."""

    earned: int
    asked: int
    taken: int


def check_account(
    customer_id: UUID, account: Account | None, base: Account, entries: Sequence[Entry]
) -> Iterator[Finding]:
    """Checks one customer's entries, oldest first, from the figures `base` on.

    `account`: the stored figures that the entries must end at; None when the entries are not all there are (a check of
    a range that ends in the past).
    """
    seen: set[Invariant] = set()
    state = base
    for entry in entries:
        for invariant, detail in _offences(state, entry):
            if invariant not in seen:
                seen.add(invariant)
                yield Finding(invariant, detail, customer_id, entry.sequence, entry.key)
        state = Account(entry.balance, entry.cumulative, entry.sequence, entry.posted_at, entry.hash)
    if account is not None:
        yield from _ends(customer_id, account, base, entries, state)


def _ends(
    customer_id: UUID, account: Account, base: Account, entries: Sequence[Entry], state: Account
) -> Iterator[Finding]:
    """The stored figures are the sums of the entries, and the stored hash is the last one's."""
    sums = (
        base.balance + sum(entry.delta_balance for entry in entries),
        base.cumulative + sum(entry.delta_cumulative for entry in entries),
        base.sequence + len(entries),
    )
    stored = (account.balance, account.cumulative, account.sequence)
    if stored != sums:
        detail = f"account has balance, cumulative, sequence {stored}; its entries sum to {sums}"
        yield Finding(Invariant.CONSERVATION, detail, customer_id, state.sequence)
    if account.balance < 0 or account.cumulative < 0:
        yield Finding(Invariant.NON_NEGATIVE, f"account has {stored}", customer_id)
    if account.last_hash != state.last_hash:
        detail = "the account's hash is not that of its last entry"
        yield Finding(Invariant.HASH_CHAIN, detail, customer_id, state.sequence)


def _offences(before: Account, entry: Entry) -> Iterator[tuple[Invariant, str]]:
    if entry.sequence != before.sequence + 1:
        yield Invariant.DENSE_SEQUENCE, f"{entry.sequence} follows {before.sequence}"
    if before.last_at is not None and entry.posted_at <= before.last_at:
        yield Invariant.MONOTONE_TIME, f"{entry.posted_at} follows {before.last_at}"
    expected = (before.balance + entry.delta_balance, before.cumulative + entry.delta_cumulative)
    if (entry.balance, entry.cumulative) != expected:
        yield (
            Invariant.CONTINUITY,
            f"balance, cumulative {(entry.balance, entry.cumulative)}, expected {expected}",
        )
    if entry.balance < 0 or entry.cumulative < 0:
        yield Invariant.NON_NEGATIVE, f"balance, cumulative {(entry.balance, entry.cumulative)}"
    if not _lawful(entry):
        yield Invariant.SOURCE_LAW, _describe(entry)
    if not _cut_justified(before, entry):
        yield (
            Invariant.JUSTIFIED,
            f"{_describe(entry)} on balance {before.balance}, cumulative {before.cumulative}",
        )
    if chained(before.last_hash, entry) != entry.hash:
        yield Invariant.HASH_CHAIN, "the hash does not follow from the entry before and the fields"


def _lawful(entry: Entry) -> bool:
    """Whether the source may change the figures like this (P-04, P-05)."""
    balance, cumulative = entry.delta_balance, entry.delta_cumulative
    adds = balance > 0 and cumulative == balance
    spends = balance < 0 and cumulative == 0
    match entry.source:
        case Source.WEB_ORDER:
            return adds
        case Source.COUPON_REDEMPTION | Source.REFUND:
            return spends
        case Source.JOURNEY:
            return adds or spends
        case Source.IMPORT if entry.note == UNDO_NOTE:
            return _lawful_undo(entry)
        case Source.IMPORT | Source.MANUAL:
            asked = entry.requested_cumulative
            return adds or (balance < 0 and asked in {0, balance} and asked <= cumulative <= 0)
        case Source.MERGE:
            return balance != 0 or cumulative != 0


def _lawful_undo(entry: Entry) -> bool:
    """An added row is taken from both figures; a deducted one is given back, to the cumulative as far as it lost."""
    asked, balance, cumulative = entry.requested_cumulative, entry.delta_balance, entry.delta_cumulative
    if balance < 0:
        return asked == balance and asked <= cumulative <= 0
    return balance > 0 and asked == cumulative and 0 <= cumulative <= balance


def _cut_justified(before: Account, entry: Entry) -> bool:
    """Whether less was changed than asked only where less was there."""
    if entry.source == Source.REFUND:
        balance_fits = entry.delta_balance == -min(-entry.requested_balance, before.balance)
    else:
        balance_fits = entry.delta_balance == entry.requested_balance
    return balance_fits and entry.delta_cumulative == max(entry.requested_cumulative, -before.cumulative)


def _describe(entry: Entry) -> str:
    deltas = (entry.delta_balance, entry.delta_cumulative)
    asked = (entry.requested_balance, entry.requested_cumulative)
    return f"source {entry.source} changed balance, cumulative by {deltas}, asked {asked}"


def check_outcome(row: OutcomeRow) -> Iterator[Finding]:
    """A posted outcome has its entry with the same figures; another one has none and was justified."""
    outcome, entry = row.outcome, row.entry

    def finding(invariant: Invariant, detail: str) -> Finding:
        return Finding(invariant, detail, outcome.customer_id, outcome.sequence, outcome.key)

    figures = (outcome.balance, outcome.cumulative)
    deltas = (outcome.delta_balance, outcome.delta_cumulative)
    if outcome.status == Status.POSTED:
        if entry is None or entry.key != outcome.key:
            yield finding(Invariant.EXACTLY_ONCE, "a posted outcome without its entry")
        elif (entry.balance, entry.cumulative) != figures or (
            entry.delta_balance,
            entry.delta_cumulative,
        ) != deltas:
            yield finding(
                Invariant.EXACTLY_ONCE, f"the outcome says {deltas} to {figures}, its entry differs"
            )
        return
    if deltas != (0, 0):
        yield finding(Invariant.EXACTLY_ONCE, f"an outcome that is not posted changed {deltas}")
    if outcome.sequence > 0 and (entry is None or (entry.balance, entry.cumulative) != figures):
        yield finding(Invariant.JUSTIFIED, f"decided on {figures}, which the customer did not have")
    if outcome.reason == Reason.INSUFFICIENT and -outcome.requested_balance <= outcome.balance:
        yield finding(
            Invariant.JUSTIFIED, f"{-outcome.requested_balance} rejected on balance {outcome.balance}"
        )
    if outcome.reason == Reason.NOTHING_LEFT and outcome.balance != 0:
        yield finding(Invariant.JUSTIFIED, f"a refund took nothing from balance {outcome.balance}")


def check_order(order_key: UUID, order: Order, sums: OrderSums, formula: Formula | None) -> Iterator[Finding]:
    """What an order earned less what its refunds asked back is what its remaining amount earns (P-06)."""

    def finding(detail: str) -> Finding:
        return Finding(Invariant.ORDER_LAW, detail, order.customer_id, 0, order_key)

    if not 0 <= order.taken <= order.clawed <= order.earned:
        yield finding(f"earned {order.earned}, asked back {order.clawed}, taken {order.taken}")
    if (order.earned, order.taken) != (sums.earned, sums.taken) or sums.asked > order.clawed:
        yield finding(
            f"earned {order.earned}, taken {order.taken}; its entries say {sums.earned}, {sums.taken}"
        )
    if not order.earning and order.earned != 0:
        yield finding(f"earned {order.earned} though it does not earn")
    if order.earning and formula is None:
        yield finding("earns though the team has no formula")
    if order.earning and formula is not None:
        remaining = earned(order.amount_micros - order.refunded_micros, formula)
        if order.earned - order.clawed != remaining:
            yield finding(
                f"earned {order.earned}, asked back {order.clawed}; the remaining amount earns {remaining}"
            )
