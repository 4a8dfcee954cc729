"""What a channel tells of a message after it took it, and which of that is new. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Final


class ReceiptKind(IntEnum):
    """Numbers of the contract; 0: none."""

    DELIVERED = 1
    READ = 2
    REPLIED = 3
    FAILED = 4


_STEPS: Final[dict[int, tuple[ReceiptKind, ...]]] = {
    ReceiptKind.DELIVERED: (ReceiptKind.DELIVERED,),
    ReceiptKind.READ: (ReceiptKind.DELIVERED, ReceiptKind.READ),
    ReceiptKind.REPLIED: (ReceiptKind.DELIVERED, ReceiptKind.READ, ReceiptKind.REPLIED),
}
"""What each kind says beside itself: who read a message got it, whether or not that was told, and who answered it read
it."""


def new_steps(before: int, kind: ReceiptKind, *, several: bool = False) -> tuple[ReceiptKind, ...]:
    """The steps that a send takes which has `before`, 0 for none. They come in any order and more than once.

    Failed is final, and only of what nobody got. Of a send of `several` messages one may fail and another come,
    whichever is told first: it takes the steps of both.
    """
    failed = bool(before & ReceiptKind.FAILED)
    if kind is ReceiptKind.FAILED:
        return () if failed or (before and not several) else (kind,)
    if failed and not several:
        return ()
    came = shown(before) if before != ReceiptKind.FAILED else 0
    return tuple(step for step in _STEPS.get(kind, ()) if step > came)


def after(before: int, steps: Iterable[ReceiptKind]) -> int:
    """What a send has that had `before` and takes steps: the furthest that any of its messages came, and beside it
    FAILED, whose bit no other has, where one failed."""
    for step in steps:
        kept = before if step is ReceiptKind.FAILED else before & ReceiptKind.FAILED
        before = kept | step
    return before


def shown(receipt: int) -> int:
    """What people are told of a send: how far it came; that it failed only where nothing came."""
    return receipt & ~ReceiptKind.FAILED or receipt
