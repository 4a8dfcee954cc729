"""What was called how often, with which answers and how slow at worst."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

COLUMNS: Final = (
    "OK",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "FAILED_PRECONDITION",
    "ALREADY_EXISTS",
    "ABORTED",
    "RESOURCE_EXHAUSTED",
    "UNIMPLEMENTED",
    "PERMISSION_DENIED",
)
"""Codes with a column of their own."""


@dataclass
class Tally:
    """Counts by RPC or endpoint and code."""

    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    worst_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def note(self, name: str, code: str, took_s: float) -> None:
        """One answer."""
        self.counts[name][code] += 1
        self.worst_s[name] = max(self.worst_s[name], took_s)

    def codes(self) -> Counter[str]:
        """Of all."""
        return sum(self.counts.values(), Counter())

    def rows(self) -> list[dict[str, Any]]:
        """By name."""
        return [
            {
                "name": name,
                "cases": counts.total(),
                "codes": dict(counts),
                "worst_ms": round(self.worst_s[name] * 1e3),
            }
            for name, counts in sorted(self.counts.items())
        ]

    def lines(self) -> list[str]:
        """The table for people."""
        short = ["OK", "INVAL", "NOTFND", "PRECON", "EXISTS", "ABORT", "EXHAUS", "UNIMPL", "DENIED", "other"]
        lines = [
            f"{'RPC or endpoint':<58}{'cases':>7}" + "".join(f"{head:>8}" for head in short) + f"{'ms':>8}"
        ]
        for name, counts in sorted(self.counts.items()):
            own = [counts[code] for code in COLUMNS]
            other = counts.total() - sum(own)
            cells = "".join(f"{count or '':>8}" for count in (*own, other))
            lines.append(f"{name[:57]:<58}{counts.total():>7}{cells}{self.worst_s[name] * 1e3:>8.0f}")
        return lines
