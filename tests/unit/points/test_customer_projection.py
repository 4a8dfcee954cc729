"""The copy of customers: one read a customer, and the cursors move with what was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import pytest

from libs.common.feeds.follower import Page
from libs.common.feeds.rows import FactRow
from libs.common.ids import new_id
from services.points.domain.customers import CustomerBasics
from services.points.domain.model import AccountKey
from services.points.worker.customers import CustomerProjection

TEAM, ANN = new_id(), new_id()
BEFORE, AFTER = {0: 4, 1: 9}, {0: 6, 1: 9}


class Profiles:
    """Knows everybody by name."""

    def __init__(self) -> None:
        self.asked: list[list[AccountKey]] = []

    async def profiles(self, customers: Sequence[AccountKey]) -> list[CustomerBasics]:
        self.asked.append(list(customers))
        return [CustomerBasics(team, customer, "Ann") for team, customer in customers]


class Copy:
    """Keeps what is written in memory."""

    def __init__(self) -> None:
        self.positions: Mapping[int, int] = BEFORE
        self.names: dict[UUID, str] = {}
        self.aside: dict[tuple[int, int], str] = {}

    async def cursors(self) -> dict[int, int]:
        return dict(self.positions)

    async def write(
        self, before: Mapping[int, int], after: Mapping[int, int], customers: Sequence[CustomerBasics]
    ) -> None:
        assert before == self.positions
        self.positions = after
        self.names |= {each.customer_id: each.name for each in customers}

    async def set_aside(
        self, before: Mapping[int, int], after: Mapping[int, int], at: tuple[int, int], reason: str
    ) -> None:
        assert before == self.positions
        self.positions = after
        self.aside[at] = reason


def fact(customer: bytes) -> FactRow:
    return FactRow(3, 1, TEAM.bytes, customer)


async def test_a_customer_whom_several_rows_name_is_read_once() -> None:
    profiles, copy = Profiles(), Copy()
    projection = CustomerProjection(profiles, copy)
    await projection.apply(await projection.cursors(), Page([fact(ANN.bytes), fact(ANN.bytes)], AFTER))
    assert profiles.asked == [[(TEAM, ANN)]]
    assert (copy.names, copy.positions) == ({ANN: "Ann"}, AFTER)


async def test_a_row_that_names_no_customer_is_a_fault_and_moves_nothing() -> None:
    copy = Copy()
    with pytest.raises(ValueError, match="16 bytes"):
        await CustomerProjection(Profiles(), copy).apply(BEFORE, Page([fact(b"nobody")], AFTER))
    assert copy.positions == BEFORE


async def test_a_row_that_its_service_cannot_read_is_a_fault_and_moves_nothing() -> None:
    copy = Copy()
    with pytest.raises(ValueError, match="cannot read it"):
        await CustomerProjection(Profiles(), copy).apply(
            BEFORE, Page([fact(ANN.bytes), FactRow(3, 2, None)], AFTER)
        )
    assert copy.positions == BEFORE


async def test_a_row_that_is_set_aside_is_passed_over_with_its_reason() -> None:
    copy = Copy()
    await CustomerProjection(Profiles(), copy).set_aside(BEFORE, Page([fact(b"nobody")], AFTER), "no id")
    assert (copy.positions, copy.names, copy.aside) == (AFTER, {}, {(3, 1): "no id"})
