"""What a work is asked for and what it tells."""

from pathlib import Path

import msgspec


class Wanted(msgspec.Struct, frozen=True):
    """One work, and how much of it."""

    work: str
    n: int
    directory: Path
    quick: bool = False
    """w1: one burst with its floors, and nothing beside it."""
    one_process: bool = False
    """w1: all five services in one process."""
    rates: tuple[int, ...] | None = None
    """w1: offered rates a second; None: its own."""
    workers: int = 1
    """w1: processes of journey."""


class Line(msgspec.Struct, frozen=True):
    """One figure with what it is measured against: the target of the product and the floor of the same run."""

    what: str
    value: str
    floor: str = ""
    target: str = ""


class Result(msgspec.Struct, frozen=True):
    """What a work tells: lines for people, everything for machines, and the figure."""

    work: str
    n: int
    lines: list[Line]
    data: dict[str, object]
    statements: list[str]
    figure: str
