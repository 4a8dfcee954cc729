"""`make failover`: three hosts under load that die, are cut off and take over from each other, then the check of chaos.

Exits 1 if anything disagrees, 2 if it could not be checked, 3 if this machine cannot have such hosts.
"""

import argparse
import asyncio
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from libs.common.logging import setup_logging
from libs.demo.patience import DemoFault
from tests.chaos.case import Evidence
from tests.chaos.load import DomainTime
from tests.chaos.proofs import Proofs
from tests.chaos.run import FULL, Options, check_all, make_load, members, set_up, until_quiet
from tests.failover import network, stores
from tests.failover.blows import Blows
from tests.failover.site import site
from tools.paths import BUILD

OF_A_ROUND_S: Final = 300.0
"""About how long all blows take once; load lasts as long."""
_LOGS: Final = BUILD / "failover" / "logs"


def main(argv: Sequence[str]) -> int:
    """Runs, prints, and says whether all agrees."""
    parser = argparse.ArgumentParser(prog="failover", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="the order of the blows, and the load")
    parser.add_argument("--rounds", type=int, default=1, help="how many times each blow is dealt")
    parser.add_argument("--orders", type=int, default=FULL.orders)
    given = parser.parse_args(argv)
    seed = given.seed if given.seed is not None else secrets.randbelow(1_000_000)
    setup_logging("failover", "error")  # what a person wants to know is printed here in words
    missing = network.why_not() or stores.why_not()
    if missing:
        print(f"failover was not run: {missing}", file=sys.stderr)
        return 3
    print(f"SEED={seed}", flush=True)
    options = replace(FULL, seed=seed, orders=given.orders, load_s=OF_A_ROUND_S * given.rounds)
    began_s = time.monotonic()
    done: tuple[Proofs, int] | None = None
    try:
        done = asyncio.run(_run(options, given.rounds))
    except* (DemoFault, AssertionError, OSError) as errors:
        for error in errors.exceptions:
            print(f"the run could not be checked: {error!r}; logs in {_LOGS}", file=sys.stderr)
    if done is None:
        return 2
    proofs, blows = done
    for proof in proofs.made:
        mark = "✓" if proof.good else "✗"
        more = "" if proof.good else f"\n      found  {proof.found}\n      wanted {proof.wanted}"
        print(f"  {mark} {proof.what}{more}")
    verdict = f"{len(proofs.bad)} DISAGREE, logs in {_LOGS}" if proofs.bad else "all agree"
    counts = ", ".join(f"{value:,} {name}" for name, value in proofs.counts.items())
    print(
        f"failover: SEED={seed}, {blows} blows to three hosts; {len(proofs.made)} proofs, {verdict}; {counts}; "
        f"{time.monotonic() - began_s:.0f} s"
    )
    return 1 if proofs.bad else 0


async def _run(options: Options, rounds: int) -> tuple[Proofs, int]:
    with tempfile.TemporaryDirectory(prefix="omnijourney-failover-") as temporary:
        directory = Path(temporary)
        try:
            return await _run_in(directory, options, rounds)
        finally:
            shutil.rmtree(_LOGS, ignore_errors=True)
            if (directory / "logs").is_dir():
                shutil.copytree(directory / "logs", _LOGS)


async def _run_in(directory: Path, options: Options, rounds: int) -> tuple[Proofs, int]:
    async with site(directory, random.Random(f"edge {options.seed}")) as place:
        print("three hosts serve; load on, blows:", flush=True)
        shopfront = await set_up(place, members(options))
        clock = await DomainTime.begin(place.client)
        load = make_load(options, place, shopfront, clock)
        blows = Blows(place, lambda line: print(line, flush=True), random.Random(f"blows {options.seed}"))
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run(options.orders, options.load_s))
            group.create_task(blows.deal(rounds))
        print(
            f"load done: {load.accepted.requests:,} requests answered; waiting until all is quiet", flush=True
        )
        now = await until_quiet(place, place.instruments)
        print("quiet; checking", flush=True)
        evidence = Evidence(
            accepted=load.accepted,
            journeys=shopfront.journeys,
            receipts=place.receipts,
            silent_doubles=0,
            now=now,
        )
        proofs = await check_all(place, shopfront, evidence)
        for death, count in sorted(place.deaths.items()):
            print(f"{count:6,} × {death}")
        return proofs, blows.done.total()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
