"""Reading mail once and in order, by the numbers of its sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from libs.common.mailbox.mail import Mail


class Inbox(msgspec.Struct, frozen=True):
    """Mail that may be worked on now, and where numbers are missing.

    `gaps` maps a source to the last number that was taken from it in order; its mail after the gap is left out.
    """

    mails: tuple[Mail, ...]
    gaps: Mapping[int, int]


def read_inbox(taken: Mapping[int, int], mails: Iterable[Mail]) -> Inbox:
    """Drops duplicates and holds back what follows a gap. `taken` is the last number taken of each source."""
    last = dict(taken)
    waiting: dict[tuple[int, int], Mail] = {}
    order: list[tuple[int, int]] = []
    for mail in mails:
        key = (mail.source, mail.number)
        if mail.number > taken.get(mail.source, 0) and key not in waiting:
            waiting[key] = mail
            order.append(key)
    accepted: list[Mail] = []
    held: list[tuple[int, int]] = order
    progress = True
    while held and progress:
        progress = False
        still_held: list[tuple[int, int]] = []
        for source, number in held:
            if number == last.get(source, 0) + 1:
                accepted.append(waiting[(source, number)])
                last[source] = number
                progress = True
            else:
                still_held.append((source, number))
        held = still_held
    return Inbox(tuple(accepted), {source: last.get(source, 0) for source, _ in held})
