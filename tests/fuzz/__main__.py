"""`make fuzz`: the full run; `--seed` and `--first` replay from a chunk. Exits 1 if anything came that must not, 2 if
it could not be run."""

import argparse
import asyncio
import dataclasses
import secrets
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from libs.common.logging import setup_logging
from libs.embedded import EmbeddedError
from tests.fuzz.run import FULL, SHORT, Options, Report, run, save
from tools.paths import BUILD


def _options(argv: Sequence[str]) -> tuple[Options, Path | None]:
    parser = argparse.ArgumentParser(prog="fuzz", description="odd requests to every RPC and endpoint")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--cases", type=int, default=None)
    parser.add_argument("--chunk", type=int, default=None)
    parser.add_argument("--first", type=int, default=None, help="number of the first case")
    parser.add_argument("--only", default=None, help="part of the names of RPCs")
    parser.add_argument("--short", action="store_true", help="the form that the tests run")
    parser.add_argument(
        "--data-dir", type=Path, default=None, help="kept afterwards; default: one that is not"
    )
    given = parser.parse_args(argv)
    seed = given.seed if given.seed is not None else secrets.randbelow(1_000_000)
    names = ("cases", "chunk", "first", "only")
    chosen = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    return dataclasses.replace(SHORT if given.short else FULL, seed=seed, **chosen), given.data_dir


def show(report: Report) -> None:
    """Prints the table and what is bad."""
    print(*report.tally.lines(), sep="\n")
    memory = report.memory
    for service, start in memory.start.items():
        peak, end = memory.peak[service], memory.end[service]
        print(f"memory {service:<16} start {start:6.0f}  peak {peak:6.0f}  end {end:6.0f} MiB")
    for fault in report.faults[:200]:
        print({name: value for name, value in fault.items() if name != "base64"})
    kinds = Counter(fault["what"] for fault in report.faults)
    codes = report.tally.codes()
    print("codes:", ", ".join(f"{count:,} {code}" for code, count in codes.most_common()))
    print("log lines:", dict(report.log_levels))
    print(
        f"fuzz: SEED={report.options.seed}, {report.options.cases:,} cases, {codes.total():,} calls,"
        f" {len(report.tally.counts)} RPCs and endpoints; {report.orders} orders of another team, worst"
        f" {report.worst_order_s:.2f} s; {dict(kinds) or 'no faults'}; {report.wall_s:.0f} s"
    )


def main(argv: Sequence[str]) -> int:
    """Runs, prints, saves, and says whether all is well."""
    setup_logging("fuzz", "error")
    options, directory = _options(argv)
    print(f"SEED={options.seed}", flush=True)
    try:
        report = asyncio.run(run(options, lambda line: print(line, flush=True), directory))
    except (EmbeddedError, OSError) as error:
        print(f"it could not be run: {error!r}", file=sys.stderr)
        return 2
    show(report)
    save(report, BUILD / "fuzz.json")
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
