"""What is written without being folded is what the fold would have written."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.points.domain.adds import Add, added, parted
from services.points.domain.book import Book, naming_of, note_of
from services.points.domain.decide import Change, Decision, decide, order_key_of, source_of
from services.points.domain.earning import Formula
from services.points.domain.identity import GENESIS, after_times, before_figures, micros_of
from services.points.domain.model import (
    Account,
    AccountKey,
    Earn,
    Entry,
    JourneyChange,
    Order,
    Posting,
    Status,
)
from tests.property.points.test_fold_against_model import NOW, TEAM, formulas, postings

figures = st.integers(0, 10**12)
_encode = msgspec.msgpack.Encoder().encode


@given(postings(), formulas, figures, figures)
def test_what_is_no_decision_is_decided_alike_on_all_figures(
    posting: Posting, formula: Formula | None, balance: int, cumulative: int
) -> None:
    points = added(posting, {TEAM: formula} if formula else {})
    account = Account(balance, cumulative, 7, NOW, b"h" * 32)
    decision = decide(posting, account, None, formula)
    if not points:
        assert (
            decision.status != Status.POSTED or decision.changes[0].balance <= 0 or len(decision.changes) > 1
        )
        return
    change = Change(posting.customer_id, points, points, points, points)
    order = None
    if isinstance(posting.body, Earn):
        order = Order(posting.customer_id, True, True, posting.body.amount_micros, 0, points)
    assert decision == Decision(Status.POSTED, changes=(change,), requested=points, order=order)


@settings(max_examples=2 * settings().max_examples, deadline=None)
@given(st.lists(postings(), max_size=30), formulas)
def test_the_parts_of_a_batch_do_what_the_batch_does(sent: list[Posting], formula: Formula | None) -> None:
    known = {TEAM: formula} if formula else {}
    whole, apart = Book({}, {}, known, {}, NOW), Book({}, {}, known, {}, NOW)
    expected = whole.fold(sent)
    parts = parted(sent, known, NOW)
    found = dict(zip(parts.add_places, apart.fold([add.posting for add in parts.adds]), strict=True))
    found.update(zip(parts.other_places, apart.fold(parts.others), strict=True))
    assert [found[place] for place in range(len(sent))] == expected
    assert sorted(apart.entries, key=_place) == sorted(whole.entries, key=_place)
    assert apart.changed_orders == whole.changed_orders
    for add in parts.adds:
        assert found[parts.add_places[parts.adds.index(add)]].outcome.delta_balance == add.points


def _place(entry: Entry) -> tuple[UUID, int]:
    return entry.customer_id, entry.sequence


@settings(max_examples=2 * settings().max_examples, deadline=None)
@given(
    st.lists(postings(), max_size=30),
    formulas,
    figures,
    st.sampled_from([None, NOW, NOW + timedelta(days=1)]),
)
def test_the_pieces_of_adds_make_the_entries_of_the_fold(
    sent: list[Posting], formula: Formula | None, balance: int, last: datetime | None
) -> None:
    known = {TEAM: formula} if formula else {}
    adds = parted(sent, known, NOW).adds
    start = Account(balance, balance, 200, last, b"h" * 32) if last else Account()
    book = Book({AccountKey((TEAM, each.posting.customer_id)): start for each in adds}, {}, known, {}, NOW)
    book.fold([add.posting for add in adds])
    hashes: list[bytes] = []
    for add, entry in zip(adds, book.entries, strict=True):
        hashes.append(
            _hash(add, start, hashes[add.previous - 1] if add.previous else start.last_hash or GENESIS)
        )
        assert (entry.balance, entry.sequence) == (start.balance + add.gained, start.sequence + add.number)
        assert entry.hash == hashes[-1]
        later = [each for each in book.entries if each.customer_id == entry.customer_id][-1]
        assert add.is_last == (later is entry)


def _hash(add: Add, start: Account, before: bytes) -> bytes:
    """As `post_adds` of SQL does it: the figures between the two pieces that come ready."""
    posting, body = add.posting, add.posting.body
    first = NOW if start.last_at is None else max(NOW, start.last_at + timedelta(microseconds=1))
    posted = micros_of(first) + add.number - 1
    occurred = micros_of(posting.occurred_at or NOW)
    enrolment = body.enrolment_id if isinstance(body, JourneyChange) else None
    node = body.node_id if isinstance(body, JourneyChange) else ""
    numbers = (start.balance + add.gained, start.cumulative + add.gained, occurred, posted)
    return hashlib.sha256(
        b"\xdc\x00\x15"
        + b"".join(map(_encode, (before, TEAM.bytes, posting.customer_id.bytes, start.sequence + add.number)))
        + before_figures(source_of(posting), naming_of(posting), add.points)
        + b"".join(map(_encode, numbers))
        + after_times((posting.key, posting.actor, order_key_of(posting), enrolment, node, note_of(posting)))
    ).digest()


def test_before_1970_every_posting_is_decided_upon() -> None:
    early = datetime(1969, 12, 31, tzinfo=UTC)
    posting = Posting(UUID(int=1), TEAM, UUID(int=2), None, "a", JourneyChange(5, TEAM, "j", TEAM, "n", True))
    assert parted([posting], {}, early).adds == []
    assert parted([msgspec.structs.replace(posting, occurred_at=early)], {}, NOW).adds == []
    assert len(parted([posting], {}, NOW).adds) == 1
