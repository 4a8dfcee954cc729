"""How long records are kept: what the installation says for everybody, and what teams say themselves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

Own = Callable[[], Awaitable[Mapping[UUID, timedelta]]]
"""Asks which teams say themselves how long something is kept, and how long. Raises Unavailable."""


class Cutoffs(NamedTuple):
    """What came before a time is to go: before which, for the teams that say so themselves, and for all others."""

    others: datetime
    teams: tuple[UUID, ...] = ()
    before: tuple[datetime, ...] = ()
    """One for each of `teams`."""

    @classmethod
    def at(cls, now: datetime, kept: timedelta, own: Mapping[UUID, timedelta]) -> Cutoffs:
        """At `now`, where the installation keeps for `kept`, and some teams for a time of their `own`."""
        return cls(now - kept, tuple(own), tuple(now - each for each in own.values()))


async def nobody() -> Mapping[UUID, timedelta]:
    """Of what no team can say anything about."""
    return {}
