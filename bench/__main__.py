"""``make bench``: measures against servers of its own, in a directory of its own; a table, and JSON under build/."""

import os
import platform
import sys
import tempfile
from typing import Final

import msgspec
import uvloop
from rich import box
from rich.console import Console
from rich.table import Table

from bench import histories, mailboxes
from bench.measure import Figure, Meter
from libs.common.embedded import start_embedded
from tools.paths import BUILD, ROOT

_REPORT: Final = BUILD / "bench.json"


class Report(msgspec.Struct, frozen=True):
    """The figures, and the machine that they hold for."""

    machine: str
    cpus: int
    python: str
    figures: list[Figure]


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
    """Measures, prints, writes the report."""
    figures = uvloop.run(measure())
    report = Report(platform.platform(), os.cpu_count() or 1, platform.python_version(), figures)
    BUILD.mkdir(exist_ok=True)
    _REPORT.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    Console().print(table(figures))
    print(f"{_REPORT.relative_to(ROOT)} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
