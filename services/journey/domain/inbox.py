"""Reading mail once and in order, by the numbers of its sources; and whether what came with it may be believed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from libs.common.mailbox.mail import CustomerView, Mail, MailSource


class MailGap(Exception):
    """Mail is missing that its source cannot give (yet)."""


class Inbox(msgspec.Struct, frozen=True):
    """Mail that may be worked on now, and where numbers are missing.

    `gaps` maps a source to the last number that was taken from it in order; its mail after the gap is left out.
    """

    mails: tuple[Mail, ...]
    gaps: Mapping[int, int]


def read_inbox(taken: Mapping[int, int], mails: Iterable[Mail]) -> Inbox:
    """Drops duplicates and holds back what follows a gap. `taken` is the last number taken of each source."""
    given = tuple(mails)
    return Inbox(given, {}) if _follow(taken, given) else _untangled(taken, given)


def healed(taken: Mapping[int, int], inbox: Inbox, mails: Iterable[Mail]) -> Inbox:
    """The inbox with what was fetched of its gaps among `mails`. Raises MailGap where that fills none of them."""
    found = read_inbox(taken, sorted(mails, key=lambda mail: mail.occurred_at))
    if found.gaps == inbox.gaps:
        raise MailGap(f"mail after {found.gaps} is missing")
    return found


def _follow(taken: Mapping[int, int], mails: Iterable[Mail]) -> bool:
    """Whether there is nothing to drop and nothing to hold back, as nearly always."""
    last = dict(taken)
    for mail in mails:
        if mail.number != last.get(mail.source, 0) + 1:
            return False
        last[mail.source] = mail.number
    return True


def _untangled(taken: Mapping[int, int], mails: Iterable[Mail]) -> Inbox:
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


def usable_view(
    taken: Mapping[int, int], mails: Sequence[Mail], *, mail_left: bool, since: datetime | None
) -> CustomerView | None:
    """What came with the newest of segment's mail, if it may be used for the turn that works on `mails`.

    None if that mail brought nothing, if more mail waits behind it, or if it was true before `since`; where `since` is
    None nobody knows how old anything is. `taken` is what the actor had taken before the turn: only if that is nothing
    is a customer known whole, since otherwise the actor's own effects may have followed the view.
    """
    if mail_left or since is None:
        return None
    newest = next((mail for mail in reversed(mails) if mail.source == MailSource.SEGMENT), None)
    view = newest.view if newest is not None else None
    if newest is None or view is None or view.number != newest.number or view.as_of < since:
        return None
    return replace(view, whole=False) if view.whole and any(taken.values()) else view
