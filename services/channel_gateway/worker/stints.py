"""Stints: stretches of a sender's sends, each of which stands in the database until all of its sends are settled.

Whoever looks for unsettled sends looks through the stints that stand there, so a stint is to hold neither many sends
nor few.
"""

from __future__ import annotations

import time
from typing import Final
from uuid import UUID

from libs.common.ids import new_id

SENDS_MAX: Final = 1_000
"""Sends of one stint, but for those of its last batch."""
AGE_MAX_S: Final = 30.0
"""Real seconds after which a stint takes no more sends."""


class Stints:
    """The stints of one sender; only the last one takes sends."""

    def __init__(self) -> None:
        """None yet."""
        self._current: UUID | None = None
        self._left = 0
        self._until_s = 0.0

    def take(self, sends: int) -> UUID:
        """The stint for so many new sends."""
        if self.current is None or self._left <= 0:
            self._current, self._left = new_id(), SENDS_MAX
            self._until_s = time.monotonic() + AGE_MAX_S
        self._left -= sends
        assert self._current is not None
        return self._current

    @property
    def current(self) -> UUID | None:
        """The one that takes sends; None: the next sends begin another one."""
        if time.monotonic() >= self._until_s:
            self._current = None
        return self._current
