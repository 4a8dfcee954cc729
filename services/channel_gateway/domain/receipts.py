"""What a channel tells of a message after it took it, and which of that is new. Pure."""

from __future__ import annotations

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


def new_steps(before: int, kind: ReceiptKind) -> tuple[ReceiptKind, ...]:
    """The steps that a send takes which has `before`, 0 for none. They come in any order and more than once.

    Failed is final, and only of what nobody got: of a send of several messages one may have come.
    """
    if kind is ReceiptKind.FAILED:
        return (kind,) if not before else ()
    if before == ReceiptKind.FAILED:
        return ()
    return tuple(step for step in _STEPS.get(kind, ()) if step > before)
