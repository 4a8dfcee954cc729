"""Customers in a stream: only what was asked for, and no more at once than fits."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from omnijourney.segment.v1 import customer_pb2
from services.segment.convert.customers import fitting, partial_message, read_customer_parts
from services.segment.domain.model import Customer, CustomerView

BASICS, TAGS = customer_pb2.CUSTOMER_PART_BASICS, customer_pb2.CUSTOMER_PART_TAGS
AT = datetime(2026, 3, 4, tzinfo=UTC)


def customers(*sizes: int) -> list[customer_pb2.Customer]:
    return [customer_pb2.Customer(name="x" * (size - 2)) for size in sizes]


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [
        ([], []),
        ([50], [1]),
        ([50, 50, 1 + 3], [2, 1]),
        ([99, 99, 99], [1, 1, 1]),
        ([110, 50, 50], [1, 2]),
        ([50, 110, 50], [1, 1, 1]),
    ],
)
def test_groups_hold_what_fits_and_one_that_is_larger_goes_alone(sizes: list[int], groups: list[int]) -> None:
    given = customers(*sizes)
    assert [each.ByteSize() for each in given] == sizes
    made = list(fitting(given, 100))
    assert [len(group) for group in made] == groups
    assert [each for group in made for each in group] == given


def test_only_the_parts_that_are_asked_for_are_read_and_told() -> None:
    wanted = read_customer_parts([TAGS])
    assert (wanted.tags, wanted.attributes, wanted.identities) == (True, False, False)
    customer = Customer(
        team_id=UUID(int=1), customer_id=UUID(int=2), name="Mei", create_time=AT, update_time=AT
    )
    view = CustomerView(customer, tags=("vip",))
    assert partial_message(UUID(int=2), view, [TAGS]) == customer_pb2.Customer(
        customer_id=str(UUID(int=2)), tags=["vip"]
    )
    assert partial_message(UUID(int=2), view, [BASICS]).name == "Mei"
    assert partial_message(UUID(int=2), None, [BASICS]) == customer_pb2.Customer(customer_id=str(UUID(int=2)))
