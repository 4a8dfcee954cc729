"""Splits divide by their shares, independently of each other, and a customer always goes the same way."""

from __future__ import annotations

import random
from collections import Counter
from math import sqrt
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from services.journey.domain.model import Split, Way
from services.journey.domain.splits import way_of

POPULATION = 4_000
DEVIATIONS = 6
"""So many standard deviations off happens once in 500 million."""

seeds = st.integers(0, 2**32)
node_ids = st.text("abc-_019", min_size=1, max_size=8)
cuts = st.lists(st.integers(0, 100), min_size=1, max_size=9).map(sorted)


def split_at(places: list[int]) -> Split:
    """A split by shares that end at these places, and at 100."""
    ends = [*places, 100]
    return Split(tuple(Way(end - start) for start, end in zip([0, *places], ends, strict=True)))


def people(seed: int) -> list[UUID]:
    """A population."""
    numbers = random.Random(seed)
    return [UUID(int=numbers.getrandbits(128)) for _ in range(POPULATION)]


def is_near(count: int, of: int, rate: float) -> bool:
    """Whether so many of them may be chance at this rate."""
    return abs(count - of * rate) <= DEVIATIONS * sqrt(of * rate * (1 - rate))


@settings(max_examples=25, deadline=None)
@given(cuts.map(split_at), seeds, st.uuids(), node_ids)
def test_each_way_is_gone_by_its_share_of_the_customers(
    split: Split, seed: int, journey_id: UUID, node_id: str
) -> None:
    gone = Counter(way_of(split, journey_id, node_id, customer) for customer in people(seed))
    for place, way in enumerate(split.ways):
        assert is_near(gone[place], POPULATION, way.share / 100), (gone, split)


@settings(max_examples=10, deadline=None)
@given(seeds, st.uuids(), st.uuids(), node_ids, node_ids)
def test_two_splits_divide_independently_of_each_other(
    seed: int, journey_id: UUID, other_id: UUID, node_id: str, other_node: str
) -> None:
    half = split_at([50])
    if (journey_id, node_id) == (other_id, other_node):
        other_node += "a"
    both = Counter(
        (way_of(half, journey_id, node_id, each), way_of(half, other_id, other_node, each))
        for each in people(seed)
    )
    assert all(is_near(both[first, second], POPULATION, 0.25) for first in (0, 1) for second in (0, 1))


@given(cuts.map(split_at), st.uuids(), node_ids, st.uuids())
def test_the_same_customer_goes_the_same_way_whatever_else_there_is(
    split: Split, journey_id: UUID, node_id: str, customer: UUID
) -> None:
    led = Split(
        tuple(Way(way.share, "elsewhere", holdout=place == 0) for place, way in enumerate(split.ways))
    )
    drawn = way_of(split, journey_id, node_id, customer)
    assert split.ways[drawn].share > 0
    assert way_of(led, journey_id, node_id, customer) == drawn
