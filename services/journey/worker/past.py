"""Domain times of the past, by real time: how old in real seconds is what bears a domain time."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Final

SAMPLES: Final = 64
"""Looks that are remembered: what is older than an age is known to be so after this part of it more."""


class Past:
    """Remembers what domain time it was when it was looked at."""

    def __init__(self, age_s: float) -> None:
        """`age_s` real seconds are looked back."""
        self._age_s = age_s
        self._looks: deque[tuple[float, datetime]] = deque()

    def look(self, real_s: float, domain: datetime) -> datetime | None:
        """The domain time of a look at least `age_s` before this one, the latest known; None before there is one.

        What happened at an earlier domain time is older than `age_s`. Neither time runs backwards.
        """
        looks = self._looks
        if not looks or real_s - looks[-1][0] >= self._age_s / SAMPLES:
            looks.append((real_s, domain))
        while len(looks) > 1 and looks[1][0] <= real_s - self._age_s:
            looks.popleft()
        began_s, began = looks[0]
        return began if began_s <= real_s - self._age_s else None
