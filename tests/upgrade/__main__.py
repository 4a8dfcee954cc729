"""`make upgrade`: a release is replaced by this one under load; `--from` another revision than the release before.

Exits 1 if anything disagrees, 2 if it could not be checked, and 0 with a reason if the release is not at hand.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from libs.common.logging import setup_logging
from libs.demo.patience import DemoFault
from libs.embedded import EmbeddedError
from tests.chaos.case import Evidence
from tests.chaos.load import DomainTime, Load
from tests.chaos.proofs import Proofs
from tests.chaos.run import FIRST_MEMBER, check_all, count_anew, keep_logs, set_up, until_quiet, wrong_figures
from tests.upgrade.release import Absent, Release, release_before
from tests.upgrade.rolling import ORDER, Rolling, rolling
from tools.paths import BUILD

MEMBERS: Final = range(FIRST_MEMBER, FIRST_MEMBER + 40)
_STEP_ORDERS: Final = 40
_STEP_S: Final = 2.0
"""Load before and after the upgrade, and between two services of it; meanwhile it goes on as long as it takes."""


async def upgrade(directory: Path, before: Release, now: Release, seed: int) -> tuple[Proofs, Rolling]:
    """One run: the proofs, and what was answered."""
    async with rolling(directory, before) as site:
        print(f"{before.name} serves", flush=True)
        shopfront = await set_up(site, MEMBERS)
        clock = await DomainTime.begin(site.client)
        load = Load(
            site.client,
            site.session,
            site.http_url,
            shopfront=shopfront,
            members=MEMBERS,
            clock=clock,
            seed=seed,
        )
        await load.run(_STEP_ORDERS, _STEP_S)
        async with asyncio.TaskGroup() as group:
            replacing = group.create_task(_replace_all(site, now, load))
            while not replacing.done():
                await load.run(_STEP_ORDERS, _STEP_S)
        await load.again(random.Random(seed), 20)
        print(
            f"load done: {load.accepted.requests:,} requests answered; waiting until all is quiet", flush=True
        )
        evidence = Evidence(
            accepted=load.accepted,
            journeys=shopfront.journeys,
            receipts=site.receipts,
            silent_doubles=0,
            now=await until_quiet(site),
        )
        await _look_at_figures(site, shopfront.team_id, before)
        proofs = await check_all(site, shopfront, evidence)
        await site.count()
    proofs.same("answers that nobody should get", site.faults, {})
    proofs.same("exit codes of the processes that were replaced", site.ends, dict.fromkeys(ORDER, 0))
    return proofs, site


async def _replace_all(site: Rolling, now: Release, load: Load) -> None:
    await site.migrate(now)
    print(
        f"the database is that of {now.name}, and {load.accepted.requests:,} requests are answered",
        flush=True,
    )
    for service in ORDER:
        before = load.accepted.requests
        await site.replace(service, now)
        print(f"{service} is replaced; {load.accepted.requests - before:,} requests meanwhile", flush=True)
        while load.accepted.requests < before + 5:  # the releases work side by side
            await asyncio.sleep(0.05)


async def _look_at_figures(site: Rolling, team_id: str, before: Release) -> None:
    """The last step of docs/upgrading.md: what this release counts and the one before did not is counted anew."""
    if wrong := await wrong_figures(site, team_id):
        await count_anew(site, team_id)
        print(f"{len(wrong)} figures differ since {before.name}, and are counted anew:", flush=True)
        print(*(f"  {' '.join(str(each).split())}" for each in wrong), sep="\n", flush=True)


def main(argv: Sequence[str]) -> int:
    """Runs, prints, and says whether all agrees."""
    parser = argparse.ArgumentParser(
        prog="upgrade", description="a rolling upgrade under load, then an independent check"
    )
    parser.add_argument(
        "--from", dest="revision", default="", help="a revision of git; default: the release before"
    )
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(argv)
    setup_logging("upgrade", "error")
    began_s = time.monotonic()
    try:
        before = Release.of(given.revision or release_before())
    except Absent as absent:
        print(f"upgrade: skipped, {absent}")
        return 0
    proofs: Proofs | None = None
    with tempfile.TemporaryDirectory(prefix="omnijourney-upgrade-") as made:
        directory = Path(made)
        directory.chmod(0o755)
        try:
            proofs, site = asyncio.run(upgrade(directory, before, Release.here(), given.seed))
        except* (Absent, DemoFault, EmbeddedError, AssertionError, OSError) as errors:
            for error in errors.exceptions:
                print(f"the run could not be checked: {error}", file=sys.stderr)
        if (proofs is None or proofs.bad) and (
            kept := keep_logs(directory, given.seed, BUILD / "upgrade" / "logs")
        ):
            print(f"the logs are in {kept}")
    if proofs is None:
        return 2
    for proof in proofs.bad:
        print(f"  ✗ {proof.what}\n      found  {proof.found}\n      wanted {proof.wanted}")
    codes = {code: sum(n for (_, c), n in site.answers.items() if c == code) for _, code in site.answers}
    counts = ", ".join(f"{value:,} {name}" for name, value in proofs.counts.items())
    verdict = "all agree" if not proofs.bad else f"{len(proofs.bad)} DISAGREE"
    print(f"answers: {', '.join(f'{count:,} {code}' for code, count in sorted(codes.items()))}")
    took = f"{time.monotonic() - began_s:.0f} s"
    print(f"upgrade from {before.name}: {len(proofs.made)} proofs, {verdict}; {counts}; {took}")
    return 1 if proofs.bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
