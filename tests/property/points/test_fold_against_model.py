"""The fold against a small independent model."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.points.domain.book import Book
from services.points.domain.check import (
    EntryFigures,
    OrderSums,
    OutcomeRow,
    check_account,
    check_order,
    check_outcome,
)
from services.points.domain.earning import Formula
from services.points.domain.model import (
    Account,
    AccountKey,
    Body,
    CouponSpend,
    Earn,
    ImportRow,
    JourneyChange,
    Manual,
    Merge,
    Order,
    OrderKey,
    Posting,
    PostingKey,
    PostingOutcome,
    Refund,
    Source,
    Status,
)
from tests.property.points.model import Model

TEAM = UUID(int=1)
CUSTOMERS = [UUID(int=n) for n in (11, 12, 13)]
ORDERS = [UUID(int=n) for n in (21, 22, 23)]
NOW = datetime(2026, 1, 1, tzinfo=UTC)

points = st.integers(1, 60)
signed = points.flatmap(lambda n: st.sampled_from([n, -n]))
amounts = st.integers(0, 400).map(lambda n: n * 250_000)
phones = st.sampled_from([True, True, True, False])
ids = st.just(UUID(int=99))


def _earn(key: UUID, order: UUID, amount: int, phone: bool) -> tuple[UUID, Body]:
    return key, Earn(order, "s", str(order), amount, "USD", phone)


def _refund(key: UUID, order: UUID | None, amount: int) -> tuple[UUID, Body]:
    return key, Refund(key, order, "s", str(key), "", amount, "USD")


keys = st.integers(1_000, 1_040).map(lambda n: UUID(int=n))
bodies: st.SearchStrategy[tuple[UUID, Body]] = st.one_of(
    st.builds(_earn, keys, st.sampled_from(ORDERS), amounts, phones),
    st.builds(_refund, keys, st.sampled_from([*ORDERS, None]), amounts),
    st.tuples(keys, st.builds(JourneyChange, signed, ids, st.just("j"), ids, st.just("n"), phones)),
    st.tuples(keys, st.builds(CouponSpend, points, ids, st.just("c"), ids)),
    st.tuples(keys, st.builds(ImportRow, signed, st.booleans(), ids, st.just("f"), st.just(2))),
    st.tuples(keys, st.builds(Manual, signed, st.booleans(), st.just("why"))),
)


@st.composite
def postings(draw: st.DrawFn) -> Posting:
    key, body = draw(bodies)
    customer, other = draw(st.permutations(CUSTOMERS).map(lambda each: each[:2]))
    if draw(st.integers(0, 15)) == 0:
        body = Merge(other, UUID(int=98))
    return Posting(key, TEAM, customer, None, "test", body)


def content(posting: Posting) -> Posting:
    """A posting without the phone fact, which may differ in a repetition."""
    body = posting.body
    if isinstance(body, Earn | JourneyChange):
        body = msgspec.structs.replace(body, has_phone=True)
    return msgspec.structs.replace(posting, body=body)


formulas = st.one_of(
    st.none(), st.builds(Formula, st.integers(1, 40).map(lambda n: n * 500_000), st.just(1_500_000))
)


def fold_in_batches(
    sent: list[Posting], sizes: list[int], formula: Formula | None
) -> tuple[Book, list[PostingOutcome], dict[UUID, Account]]:
    """Folds batch after batch, each loaded from what the ones before have written."""
    accounts = {AccountKey((TEAM, customer)): Account() for customer in CUSTOMERS}
    orders: dict[OrderKey, Order] = {}
    outcomes: dict[PostingKey, PostingOutcome] = {}
    whole = Book(accounts, {}, {}, {}, NOW)
    answered: list[PostingOutcome] = []
    rest, sizes = list(sent), [*sizes, len(sent)]
    for size in sizes:
        book = Book(accounts, orders, {TEAM: formula} if formula else {}, outcomes, NOW)
        answered += [answer.outcome for answer in book.fold(rest[:size])]
        rest = rest[size:]
        accounts.update(book.changed_accounts)
        orders.update(book.changed_orders)
        outcomes.update((PostingKey((TEAM, outcome.key)), outcome) for outcome in book.outcomes)
        whole.entries += book.entries
        whole.outcomes += book.outcomes
    for (_, key), order in orders.items():
        mine = [entry for entry in whole.entries if entry.order_key == key]
        back = [entry for entry in mine if entry.source == Source.REFUND]
        sums = OrderSums(
            sum(entry.delta_balance for entry in mine if entry.source == Source.WEB_ORDER),
            -sum(entry.requested_balance for entry in back),
            -sum(entry.delta_balance for entry in back),
        )
        assert list(check_order(key, order, sums, formula)) == []
    return whole, answered, {customer: accounts[AccountKey((TEAM, customer))] for customer in CUSTOMERS}


@pytest.mark.rule("P-04b", "P-04c", "P-06a", "P-06b", "P-06c", "P-06d", "P-06e", "P-08a", "P-08b")
@settings(max_examples=3 * settings().max_examples, deadline=None)
@given(st.lists(postings(), max_size=40), st.lists(st.integers(0, 12), max_size=6), formulas)
def test_the_fold_does_what_the_model_says(
    sent: list[Posting], sizes: list[int], formula: Formula | None
) -> None:
    book, answered, accounts = fold_in_batches(sent, sizes, formula)
    model = Model(formula)
    first: dict[UUID, tuple[Posting, PostingOutcome]] = {}
    for posting, outcome in zip(sent, answered, strict=True):
        if posting.key in first:
            same = content(first[posting.key][0]) == content(posting)
            assert (outcome == first[posting.key][1]) == same
            assert (outcome.status == Status.REFUSED) == (not same)
            continue
        first[posting.key] = (posting, outcome)
        assert model.take(posting) == (outcome.status == Status.POSTED)
        assert outcome.balance == model.balance[posting.customer_id]
        assert outcome.cumulative == model.cumulative[posting.customer_id]
    for customer, account in accounts.items():
        assert (account.balance, account.cumulative) == (model.balance[customer], model.cumulative[customer])
    refunds = [outcome for outcome in book.outcomes if outcome.source == Source.REFUND]
    assert sum(outcome.shortfall for outcome in refunds) == model.shortfall


@pytest.mark.rule("P-07b")
@settings(max_examples=2 * settings().max_examples, deadline=None)
@given(st.lists(postings(), max_size=40), st.lists(st.integers(0, 12), max_size=6), formulas)
def test_the_checker_finds_nothing_in_what_the_fold_writes(
    sent: list[Posting], sizes: list[int], formula: Formula | None
) -> None:
    book, _, accounts = fold_in_batches(sent, sizes, formula)
    for customer, account in accounts.items():
        mine = [entry for entry in book.entries if entry.customer_id == customer]
        assert list(check_account(customer, account, Account(), mine)) == []
    for outcome in book.outcomes:
        found = [
            e for e in book.entries if (e.customer_id, e.sequence) == (outcome.customer_id, outcome.sequence)
        ]
        figures = None
        if found:
            (e,) = found
            figures = EntryFigures(
                e.key, e.source, e.balance, e.cumulative, e.delta_balance, e.delta_cumulative
            )
        assert list(check_outcome(OutcomeRow(outcome, figures))) == []
