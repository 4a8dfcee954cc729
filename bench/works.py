"""The works of `make bench W=…`: each starts an installation of its own, checks what came out, and tells its figure."""

from collections.abc import Awaitable, Callable
from typing import Final

from rich.console import Console
from rich.table import Table

from bench import data_works, journey_works
from bench.browsing import console
from bench.result import Result, Wanted
from bench.w1 import w1

N_DEFAULT: Final = {
    "w1": 10_000,
    "w1-http": 2_000,
    "w2": 20_000,
    "w3": 400,
    "w4": 10_000,
    "stop": 20_000,
    "audience": 20_000,
    "simulate": 100_000,
    "channels": 5_000,
    "ledger": 5_000_000,
    "segment": 1_000_000,
    "stats": 1_000,
    "import": 100_000,
    "console": 1_000,
}
"""w2, stop, audience and import aim at 1,000,000 and w4 at 100,000: minutes each on two cores, so they are asked for by
name (`W=w2 N=1000000`)."""


async def run_work(wanted: Wanted) -> Result:
    """Runs one work on servers of its own."""
    return await _WORKS[wanted.work](wanted)


_WORKS: Final[dict[str, Callable[[Wanted], Awaitable[Result]]]] = {
    "w1": w1,
    "w1-http": w1,
    "w2": journey_works.w2_work,
    "w3": journey_works.w3_work,
    "w4": journey_works.w4_work,
    "stop": journey_works.stop_work,
    "audience": journey_works.audience_work,
    "simulate": journey_works.simulate_work,
    "channels": journey_works.channels_work,
    "ledger": data_works.ledger_work,
    "segment": data_works.segment_work,
    "stats": data_works.stats_work,
    "import": data_works.import_work,
    "console": console,
}
WORKS: Final = tuple(_WORKS)


def show(screen: Console, result: Result) -> None:
    """The table of a work, and PostgreSQL's dearest statements."""
    table = Table(f"{result.work}, N={result.n:,}", box=None, pad_edge=False)
    for column in ("measured", "floor", "target"):
        table.add_column(column, justify="right")
    for line in result.lines:
        table.add_row(line.what, line.value, line.floor, line.target)
    screen.print(table)
    for statement in result.statements:
        screen.print(statement, markup=False, highlight=False, no_wrap=True, overflow="crop")
