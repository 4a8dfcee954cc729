"""What becomes of two actors of which one goes: the other has its enrolments and its counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from libs.common.mailbox.mail import MailSource
from services.journey.domain.enrolment import Enrolment, WaitReason
from services.journey.domain.turn import Actor, TurnResult

CLOSE_S: Final = 5.0
"""Real seconds before a timer in which its actor is not moved: another process, whose clock is ahead, may begin."""


class Awaited(Exception):
    """An actor has something to do still; the message says what."""


def require_rest(
    actor: Actor,
    enrolments: Iterable[Enrolment],
    given: Mapping[int, int],
    now: datetime,
    *,
    rate: float,
) -> None:
    """Raises Awaited unless an actor has taken all mail that was `given`, by source, and nothing moves it for a while.

    A turn works on mail, on timers that are due or on the outcome of a send: of an actor that has none of these no turn
    is under way, and no effect was asked for that is not committed.
    """
    for source, number in given.items():
        if actor.taken.get(source, 0) < number:
            raise Awaited(f"mail {number} of {MailSource(source).name.lower()}")
    soon = now + timedelta(seconds=CLOSE_S * max(rate, 1.0))
    for enrolment in enrolments:
        if enrolment.wait is WaitReason.SEND:
            raise Awaited("a message that is on its way")
        if enrolment.wake_at is not None and enrolment.wake_at <= soon:
            raise Awaited("a timer that is due")


def united_counts(one: Mapping[UUID, int], other: Mapping[UUID, int]) -> dict[UUID, int]:
    """How often a customer entered each journey, under both names."""
    return dict(Counter(one) + Counter(other))


def emptied(actor: Actor) -> TurnResult:
    """The actor of the customer who goes, whom nothing is left of but what it has taken."""
    return _turn(replace(actor, entries={}), (), ())


def enriched(actor: Actor, entries: Mapping[UUID, int], live: Iterable[Enrolment]) -> TurnResult:
    """The actor of the customer who stays, with counts of both and all live enrolments."""
    return _turn(replace(actor, entries=united_counts(actor.entries, entries)), tuple(live), ())


def _turn(actor: Actor, live: tuple[Enrolment, ...], changed: tuple[Enrolment, ...]) -> TurnResult:
    return TurnResult(
        actor,
        min((each.wake_at for each in live if each.wake_at is not None), default=None),
        any(each.wait is WaitReason.SEND for each in live),
        changed,
        (),
        (),
        {},
        frozenset(),
    )
