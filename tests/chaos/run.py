"""One run of chaos: start, load under faults, wait until all is quiet, check."""

import asyncio
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from libs.client.long_work import ended
from libs.common.ids import new_id
from libs.common.rpc.client import retrying
from libs.common.rpc.values import datetime_of
from libs.demo.conductor import Conductor, InstallationInstruments, Instruments
from libs.demo.patience import DemoFault, call
from libs.demo.shopfront import Builder, Shopfront, approve_templates
from libs.emulators.config import EmulatorSettings
from omnijourney.common.v1.installation_service_pb2 import GetClockRequest
from omnijourney.common.v1.operation_pb2 import OPERATION_STATE_SUCCEEDED, Operation
from omnijourney.points.v1.points_service_pb2 import CheckLedgerRequest
from omnijourney.stats.v1.stats_service_pb2 import CheckProjectionsRequest, StartRebuildRequest
from tests.chaos import world
from tests.chaos.arena import Arena, Place, arena
from tests.chaos.case import Evidence, differ
from tests.chaos.check_stats import QUARTERS
from tests.chaos.checker import check
from tests.chaos.director import Director, crashes
from tests.chaos.load import RATE, DomainTime, Load
from tests.chaos.plan import Kind, crash_spec, make_plan
from tests.chaos.proofs import Proof, Proofs
from tests.chaos.records import Records
from tools.paths import BUILD

FIRST_MEMBER = 100
QUIET_TIMER = timedelta(days=1)
"""A timer further ahead than this is no reason to wait."""
STATS_STUCK_S = 120.0
CHECK_TIMEOUT_S = 60.0

Tell = Callable[[str], None]
Inspect = Callable[[Records, Evidence, Proofs], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How long and how hard."""

    seed: int
    load_s: float
    orders: int
    members: int
    faults: int
    crash_probability: float


FULL = Options(seed=0, load_s=200.0, orders=2_000, members=180, faults=76, crash_probability=0.001)
SHORT = Options(seed=1, load_s=15.0, orders=150, members=20, faults=16, crash_probability=0.004)


@dataclass(frozen=True, slots=True)
class Report:
    """What a run came to."""

    proofs: Proofs
    faults: Counter[Kind]
    deaths: Counter[str]
    crash_points: Counter[str]
    wall_s: float

    @property
    def bad(self) -> list[Proof]:
        """Comparisons that do not agree."""
        return self.proofs.bad

    @property
    def injected(self) -> list[str]:
        """What was done to the installation, a line a kind with its count."""
        kinds = {str(kind): count for kind, count in self.faults.items()}
        points = {f"died at {point}": count for point, count in self.crash_points.items()}
        ended = {f"ended: {death}": count for death, count in self.deaths.items()}
        return [
            f"{count:6,} × {what}"
            for counts in (kinds, points, ended)
            for what, count in sorted(counts.items())
        ]

    @property
    def last_line(self) -> str:
        """The counts in one line."""
        counts = ", ".join(f"{value:,} {name}" for name, value in self.proofs.counts.items())
        killed = sum(self.crash_points.values())
        verdict = "all agree" if not self.bad else f"{len(self.bad)} DISAGREE"
        return (
            f"chaos: {len(self.proofs.made)} proofs, {verdict}; {self.faults.total()} faults, "
            f"{killed} deaths at named points; {counts}; {self.wall_s:.0f} s"
        )


async def run(
    options: Options, tell: Tell, directory: Path | None = None, inspect: Inspect | None = None
) -> Report:
    """One run in a directory of its own. Raises what keeps it from being checked at all.

    `inspect` is given the quiet installation's records after the check, while everything still runs. The logs of a
    run that ended badly are kept, see `keep_logs`.
    """
    with tempfile.TemporaryDirectory(prefix="omnijourney-chaos-") as temporary:
        place = directory or Path(temporary)
        red = True
        try:
            report = await _run(options, tell, place, inspect)
            red = bool(report.bad)
            return report
        finally:
            if red and (kept := keep_logs(place, options.seed)):
                tell(f"the logs are in {kept}")


def keep_logs(directory: Path, seed: int, to: Path = BUILD / "chaos") -> Path | None:
    """Copies the logs of a run's installation to a folder named by its seed; None if it has written none.

    What an earlier run of the seed has left there is replaced.
    """
    logs = directory / "logs"
    if not logs.is_dir():
        return None
    shutil.rmtree(to / str(seed), ignore_errors=True)
    return shutil.copytree(logs, to / str(seed))


async def _run(options: Options, tell: Tell, directory: Path, inspect: Inspect | None) -> Report:
    began_s = time.monotonic()
    rng = random.Random(f"arena {options.seed}")
    spec = crash_spec(options.seed, options.crash_probability)
    tell(f"seed {options.seed}; crash points {spec}")
    async with arena(directory, rng, spec) as place:
        shopfront = await set_up(place, members(options))
        clock = await DomainTime.begin(place.client)
        tell(f"load on {options.members} customers, faults:")
        load = make_load(options, place, shopfront, clock)
        director = await _load_under_faults(options, place, load, tell)
        tell(
            f"load done: {load.accepted.requests:,} requests answered, {load.accepted.again:,} of them old ones made"
            f" again; {director.redelivery.delivered:,} old mails delivered again; waiting until all is quiet"
        )
        now = await until_quiet(place)
        tell("quiet; checking")
        evidence = Evidence(
            accepted=load.accepted,
            journeys=shopfront.journeys,
            receipts=place.receipts,
            silent_doubles=director.silent_doubles["whatsapp"],
            now=now,
        )
        proofs = await check_all(place, shopfront, evidence, inspect)
        found = crashes(place.installation.log_dir)
        return Report(proofs, director.done, place.deaths.count, found, time.monotonic() - began_s)


async def set_up(place: Place, members: Sequence[int]) -> Shopfront:
    """The team of `world` with its customers and journeys."""
    await approve_templates(place.session, place.channel_urls["whatsapp"])
    emulators = EmulatorSettings.model_construct()
    builder = Builder(place.client, world.PROFILE, emulators, lambda p, refs: list(world.journeys(p, refs)))
    return await builder.build(members)


def make_load(options: Options, place: Place, shopfront: Shopfront, clock: DomainTime) -> Load:
    """What a run of these options does to it."""
    return Load(
        place.client,
        place.session,
        place.http_url,
        shopfront=shopfront,
        members=members(options),
        clock=clock,
        seed=options.seed,
    )


async def _load_under_faults(options: Options, place: Arena, load: Load, tell: Tell) -> Director:
    director = Director(place, load, tell, random.Random(f"director {options.seed}"))
    plan = make_plan(options.seed, options.load_s, options.faults)
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run(options.orders, options.load_s))
        group.create_task(director.run(plan))
    await director.calm()
    return director


def members(options: Options) -> range:
    """Member numbers of the customers."""
    return range(FIRST_MEMBER, FIRST_MEMBER + options.members)


async def until_quiet(place: Place, instruments: Instruments | None = None) -> datetime:
    """Until nothing is pending and no timer is near, and stats has counted all; the domain time then. `instruments`
    where a service is more than one process: what one has done since says nothing of another."""
    instruments = instruments or InstallationInstruments(place.client)
    operations = place.client.installation("journey")
    while True:
        now = datetime_of((await call(operations.GetClock, GetClockRequest())).now)
        conductor = Conductor(instruments, now, None)
        await conductor.settle()
        timer = conductor.next_timer
        now = datetime_of((await call(operations.GetClock, GetClockRequest())).now)
        if timer is None or timer - now > QUIET_TIMER:
            break
        await asyncio.sleep(max(0.0, (timer - now).total_seconds() / RATE))
    await _until_counted(instruments)
    return now


async def _until_counted(instruments: Instruments) -> None:
    moved_s, progress = time.monotonic(), ""
    while True:
        lag = await instruments.lag("stats", 0)
        if lag.pending == 0 and lag.progress == progress:
            return
        if lag.progress != progress:
            moved_s, progress = time.monotonic(), lag.progress
        elif time.monotonic() - moved_s > STATS_STUCK_S:
            raise DemoFault(f"stats is {lag.pending} rows behind and counts none for {STATS_STUCK_S:.0f} s")
        await asyncio.sleep(0.1)


async def check_all(
    place: Place, shopfront: Shopfront, evidence: Evidence, inspect: Inspect | None = None
) -> Proofs:
    """Everything that is compared once all is quiet."""
    connection = await asyncpg.connect(place.postgres_dsn)
    try:
        records = Records(connection, UUID(shopfront.team_id))
        proofs = await check(records, evidence)
        if inspect is not None:
            await inspect(records, evidence, proofs)
        await _check_by_services(place, shopfront.team_id, records, proofs)
    finally:
        await connection.close()
    return proofs


async def _check_by_services(place: Place, team_id: str, records: Records, proofs: Proofs) -> None:
    """What the ledger's and the figures' own checkers say, and that figures counted anew are the same."""
    ledger: Any = CheckLedgerRequest(team_id=team_id)
    proofs.none("findings of CheckLedger", await _findings(place.client.points.CheckLedger, ledger))
    proofs.none("findings of CheckProjections", await wrong_figures(place, team_id))
    before = await _figures(records)
    operation = await count_anew(place, team_id)
    proofs.same("a rebuild of the figures has succeeded", operation.state, OPERATION_STATE_SUCCEEDED)
    proofs.same("figures counted anew are the same", *differ(await _figures(records), before))
    proofs.counts["figures counted anew"] = len(before)


async def wrong_figures(place: Place, team_id: str) -> list[Any]:
    """The figures of a team that are not what the records say (`CheckProjections`)."""
    return await _findings(place.client.stats.CheckProjections, CheckProjectionsRequest(team_id=team_id))


async def count_anew(place: Place, team_id: str) -> Operation:
    """Has the figures of a team counted from the histories; the operation when it is over."""
    request = StartRebuildRequest(team_id=team_id, request_id=str(new_id()))
    started = (await call(place.client.stats.StartRebuild, request)).operation
    return await ended(place.client, "stats", started)


async def _findings(rpc: Any, request: Any) -> list[Any]:
    async def asked() -> list[Any]:
        answers = rpc(request, timeout=CHECK_TIMEOUT_S)
        return [each.finding async for each in answers if each.HasField("finding")]

    # A process may still come by a crash point that was armed: it is asked again.
    return await retrying(asked, attempts=None)


async def _figures(records: Records) -> dict[tuple[object, ...], object]:
    rows = await records.rows(
        "SELECT journey_id, metric, node_id, channel, currency, quarter, sum(value)::bigint AS value"
        f" FROM {QUARTERS} WHERE team_id = $1 GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(value) <> 0"
    )
    return {tuple(row.values())[:-1]: row["value"] for row in rows}
