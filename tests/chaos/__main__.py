"""`make chaos`: the full run; `--seed` replays a plan. Exits 1 if anything disagrees, 2 if it could not be checked."""

import argparse
import asyncio
import dataclasses
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from libs.common.logging import setup_logging
from libs.demo.patience import DemoFault
from libs.embedded import EmbeddedError
from tests.chaos.run import FULL, SHORT, Options, Report, run


def _options(argv: Sequence[str]) -> tuple[Options, Path | None]:
    parser = argparse.ArgumentParser(prog="chaos", description="load under faults, then an independent check")
    parser.add_argument("--seed", type=int, default=None, help="replays the plan of that seed")
    parser.add_argument("--short", action="store_true", help="the form that the tests run")
    parser.add_argument("--seconds", type=float, default=None, help="how long the load lasts")
    parser.add_argument("--faults", type=int, default=None)
    parser.add_argument("--orders", type=int, default=None)
    parser.add_argument(
        "--data-dir", type=Path, default=None, help="kept afterwards; default: one that is not"
    )
    given = parser.parse_args(argv)
    options = SHORT if given.short else FULL
    seed = given.seed if given.seed is not None else secrets.randbelow(1_000_000)
    changes = {"load_s": given.seconds, "faults": given.faults, "orders": given.orders}
    chosen = {name: value for name, value in changes.items() if value is not None}
    return dataclasses.replace(options, seed=seed, **chosen), given.data_dir


def _show(report: Report) -> None:
    for proof in report.proofs.made:
        if proof.good:
            print(f"  ✓ {proof.what}")
        else:
            print(f"  ✗ {proof.what}\n      found  {proof.found}\n      wanted {proof.wanted}")
    print("injected:", *report.injected, sep="\n")


def main(argv: Sequence[str]) -> int:
    """Runs, prints, and says whether all agrees."""
    setup_logging("chaos", "error")  # what a person wants to know is printed here in words
    options, directory = _options(argv)
    print(f"SEED={options.seed}", flush=True)
    began_s = time.monotonic()
    report: Report | None = None
    try:
        report = asyncio.run(run(options, lambda line: print(line, flush=True), directory))
    except* (DemoFault, EmbeddedError, AssertionError, OSError) as errors:
        for error in errors.exceptions:
            print(f"the run could not be checked: {error!r}", file=sys.stderr)
    if report is None:
        print(f"chaos: FAILED, replay with SEED={options.seed}; {time.monotonic() - began_s:.0f} s")
        return 2
    _show(report)
    print(f"SEED={options.seed}")
    print(report.last_line)
    return 1 if report.bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
