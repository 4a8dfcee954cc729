"""What follows a commit that wrote history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from libs.common.rpc.operations import Progress

if TYPE_CHECKING:
    # The relay of the mailboxes reads ranges as they are here.
    from libs.common.mailbox.mail import Mail

Ranges = Mapping[int, tuple[int, int]]
"""Partition → first and last history position of a transaction, rows without mail included."""


class Relay(Protocol):
    """Delivers mail; `libs.common.mailbox.relay.MailRelay`."""

    def submit(self, mails: Sequence[Mail], ranges: Ranges | None = None) -> None:
        """Takes over the mail of a transaction that has just committed."""
        ...


class CommitPublisher:
    """Passes on what was committed: mail to the relay, the commit to reads that wait, the work to the progress."""

    def __init__(self, relay: Relay, notify: Callable[[], None], progress: Progress) -> None:
        """`notify` wakes reads that wait for any row, see `CommitNotifier.notify`."""
        self._relay = relay
        self._notify = notify
        self._progress = progress

    def publish(
        self,
        mails: Sequence[Mail],
        ranges: Ranges,
        *,
        handled: int | None = None,
        notify: Callable[[], None] | None = None,
    ) -> None:
        """To be called after the commit, in the order of commits as far as one process can tell.

        `ranges` covers all rows, those without mail too; empty: no history was written. `handled` is the work done, by
        default the number of rows. `notify` instead of the publisher's own wakes those who wait for these rows only.
        Raises RuntimeError when the relay has died.
        """
        self._progress.add(rows_of(ranges) if handled is None else handled)
        if ranges:
            self._relay.submit(mails, ranges)
            (notify or self._notify)()


def rows_of(ranges: Ranges) -> int:
    """How many rows the ranges cover."""
    return sum(last - first + 1 for first, last in ranges.values())


def ranges_of(positions: Iterable[tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """The ranges of rows that were written, (partition, position) in any order."""
    ranges: dict[int, tuple[int, int]] = {}
    for partition, position in positions:
        first, last = ranges.get(partition, (position, position))
        # Every row of every commit passes here: comparing costs a third of what min and max do.
        ranges[partition] = (min(position, first), max(position, last))
    return ranges
