"""Which faults happen when: all of it follows from the seed."""

import dataclasses
import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from libs.common import crash


class Kind(StrEnum):
    """A kind of fault."""

    KILL = "kill -9"
    CRASH_POINT = "kill -9 at a named point"
    FREEZE = "stop and continue"
    VALKEY_FLUSH = "Valkey FLUSHALL"
    VALKEY_KILL = "Valkey kill -9"
    VALKEY_FREEZE = "Valkey stop and continue"
    POSTGRES_RESTART = "PostgreSQL fast shutdown"
    POSTGRES_KILL = "PostgreSQL kill -9"
    LINK_CUT = "connections cut"
    LINK_STALL = "link stalled"
    ANSWERS_STALL = "answers stalled, then lost"
    LINK_SLOW = "link slow"
    CHANNEL = "channel fault"
    MAIL_AGAIN = "old mail delivered again"
    REPORTS_AGAIN = "old reports sent again"


WORKERS: Final = ("journey", "journey-2")
PROCESSES: Final = (*WORKERS, "channel_gateway", "segment", "points", "stats", "emulators")
SERVERS: Final = ("postgres", "valkey")
CALLED: Final = ("segment", "points", "channel_gateway", "journey")
NOT_PASSED: Final = frozenset(
    {
        *("points.before_chunk_commit", "points.after_chunk"),
        *("journey.after_found", "journey.before_hand", "journey.after_hand"),
        "segment.after_merge_step",
    }
)
"""Named points that this load does not come by: it imports nothing, triggers no audience, and merges
nobody. The tests of these are killed there."""
POINTS: Final = tuple(sorted(crash.POINTS.keys() - NOT_PASSED))
MAIL_SOURCES: Final = ("segment", "channel_gateway", "journey")
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
    Kind.CRASH_POINT: 3,
    Kind.FREEZE: 3,
    Kind.VALKEY_FLUSH: 2,
    Kind.VALKEY_KILL: 1,
    Kind.VALKEY_FREEZE: 1,
    Kind.POSTGRES_RESTART: 1,
    Kind.POSTGRES_KILL: 1,
    Kind.LINK_CUT: 4,
    Kind.LINK_STALL: 2,
    Kind.ANSWERS_STALL: 3,
    Kind.LINK_SLOW: 1,
    Kind.CHANNEL: 6,
    Kind.MAIL_AGAIN: 2,
    Kind.REPORTS_AGAIN: 2,
}
_TARGETS: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.KILL: PROCESSES,
    Kind.CRASH_POINT: POINTS,
    Kind.FREEZE: PROCESSES,
    Kind.LINK_CUT: (*SERVERS, *CALLED),
    Kind.LINK_STALL: (*SERVERS, *CALLED),
    Kind.ANSWERS_STALL: (*SERVERS, *CALLED),
    Kind.LINK_SLOW: (*SERVERS, *CALLED),
    Kind.CHANNEL: CHANNEL_FAULTS,
    Kind.MAIL_AGAIN: MAIL_SOURCES,
}
"""What a kind may strike; for a channel the way in which it fails."""
_PROMISED: Final[dict[Kind, tuple[str, ...]]] = {
    **_TARGETS,
    Kind.FREEZE: WORKERS,
    Kind.LINK_CUT: SERVERS,
    Kind.LINK_STALL: SERVERS,
    Kind.LINK_SLOW: SERVERS[:1],
}
"""What a full run strikes in any case, before anything is drawn."""
_SPANS_S: Final = {
    # Beyond the lease: the worker that wakes up is a zombie.
    Kind.FREEZE: (2.5, 7.0),
    Kind.VALKEY_FREEZE: (0.5, 4.0),
    Kind.LINK_STALL: (1.0, 8.0),
    # Beyond the deadlines of calls: the server has done the work, the caller gave up.
    Kind.ANSWERS_STALL: (2.0, 14.0),
    Kind.LINK_SLOW: (2.0, 6.0),
}
APART: Final = 5
"""A process is struck again after so many faults at the earliest."""
_ENDS_PROCESS: Final = frozenset({Kind.KILL, Kind.CRASH_POINT})
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
            parts.append(f"{self.detail} ×{self.count}" if self.kind is Kind.CHANNEL else self.detail)
        if self.lasts_s:
            parts.append(f"for {self.lasts_s:.1f} s")
        return " ".join(parts)


def make_plan(seed: int, duration_s: float, count: int) -> list[Fault]:
    """`count` faults over `duration_s`, spread evenly with some chance.

    What is promised comes first, as far as `count` goes: each kind once, then twice, and so on; the rest is drawn.
    """
    rng = random.Random(f"plan {seed}")
    strikes = _promised(rng)[:count]
    drawn = rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=count - len(strikes))
    strikes += [(kind, rng.choice(_TARGETS.get(kind, ("",)))) for kind in drawn]
    rng.shuffle(strikes)
    faults = _apart([_fault(rng, kind, target) for kind, target in strikes])
    step_s = duration_s / max(1, count)
    return [
        dataclasses.replace(fault, at_s=(index + rng.random()) * step_s) for index, fault in enumerate(faults)
    ]


def _apart(faults: list[Fault]) -> list[Fault]:
    """In about their order, but no process is struck again while it is hardly up, as far as that can be had."""
    ordered: list[Fault] = []
    waiting = list(faults)
    while waiting:
        recent = {fault.target for fault in ordered[-APART:] if fault.kind in _ENDS_PROCESS}
        free = (f for f in waiting if f.kind not in _ENDS_PROCESS or f.target not in recent)
        chosen = next(free, waiting[0])
        waiting.remove(chosen)
        ordered.append(chosen)
    return ordered


def promised_count() -> int:
    """How many faults a plan needs to have all that is promised."""
    return sum(len(_PROMISED.get(kind, ("",))) for kind in Kind)


def _promised(rng: random.Random) -> list[tuple[Kind, str]]:
    rounds: list[tuple[int, Kind, str]] = []
    kinds = list(Kind)
    rng.shuffle(kinds)
    for kind in kinds:
        targets = list(_PROMISED.get(kind, ("",)))
        rng.shuffle(targets)
        rounds += [(index, kind, target) for index, target in enumerate(targets)]
    return [(kind, target) for _, kind, target in sorted(rounds, key=lambda strike: strike[0])]


def _fault(rng: random.Random, kind: Kind, target: str) -> Fault:
    """A fault that has no time yet."""
    at_s = 0.0
    lasts_s = rng.uniform(*_SPANS_S[kind]) if kind in _SPANS_S else 0.0
    if kind is Kind.CHANNEL:
        return Fault(at_s, kind, rng.choice(("whatsapp", "line")), 0.0, target, rng.randint(1, 5))
    if kind is Kind.CRASH_POINT:
        return Fault(at_s, kind, rng.choice(_processes_of(target)), detail=target)
    return Fault(at_s, kind, target, lasts_s)


def _processes_of(point: str) -> tuple[str, ...]:
    """Who comes by a named point."""
    owner, _, _ = point.partition(".")
    if owner == "relay":
        return MAIL_SOURCES
    return {"journey": WORKERS, "gateway": ("channel_gateway",)}.get(owner, (owner,))


def crash_spec(seed: int, probability: float = CRASH_PROBABILITY) -> str:
    """Half of the named points, by seed, as `OMNIJOURNEY_CRASH_POINTS`."""
    rng = random.Random(f"points {seed}")
    names = sorted(rng.sample(POINTS, k=len(POINTS) // 2))
    return ",".join(f"{name}:{probability}:{seed}" for name in names)
