"""Steps of a send, whatever a channel tells of it and in whatever order."""

from __future__ import annotations

from itertools import permutations

import pytest

from services.channel_gateway.domain.receipts import ReceiptKind, after, new_steps, shown

DELIVERED, READ, FAILED = ReceiptKind.DELIVERED, ReceiptKind.READ, ReceiptKind.FAILED


@pytest.mark.parametrize("told", list(permutations([DELIVERED, READ, READ, DELIVERED])))
def test_each_step_is_taken_once_and_none_is_left_out(told: tuple[ReceiptKind, ...]) -> None:
    steps: list[ReceiptKind] = []
    for kind in told:
        steps += new_steps(steps[-1] if steps else 0, kind)
    assert steps == [DELIVERED, READ]


def test_a_send_that_failed_gets_no_further_and_one_that_came_does_not_fail() -> None:
    assert new_steps(0, FAILED) == (FAILED,)
    assert new_steps(FAILED, DELIVERED) == new_steps(FAILED, READ) == new_steps(FAILED, FAILED) == ()
    assert new_steps(DELIVERED, FAILED) == new_steps(READ, FAILED) == ()


@pytest.mark.parametrize("told", list(permutations([DELIVERED, FAILED, READ, FAILED])))
def test_of_several_messages_one_may_come_and_another_fail_in_any_order(
    told: tuple[ReceiptKind, ...],
) -> None:
    receipt, steps = 0, list[ReceiptKind]()
    for kind in told:
        new = new_steps(receipt, kind, several=True)
        receipt, steps = after(receipt, new), [*steps, *new]
    assert sorted(steps) == [DELIVERED, READ, FAILED]
    assert shown(receipt) == READ
    assert shown(after(0, [FAILED])) == FAILED
