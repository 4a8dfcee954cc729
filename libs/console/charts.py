"""Figures by steps as bars of an SVG, which the server draws: no script, and a table of the same beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

WIDTH: Final = 720
HEIGHT: Final = 160
_LEAST: Final = 1
"""What is more than nothing is seen, however small it is beside the rest."""


class Bar(NamedTuple):
    """One step, in the units of the drawing."""

    x: float
    y: float
    width: float
    height: float
    label: str
    """When, as people read it."""
    value: int


def bars(points: Sequence[tuple[str, int]]) -> list[Bar]:
    """One bar for each step, side by side, the highest as high as the drawing. Values below zero are drawn as zero."""
    if not points:
        return []
    most = max(1, *(value for _, value in points))
    step = WIDTH / len(points)
    return [
        Bar(
            round(number * step, 2),
            round(HEIGHT - _height(value, most), 2),
            round(max(step - 1, step / 2), 2),
            round(_height(value, most), 2),
            label,
            value,
        )
        for number, (label, value) in enumerate(points)
    ]


def _height(value: int, most: int) -> float:
    return max(_LEAST, value / most * HEIGHT) if value > 0 else 0.0
