"""Ids and partitions."""

import itertools
import uuid
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.ids import (
    PARTITIONS,
    derived_from,
    derived_id,
    driver_id,
    encoded_name,
    endless_ids,
    epoch_ms,
    new_id,
    new_ids,
    partition_of,
)


@given(st.integers(0, 2**48 - 1))
def test_new_ids_are_version_7_and_hold_their_time(clock_ms: int) -> None:
    made = new_id(clock_ms)
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == clock_ms


def test_new_ids_of_one_millisecond_differ_and_later_ones_sort_behind() -> None:
    assert len({new_id(1_000) for _ in range(10_000)}) == 10_000
    assert max(new_id(1_000) for _ in range(1_000)) < min(new_id(1_001) for _ in range(1_000))
    assert new_id().int >> 80 > epoch_ms(datetime(2026, 1, 1, tzinfo=UTC))


@given(st.integers(0, 2**48 - 1), st.integers(0, 50))
def test_many_new_ids_of_one_moment(clock_ms: int, count: int) -> None:
    made = new_ids(count, clock_ms)
    assert len(set(made)) == len(made) == count
    assert {(each.version, each.variant, each.int >> 80) for each in made} <= {(7, uuid.RFC_4122, clock_ms)}


@given(st.uuids())
def test_ids_are_equal_to_those_of_the_standard_library(namespace: uuid.UUID) -> None:
    for made in (new_id(), derived_id(namespace, "a")):
        plain = uuid.UUID(str(made))
        assert (made, hash(made), made.bytes) == (plain, hash(plain), plain.bytes)
        assert plain == made
        assert isinstance(made, uuid.UUID)


@pytest.mark.parametrize("clock_ms", [-1, 2**48])
def test_times_that_do_not_fit_are_refused(clock_ms: int) -> None:
    with pytest.raises(ValueError, match="no UUIDv7"):
        new_id(clock_ms)


def test_milliseconds_are_rounded_down_and_need_a_zone() -> None:
    assert epoch_ms(datetime(1970, 1, 1, 0, 0, 1, 999_999, tzinfo=UTC)) == 1_999
    with pytest.raises(TypeError):
        epoch_ms(datetime(2026, 1, 1))  # noqa: DTZ001 - the point


_PARTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1f")), st.integers(), st.uuids()
)


@given(st.uuids(), st.lists(_PARTS, max_size=5))
def test_derived_ids_are_version_5(namespace: uuid.UUID, parts: list[str | int | uuid.UUID]) -> None:
    expected = uuid.uuid5(namespace, "\x1f".join(map(str, parts)))
    assert derived_id(namespace, *parts) == derived_from(namespace, encoded_name(*parts)) == expected


def test_derived_ids_tell_their_parts_apart() -> None:
    space = uuid.UUID(int=1)
    assert derived_id(space, "a", "bc") == derived_id(space, "a", "bc") != derived_id(space, "ab", "c")
    assert derived_id(space, "a") != derived_id(uuid.UUID(int=2), "a")
    assert derived_id(space, 7, uuid.UUID(int=3)) == derived_id(space, "7", str(uuid.UUID(int=3)))
    with pytest.raises(ValueError, match="separator"):
        derived_id(space, "a\x1fb")
    with pytest.raises(ValueError, match="separator"):
        derived_id(space, "a", "\x1f")


@given(st.uuids())
def test_a_driver_id_is_the_same_id(given_id: uuid.UUID) -> None:
    made = driver_id(given_id)
    assert (made, hash(made), str(made)) == (given_id, hash(given_id), str(given_id))
    assert type(made) is type(new_id())


def test_partitions_are_fixed_for_ever_and_even() -> None:
    team = uuid.UUID("01890a5d-ac96-774b-bcce-b302099a8057")
    assert partition_of(team, uuid.UUID("01890a5d-ac96-774b-bcce-b302099a8058")) == 51
    counts = Counter(partition_of(team, uuid.UUID(int=n)) for n in range(64_000))
    assert set(counts) == set(range(PARTITIONS))
    assert max(counts.values()) < 1_300


def test_ids_of_a_batch_are_like_single_ones() -> None:
    ids = list(itertools.islice(endless_ids(1_700_000_000_123), 100))
    assert len(set(ids)) == 100
    for each in ids:
        assert (each.version, each.variant, each.int >> 80) == (7, uuid.RFC_4122, 1_700_000_000_123)
    ones, zeros = (1 << 128) - 1, 0
    for each in ids:
        ones, zeros = ones & each.int, zeros | each.int
    assert (zeros & ~ones).bit_count() == 74, "all bits but those of the time and the version are random"
    with pytest.raises(ValueError, match="no UUIDv7"):
        next(endless_ids(-1))
