"""Many seeded runs: `python -m tests.sim --runs 2000`; `SEED=n` replays one. Exits 1 if anything was wrong."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter
from multiprocessing import Pool

from tests.sim.site import run

SHOWN = 5
"""Failed seeds that are told in full."""


def _judged(seed: int) -> tuple[int, dict[str, int], list[str]]:
    site, wrong = run(seed)
    return seed, dict(site.chance.struck) if site else {}, wrong


def main() -> int:
    """Runs, and tells what was injected and what was wrong."""
    parser = argparse.ArgumentParser(prog="make sim")
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    seed = os.environ.get("SEED")
    first = int(seed) if seed else random.SystemRandom().randrange(1_000_000_000)
    seeds = range(first, first + (1 if seed else given.runs))
    started, struck, failed = time.monotonic(), Counter[str](), 0
    with Pool(given.jobs if len(seeds) > 1 else 1) as pool:
        for number, faults, wrong in pool.imap_unordered(_judged, seeds, chunksize=4):
            struck.update(faults)
            failed += bool(wrong)
            if wrong and failed <= SHOWN:
                print(f"SEED={number}", *wrong[:5], sep="\n   ")
    seconds = time.monotonic() - started
    for fault, count in struck.most_common():
        print(f"  {count:7,}  {fault}")
    rate = len(seeds) / seconds * 60
    print(
        f"{len(seeds):,} runs from SEED={first}, {sum(struck.values()):,} faults, {failed} wrong, {rate:,.0f} runs/min"
    )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
