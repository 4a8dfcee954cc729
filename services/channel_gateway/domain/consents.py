"""Who wants messages, and who wants none: what was said last decides. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final, NamedTuple
from uuid import UUID

ALL_CHANNELS: Final = 0
PERSONS_MAX: Final = 1_000
"""Ids of one customer on channels."""
NOTE_MAX: Final = 500
ACTOR_MAX: Final = 200
_MOMENT: Final = timedelta(microseconds=1)


class ConsentState(IntEnum):
    """Numbers of the contract's enum."""

    GIVEN = 1
    WITHDRAWN = 2


class ConsentSource(IntEnum):
    """Numbers of the contract's enum."""

    API = 1
    CHAT = 2
    CHANNEL = 3
    IMPORT = 4


class Consenting(NamedTuple):
    """A customer, and by channel and id who they are there."""

    team_id: UUID
    customer_id: UUID
    persons: tuple[tuple[int, str], ...]


class Statement(NamedTuple):
    """What was said last of a channel, or of all, by a customer or by a person on it. The row of `find_statements`."""

    channel: int
    withdrawn: bool
    source: int
    changed_at: datetime
    by_customer: bool = True

    @property
    def state(self) -> ConsentState:
        """As the contract says it."""
        return ConsentState.WITHDRAWN if self.withdrawn else ConsentState.GIVEN


class ConsentChange(NamedTuple):
    """A change as it is kept. The row of `list_consent_changes`."""

    change_id: UUID
    channel: int
    withdrawn: bool
    before_state: int
    source: int
    note: str
    actor: str
    changed_at: datetime


class NewStatement(NamedTuple):
    """What a team's people record."""

    channel: int
    state: ConsentState
    source: ConsentSource
    note: str
    actor: str


def holding(statements: Iterable[Statement], channel: int) -> Statement | None:
    """What holds on a channel: what was said last of it or of all, as `wants_none` in SQL; None: nothing was said."""
    concerning = [each for each in statements if each.channel in (ALL_CHANNELS, channel)]
    last = max(concerning, key=lambda each: (each.changed_at, each.withdrawn), default=None)
    return None if last is None else last._replace(channel=channel)


def holding_each(statements: Iterable[Statement]) -> list[Statement]:
    """What holds on each channel of which something was said, in order."""
    said = list(statements)
    found = (holding(said, channel) for channel in sorted({each.channel for each in said}))
    return [each for each in found if each is not None]


def time_to_say(statements: Iterable[Statement], channel: int, now: datetime) -> datetime:
    """When a statement is made that is to hold from now on: later than what it overrules, be that ahead of us."""
    return max([now, *(each.changed_at + _MOMENT for each in statements if concerns(each, channel))])


def concerns(statement: Statement, channel: int) -> bool:
    """Whether what is said of a channel, or of all, overrules a statement."""
    return channel == ALL_CHANNELS or statement.channel in (ALL_CHANNELS, channel)
