"""``make bench``: measures against servers of its own, in a directory of its own; tables, and JSON under build/.

Without a work it measures the hot paths alone (mailboxes, histories) and then every work;
`--work w1 --n 10000` one work.
"""

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec
import uvloop
from rich import box
from rich.console import Console
from rich.table import Table

from bench import histories, mailboxes
from bench.measure import Figure, Meter
from bench.result import Result, Wanted
from bench.works import N_DEFAULT, WORKS, run_work, show
from libs.common.logging import setup_logging
from libs.embedded import start_embedded
from tools.paths import BUILD, ROOT

_REPORT: Final = BUILD / "bench.json"
_WIDTH: Final = 110


class Report(msgspec.Struct, frozen=True):
    """The figures, and the machine that they hold for."""

    machine: str
    cpus: int
    python: str
    load_before: float
    """Load average of the machine before: on a busy one trust the CPU times more than the rates."""
    figures: list[Figure]
    works: list[Result]


async def measure() -> list[Figure]:
    """Starts the servers, takes all figures, stops the servers."""
    meter = Meter()
    with tempfile.TemporaryDirectory(prefix="omnijourney-bench-") as data_dir:
        servers = await start_embedded(data_dir)
        try:
            await mailboxes.run(servers.redis_url, meter)
            await histories.run(servers.postgres_dsn, meter)
        finally:
            await servers.stop()
    return meter.figures()


def table(figures: list[Figure]) -> Table:
    """One row for each figure."""
    shown = Table("what", box=box.SIMPLE_HEAD)
    for column in ("batch", "a second", "client µs each"):
        shown.add_column(column, justify="right")
    for figure in figures:
        cost = f"{figure.client_us:,.1f}"
        shown.add_row(figure.name, str(figure.batch), f"{figure.rate_per_s:,.0f}", cost)
    return shown


def main() -> int:
    """Measures, prints, writes the report. The last line is the figure."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--work", choices=WORKS, help="one work alone")
    parser.add_argument("--n", type=int, help="its size: journeys, sleepers, or events of each customer (w3)")
    parser.add_argument("--quick", action="store_true", help="w1: one burst and its floors alone")
    parser.add_argument("--one-process", action="store_true", help="w1: the five services in one process")
    parser.add_argument("--workers", type=int, default=1, help="w1: processes of journey")
    parser.add_argument("--rates", help="w1: offered rates a second, such as 10,100,300")
    options = parser.parse_args()
    setup_logging("bench", "warning")
    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
    load = os.getloadavg()[0]
    figures: list[Figure] = []
    if options.work is None:
        figures = uvloop.run(measure())
        console.print(table(figures))
    results = []
    for work in (options.work,) if options.work else WORKS:
        results.append(_run(work, options))
        show(console, results[-1])
    _write(
        Report(platform.platform(), os.cpu_count() or 1, platform.python_version(), load, figures, results),
        options,
    )
    print(f"load {load:.1f} before, {os.getloadavg()[0]:.1f} now, on {os.cpu_count()} cores")
    for result in results:
        print(result.figure)
    return 0


def _run(work: str, options: argparse.Namespace) -> Result:
    rates = tuple(map(int, options.rates.split(","))) if options.rates else None
    with tempfile.TemporaryDirectory(prefix="omnijourney-bench-") as directory:
        wanted = Wanted(
            work,
            options.n or N_DEFAULT[work],
            Path(directory),
            options.quick,
            options.one_process,
            rates,
            options.workers,
        )
        return uvloop.run(run_work(wanted))


def _write(report: Report, options: argparse.Namespace) -> None:
    BUILD.mkdir(exist_ok=True)
    path = BUILD / f"bench-{options.work}.json" if options.work else _REPORT
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    print(f"{path.relative_to(ROOT)} written")


if __name__ == "__main__":
    sys.exit(main())
