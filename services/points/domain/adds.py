"""Postings about which nothing is to be decided: each adds, whatever the figures are that it adds to.

Such ones are written without being folded, in one statement that finds the figures itself. What is no plain add, or may
turn out to be none (a key or an order that is recorded, a figure beyond its range), is for `domain/book.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from services.points.domain.book import accounts_of
from services.points.domain.decide import order_key_of
from services.points.domain.earning import AMOUNT_MICROS_MAX, Formula, earned
from services.points.domain.identity import EPOCH
from services.points.domain.model import FIGURE_MAX, Earn, ImportRow, JourneyChange, Manual, Posting


class Add(NamedTuple):
    """A posting of a batch that adds `points`.

    `number`: how many adds of the batch its account has up to this one; `gained`: the points of these; `previous`:
    where the one before stands, from 1, 0 for none; `is_last`: there is none after it.
    """

    posting: Posting
    points: int
    number: int
    gained: int
    previous: int
    is_last: bool


class Parts(NamedTuple):
    """A batch in two parts that have no account, order or key in common, and where their postings stood in it."""

    adds: list[Add]
    add_places: list[int]
    others: list[Posting]
    other_places: list[int]


def parted(
    postings: Sequence[Posting],
    formulas: Mapping[UUID, Formula],
    now: datetime,
    without_module: Collection[UUID] = (),
) -> Parts:
    """Parts a batch into plain adds and the others, each in its order. One after the other they do what the batch does.

    `now`: the time of posting; before 1970 there are no plain adds. `without_module`: teams that lack the module
    POINTS, which have none either.
    """
    points = [_points(posting, formulas) for posting in postings] if now >= EPOCH else [0] * len(postings)
    if without_module:
        points = [
            0 if posting.team_id in without_module else count
            for posting, count in zip(postings, points, strict=True)
        ]
    plain = set(_apart(postings, points))
    add_places = [place for place in range(len(postings)) if place in plain]
    other_places = [place for place in range(len(postings)) if place not in plain]
    adds = numbered([(postings[place], points[place]) for place in add_places])
    return Parts(adds, add_places, [postings[place] for place in other_places], other_places)


def numbered(gifts: Sequence[tuple[Posting, int]]) -> list[Add]:
    """The adds of postings and their points, in order."""
    adds: list[Add] = []
    last: dict[tuple[UUID, UUID], int] = {}
    for place, (posting, points) in enumerate(gifts):
        account = (posting.team_id, posting.customer_id)
        before = last.get(account)
        last[account] = place
        if before is None:
            adds.append(Add(posting, points, 1, points, 0, True))
            continue
        one = adds[before]
        adds[before] = one._replace(is_last=False)
        adds.append(Add(posting, points, one.number + 1, one.gained + points, before + 1, True))
    return adds


def added(posting: Posting, formulas: Mapping[UUID, Formula]) -> int:
    """The points that a posting adds to both figures whatever they are, if its order is a new one; 0 where that is not
    so, or not known."""
    body = posting.body
    if isinstance(body, JourneyChange):
        return max(body.points, 0) if body.has_phone else 0
    if isinstance(body, Earn):
        formula = formulas.get(posting.team_id)
        if formula is None or not body.has_phone or body.amount_micros > AMOUNT_MICROS_MAX:
            return 0
        points = earned(body.amount_micros, formula)
        return points if points <= FIGURE_MAX else 0
    return max(body.points, 0) if isinstance(body, Manual | ImportRow) else 0


def _points(posting: Posting, formulas: Mapping[UUID, Formula]) -> int:
    if posting.occurred_at is not None and posting.occurred_at < EPOCH:
        return 0
    return added(posting, formulas)


def _apart(postings: Sequence[Posting], points: Sequence[int]) -> Iterator[int]:
    """Places of the plain adds that share nothing with the other postings, and keys and orders not among themselves."""
    plain = {place for place, count in enumerate(points) if count}
    if len(plain) == len(postings) and _each_once(postings):
        return iter(plain)
    shared = _repeated(postings)
    for place, posting in enumerate(postings):
        if place not in plain:
            shared.update(_things(posting))
    while drawn := [place for place in plain if not shared.isdisjoint(_things(postings[place]))]:
        plain.difference_update(drawn)
        for place in drawn:
            shared.update(_things(postings[place]))
    return iter(plain)


def _each_once(postings: Sequence[Posting]) -> bool:
    """Whether no two postings have one key or one order."""
    if len({(posting.team_id, posting.key) for posting in postings}) < len(postings):
        return False
    orders = [(posting.team_id, order) for posting in postings if (order := order_key_of(posting))]
    return len(set(orders)) == len(orders)


def _repeated(postings: Sequence[Posting]) -> set[tuple[str, UUID, UUID]]:
    seen: set[tuple[str, UUID, UUID]] = set()
    repeated: set[tuple[str, UUID, UUID]] = set()
    for posting in postings:
        mine = set(_names(posting))
        repeated |= seen & mine
        seen |= mine
    return repeated


def _names(posting: Posting) -> Iterator[tuple[str, UUID, UUID]]:
    """The key of a posting, and its order."""
    yield "key", posting.team_id, posting.key
    order = order_key_of(posting)
    if order is not None:
        yield "order", posting.team_id, order


def _things(posting: Posting) -> Iterator[tuple[str, UUID, UUID]]:
    """What a posting reads or writes: accounts, its key, its order."""
    yield from _names(posting)
    for team_id, customer_id in accounts_of([posting]):
        yield "account", team_id, customer_id
