"""Prints what overload does to both teams: `python -m tests.overload`. Exits 1 if an order is missing."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from typing import Final

import structlog

from tests.overload.site import site
from tests.overload.story import Figures, Overload, run

FULL: Final = (
    Overload("40 orders of 1,000 lines, eight at a time", orders=40, lines=1_000, at_once=8),
    Overload(
        "2,100 orders of 100 lines, stats stopped for 60 s", 2_100, 100, 16, stopped="stats", stop_s=60.0
    ),
    Overload(
        "2,100 orders of 100 lines, segment stopped for 60 s", 2_100, 100, 16, stopped="segment", stop_s=60.0
    ),
)


CALM_S: Final = 10.0
"""So long the other team is watched before the load."""


def told(figures: Figures) -> str:
    """A paragraph for people."""
    return (
        f"{figures.overload.name} ({figures.megabytes:.0f} MB)\n"
        f"  accepted {figures.accepted}, recorded {figures.recorded}, counted {figures.counted},"
        f" set aside {figures.set_aside}; {figures.took_s:.1f} s until all was counted\n"
        f"  the other team: {figures.neighbour_orders} orders, {figures.neighbour_recorded} recorded;"
        f" from receipt to record {_spread(figures.delays_s)} (before the load {_spread(figures.calm_delays_s)})\n"
        f"  {'complete' if figures.complete else 'NOT COMPLETE'}"
    )


def _spread(delays_s: Sequence[float]) -> str:
    delays = sorted(delays_s) or [float("nan")]
    return f"median {delays[len(delays) // 2]:.2f} s, longest {delays[-1]:.2f} s"


async def overload(only: int | None) -> bool:
    """Runs all, or one, each on an installation of its own."""
    complete = True
    for number, each in enumerate(FULL, 1):
        if only in (None, number):
            async with site() as running:
                figures = await run(running, each, CALM_S)
            print(told(figures), flush=True)
            complete = complete and figures.complete
    return complete


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="make overload")
    parser.add_argument("--only", type=int, choices=range(1, len(FULL) + 1))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    return 0 if asyncio.run(overload(parser.parse_args().only)) else 1


if __name__ == "__main__":
    sys.exit(main())
