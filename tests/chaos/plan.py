"""Which faults happen when: all of it follows from the seed."""

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from libs.common import crash


class Kind(StrEnum):
    """A kind of fault."""

    KILL = "kill -9"
    FREEZE = "stop and continue"
    VALKEY_FLUSH = "Valkey FLUSHALL"
    VALKEY_KILL = "Valkey kill -9"
    VALKEY_FREEZE = "Valkey stop and continue"
    POSTGRES_RESTART = "PostgreSQL fast shutdown"
    POSTGRES_KILL = "PostgreSQL kill -9"
    LINK_CUT = "connections cut"
    LINK_STALL = "link stalled"
    ANSWERS_STALL = "answers stalled"
    LINK_SLOW = "link slow"
    CHANNEL = "channel fault"


PROCESSES: Final = (
    "journey",
    "journey-2",
    "channel_gateway",
    "segment",
    "points",
    "stats",
    "emulators",
)
LINKS: Final = ("postgres", "valkey", "segment", "points", "channel_gateway", "journey")
CHANNEL_FAULTS: Final = (
    "error_before",
    "error_after",
    "timeout_before",
    "timeout_after",
    "reset_after",
    "delay",
    "rate",
)
_WEIGHTS: Final = {
    Kind.KILL: 6,
    Kind.FREEZE: 3,
    Kind.VALKEY_FLUSH: 2,
    Kind.VALKEY_KILL: 1,
    Kind.VALKEY_FREEZE: 1,
    Kind.POSTGRES_RESTART: 1,
    Kind.POSTGRES_KILL: 1,
    Kind.LINK_CUT: 4,
    Kind.LINK_STALL: 2,
    Kind.ANSWERS_STALL: 2,
    Kind.LINK_SLOW: 1,
    Kind.CHANNEL: 6,
}
_SPANS_S: Final = {
    # Beyond the lease: the worker that wakes up is a zombie.
    Kind.FREEZE: (2.5, 7.0),
    Kind.VALKEY_FREEZE: (0.5, 4.0),
    Kind.LINK_STALL: (1.0, 8.0),
    # Beyond the deadlines of calls: the server has done the work, the caller gave up.
    Kind.ANSWERS_STALL: (2.0, 14.0),
    Kind.LINK_SLOW: (2.0, 6.0),
}
CRASH_PROBABILITY: Final = 0.001
"""At each pass of each point; most points are passed some times a second."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One planned fault. Times in real seconds since the load began."""

    at_s: float
    kind: Kind
    target: str = ""
    lasts_s: float = 0.0
    detail: str = ""
    count: int = 1

    @property
    def what(self) -> str:
        """The fault in words, without its time."""
        parts = [str(self.kind)]
        if self.target:
            parts.append(self.target)
        if self.detail:
            parts.append(f"{self.detail} ×{self.count}")
        if self.lasts_s:
            parts.append(f"for {self.lasts_s:.1f} s")
        return " ".join(parts)


def make_plan(seed: int, duration_s: float, count: int) -> list[Fault]:
    """`count` faults over `duration_s`, spread evenly with some chance; each kind comes once before any is drawn."""
    rng = random.Random(f"plan {seed}")
    kinds = list(Kind)
    rng.shuffle(kinds)
    kinds = kinds[:count]
    kinds += rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=count - len(kinds))
    rng.shuffle(kinds)
    step_s = duration_s / max(1, count)
    return [_fault(rng, kind, (index + rng.random()) * step_s) for index, kind in enumerate(kinds)]


def _fault(rng: random.Random, kind: Kind, at_s: float) -> Fault:
    lasts_s = rng.uniform(*_SPANS_S[kind]) if kind in _SPANS_S else 0.0
    if kind in (Kind.KILL, Kind.FREEZE):
        return Fault(at_s, kind, rng.choice(PROCESSES), lasts_s)
    if kind is Kind.ANSWERS_STALL:
        return Fault(at_s, kind, rng.choice(LINKS[2:]), lasts_s)
    if kind in (Kind.LINK_CUT, Kind.LINK_STALL, Kind.LINK_SLOW):
        return Fault(at_s, kind, rng.choice(LINKS), lasts_s)
    if kind is Kind.CHANNEL:
        channel, fault = rng.choice(("whatsapp", "line")), rng.choice(CHANNEL_FAULTS)
        return Fault(at_s, kind, channel, 0.0, fault, rng.randint(1, 5))
    return Fault(at_s, kind, "", lasts_s)


def crash_spec(seed: int, probability: float = CRASH_PROBABILITY) -> str:
    """Half of the named points, by seed, as `OMNIJOURNEY_CRASH_POINTS`."""
    rng = random.Random(f"points {seed}")
    names = sorted(rng.sample(sorted(crash.POINTS), k=len(crash.POINTS) // 2))
    return ",".join(f"{name}:{probability}:{seed}" for name in names)
