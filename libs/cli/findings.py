"""What `omnijourney doctor` finds: how each thing is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a thing is."""

    OK = "ok"
    WARNING = "warning"
    """It works, and may not for long, or not as well as it could."""
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    """What, in a word or two: `PostgreSQL`, `disk`."""
    state: State
    found: str
    """How it is. No secrets."""
    remedy: str = ""
    """What to do, where it is not well."""


def well(subject: str, found: str) -> Finding:
    """Nothing to do."""
    return Finding(subject, State.OK, found)


def warning(subject: str, found: str, remedy: str) -> Finding:
    """Something to look at."""
    return Finding(subject, State.WARNING, found, remedy)


def fault(subject: str, found: str, remedy: str) -> Finding:
    """Something that has to be mended."""
    return Finding(subject, State.FAULT, found, remedy)
