"""All chance of a run, from one seed, and the faults that it may strike with."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


class Crashed(BaseException):
    """The process is gone: nothing of it runs on, and nothing of it catches this."""


@dataclass
class Chance:
    """Decides by a seeded generator; counts the faults it has injected, by kind."""

    seed: int
    faults_left: int = 0
    calm: bool = False
    struck: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.faults_left = self.random.randint(0, 12)

    def strikes(self, kind: str, rate: float) -> bool:
        """True, at most `faults_left` times, if a fault of this kind happens here and now."""
        if self.calm or self.faults_left <= 0 or self.random.random() >= rate:
            return False
        self.faults_left -= 1
        self.note(kind)
        return True

    def note(self, kind: str) -> None:
        """Counts a fault."""
        self.struck[kind] = self.struck.get(kind, 0) + 1

    def some(self, most: float) -> float:
        """A time between 0 and `most`, most of them short."""
        return most * self.random.random() ** 3
