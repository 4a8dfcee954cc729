"""By which id somebody is known now who was known by another one at a time. Pure.

A channel says when somebody got another id. What was done by the one before until then is theirs, whenever it is told
and whoever has that id by now; what was done later is of whoever has it then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeVar

KEPT: Final = timedelta(days=30)
"""How long it is remembered who had which id: channels repeat what was not taken for seven days."""
STEPS_MAX: Final = 10
"""Changes of one person, one after the other, that are followed."""
Key = TypeVar("Key")


class Move(NamedTuple):
    """An id was given up."""

    moved_at: datetime
    moved_to: str
    """The id on the channel that took its place."""


def id_now(
    moves: Mapping[Key, Sequence[Move]], of: Callable[[str], Key], external_id: str, at: datetime
) -> str:
    """As what somebody is known now who was known by an id at a time. `moves` stand in whatever order below what `of`
    makes of the id that was given up."""
    step = min((each for each in moves.get(of(external_id), ()) if each.moved_at >= at), default=None)
    return external_id if step is None else id_since(moves, of, step.moved_to, step.moved_at)


def id_since(
    moves: Mapping[Key, Sequence[Move]], of: Callable[[str], Key], external_id: str, at: datetime
) -> str:
    """The same of who became known by an id at that very time."""
    while True:
        step = min((each for each in moves.get(of(external_id), ()) if each.moved_at > at), default=None)
        if step is None:
            return external_id
        at, external_id = step
