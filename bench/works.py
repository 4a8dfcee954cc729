"""The works of `make bench W=…`: each starts an installation of its own, checks what came out, and tells its figure."""

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from bench import ledger
from bench import order as w3
from bench import sleepers as w2
from bench.field import field
from bench.floors import Floor
from bench.welcome import RATES_PER_S, Burst, Latency, Welcome, dear_statements, median_of

REPEATS: Final = 3
GROWTH: Final = (1_000, 10_000, 100_000)
N_DEFAULT: Final = {
    "w1": 10_000,
    "w1-http": 2_000,
    "w2": 20_000,
    "w3": 400,
    "w4": 10_000,
    "ledger": 5_000_000,
}
"""w2 aims at 1,000,000 and w4 at 100,000: minutes each on two cores, so both are asked for by name
(`W=w2 N=1000000`)."""


class Line(msgspec.Struct, frozen=True):
    """One figure with what it is measured against: the target of the product and the floor of the same run."""

    what: str
    value: str
    floor: str = ""
    target: str = ""


class Result(msgspec.Struct, frozen=True):
    """What a work tells: lines for people, everything for machines, and the figure."""

    work: str
    n: int
    lines: list[Line]
    data: dict[str, object]
    statements: list[str]
    figure: str


async def run_work(work: str, n: int | None, directory: Path | None = None) -> Result:
    """Runs one work on servers of its own."""
    count = n or N_DEFAULT[work]
    with tempfile.TemporaryDirectory(prefix="omnijourney-bench-", dir=directory) as data_dir:
        return await _WORKS[work](Path(data_dir), work, count)


async def _w1(directory: Path, work: str, n: int) -> Result:
    http = work == "w1-http"
    async with field(directory, emulators=http) as on:
        welcome = await Welcome.prepare(on, http=http)
        bursts = [await welcome.burst(n) for _ in range(REPEATS)]
        dear = dear_statements(await on.top_statements(), n)
        best = median_of(bursts)
        # An offered rate above what a burst reaches only measures a queue; then half of that is offered instead.
        half = max(100, int(best.rate_per_s / 2) // 100 * 100)
        rates = [rate for rate in RATES_PER_S if rate <= best.rate_per_s] or [100]
        latencies = [await welcome.latency(rate) for rate in dict.fromkeys([*rates, half])]
        floor = await welcome.floor(n)
    lines = [*_burst_lines(best, floor), *(_latency_line(latency) for latency in latencies)]
    figure = _w1_figure(work, best, floor, latencies)
    data: dict[str, object] = {"bursts": bursts, "latencies": latencies, "floor": floor}
    return Result(work, n, lines, data, dear, figure)


def _burst_lines(burst: Burst, floor: Floor) -> list[Line]:
    cpu = f"{burst.cpu_s_per_1000:.2f}"
    return [
        Line("journeys/s", f"{burst.rate_per_s:,.0f}", f"{floor.rate_per_s:,.0f}", "5,000"),
        Line("steps/s", f"{burst.rate_per_s * 6:,.0f}"),
        Line("events accepted/s", f"{burst.accepted_per_s:,.0f}"),
        Line("CPU-s per 1,000", cpu, f"{floor.cpu_s_per_1000:.2f}", "0.40"),
        *(
            Line(f"  {name}", f"{spent / burst.journeys * 1000:.3f}")
            for name, spent in sorted(burst.cpu_s.items(), key=lambda pair: -pair[1])
        ),
        Line("peak memory, MB", f"{sum(burst.peak_mb.values()):,.0f}"),
        Line("statements per 1,000", f"{burst.statements_per_1000:,.0f}"),
        Line("Redis calls per 1,000", f"{burst.redis_calls_per_1000:,.0f}"),
        Line("RPCs per 1,000", f"{burst.rpcs_per_1000:,.0f}"),
    ]


def _latency_line(latency: Latency) -> Line:
    kept = "" if latency.reached else ", not kept up with"
    value = f"p50 {latency.p50_ms:,.0f} ms, p99 {latency.p99_ms:,.0f} ms, {latency.cpu_s_per_1000:.1f} CPU-s per 1,000"
    target = {100: "p99 30 ms", 2_500: "p99 250 ms"}.get(latency.offered_per_s, "")
    return Line(f"at {latency.offered_per_s:,}/s{kept}", value, "", target)


def _w1_figure(work: str, burst: Burst, floor: Floor, latencies: list[Latency]) -> str:
    floored = f"floor {floor.rate_per_s:,.0f}/s, {floor.cpu_s_per_1000:.2f}"
    p99 = ", ".join(f"p99 {each.p99_ms:,.0f} ms at {each.offered_per_s:,}/s" for each in latencies)
    return (
        f"{work} {burst.rate_per_s:,.0f} journeys/s, {burst.rate_per_s * 6:,.0f} steps/s, "
        f"{burst.cpu_s_per_1000:.2f} CPU-s per 1,000 ({floored}), {p99}"
    )


async def _w2(directory: Path, work: str, n: int) -> Result:
    async with field(directory) as on:
        sleep = await w2.sleepers(on, n)
        asleep, awake, size = await w2.floors(on, n)
    idle = sum(sleep.idle_cpu_s_a_minute.values())
    lines = [
        Line("put to sleep/s", f"{sleep.asleep_per_s:,.0f}", f"{asleep.rate_per_s:,.0f}"),
        Line("CPU-s per 1,000 put to sleep", f"{sleep.cpu_s_per_1000:.2f}", f"{asleep.cpu_s_per_1000:.2f}"),
        Line("bytes each in PostgreSQL", f"{sleep.bytes_each:,.0f}", f"{size:,.0f}", "600"),
        *(
            Line(f"  {name}", f"{each:,.0f}")
            for name, each in sorted(sleep.bytes_by_relation.items())
            if each
        ),
        Line("bytes each of history", f"{sleep.history_bytes_each:,.0f}"),
        Line("worker MB before, asleep", f"{sleep.worker_mb_before:,.0f}, {sleep.worker_mb_asleep:,.0f}"),
        Line("CPU-s of an idle minute", f"{idle:.2f}"),
    ]
    for what, waking, target in (("few", sleep.few, ""), ("all", sleep.all, "20,000")):
        lines += [
            Line(
                f"woken/s, {what} ({waking.sleepers:,})",
                f"{waking.rate_per_s:,.0f}",
                f"{awake.rate_per_s:,.0f}",
                target,
            ),
            Line("  p50, p99 late, ms", f"{waking.p50_ms:,.0f}, {waking.p99_ms:,.0f}"),
            Line("  CPU-s per 1,000", f"{waking.cpu_s_per_1000:.2f}", f"{awake.cpu_s_per_1000:.2f}"),
        ]
    figure = (
        f"w2 {n:,} sleepers, {sleep.bytes_each:,.0f} bytes each, {sleep.asleep_per_s:,.0f}/s to sleep, "
        f"{sleep.all.rate_per_s:,.0f}/s awake, idle minute {idle:.2f} CPU-s"
    )
    data: dict[str, object] = {
        "sleep": sleep,
        "floor": {"asleep": asleep, "awake": awake, "bytes_each": size},
    }
    return Result(work, n, lines, data, [], figure)


async def _w3(directory: Path, work: str, n: int) -> Result:
    async with field(directory) as on:
        taken = await w3.order(on, n)
        floor = await w3.floor(on, n)
    lines = [
        Line("messages/s", f"{taken.rate_per_s:,.0f}", f"{floor.rate_per_s:,.0f}", "50,000"),
        Line("accepted/s", f"{taken.accepted_per_s:,.0f}"),
        Line("CPU-s per 1,000", f"{taken.cpu_s_per_1000:.3f}", f"{floor.cpu_s_per_1000:.3f}"),
        *(Line(f"  {name}", f"{spent / taken.messages * 1e3:.3f}") for name, spent in taken.cpu_s.items()),
    ]
    figure = (
        f"w3 {taken.messages:,} messages of {w3.CUSTOMERS:,} customers, {taken.rate_per_s:,.0f} messages/s, in order, "
        f"each once (floor {floor.rate_per_s:,.0f}/s)"
    )
    return Result(work, n, lines, {"order": taken, "floor": floor}, [], figure)


async def _w4(directory: Path, work: str, n: int) -> Result:
    """The same installation grows: each burst finds all that the ones before left."""
    sizes = [size for size in GROWTH if size <= n]
    async with field(directory) as on:
        welcome = await Welcome.prepare(on)
        bursts = [await welcome.burst(size) for size in sizes]
        floors = [await welcome.floor(size) for size in sizes]
    lines = [
        line
        for burst, floor in zip(bursts, floors, strict=True)
        for line in (
            Line(f"{burst.journeys:,}: journeys/s", f"{burst.rate_per_s:,.0f}", f"{floor.rate_per_s:,.0f}"),
            Line("  CPU-s per 1,000", f"{burst.cpu_s_per_1000:.2f}", f"{floor.cpu_s_per_1000:.2f}"),
        )
    ]
    costs = " → ".join(f"{burst.cpu_s_per_1000:.2f} at {burst.journeys:,}" for burst in bursts)
    return Result(
        work, n, lines, {"bursts": bursts, "floors": floors}, [], f"w4 CPU-s per 1,000 journeys: {costs}"
    )


async def _ledger(directory: Path, work: str, n: int) -> Result:
    """Posting through gRPC beside the bare statement, and pages of the report at `n` entries."""
    posting, page_ms = await ledger.measured(directory, n)
    spread, floor = posting.spread.rate_per_s, posting.floor.rate_per_s
    lines = [
        *_case_lines(posting.spread, posting.floor),
        *_case_lines(posting.hot, posting.floor),
        *_case_lines(posting.singles, posting.floor, "5,000"),
        Line("share of the bare statement", f"{posting.share:.0%}", "", "60%"),
        Line("hot account, times slower", f"{posting.hot_factor:.2f}", "", "2"),
        Line("pgbench TPC-B, transactions/s", _told(posting.tpcb_tps)),
        *(
            Line(f"report page, {kind}: ms", f"{ms:.1f}", "", _PAGE_TARGETS[kind])
            for kind, ms in page_ms.items()
        ),
    ]
    figure = (
        f"ledger {spread:,.0f} posts/s in batches of {ledger.BATCH} over {ledger.ACCOUNTS:,} accounts = "
        f"{posting.share:.0%} of the bare statement's {floor:,.0f} (target 60%), one hot account "
        f"{posting.hot.rate_per_s:,.0f} (x{posting.hot_factor:.2f} slower, target 2), single calls "
        f"{posting.singles.rate_per_s:,.0f}/s (target 5,000), TPC-B {_told(posting.tpcb_tps)}/s; at {n:,} entries "
        f"page {page_ms['no keyword']:.1f} ms (target 10), broad keyword {page_ms['broad keyword']:.1f} ms (target 50)"
    )
    return Result(work, n, lines, {"posting": posting, "page_ms": page_ms}, [], figure)


_PAGE_TARGETS: Final = {"no keyword": "10", "narrow keyword": "50", "broad keyword": "50"}


def _case_lines(case: ledger.Case, floor: ledger.Case, target: str = "") -> list[Line]:
    cpu = " + ".join(f"{spent:.0f} {name}" for name, spent in case.cpu_us.items())
    floor_cpu = " + ".join(f"{spent:.0f} {name}" for name, spent in floor.cpu_us.items())
    return [
        Line(f"posts/s, {case.name}", f"{case.rate_per_s:,.0f}", f"{floor.rate_per_s:,.0f}", target),
        Line("  CPU µs each", cpu, floor_cpu),
        Line("  a call's p50, p99, ms", f"{case.p50_ms:.1f}, {case.p99_ms:.1f}"),
    ]


def _told(tps: float | None) -> str:
    return "not measured: no pgbench here" if tps is None else f"{tps:,.0f}"


_WORKS: Final[dict[str, Callable[[Path, str, int], Awaitable[Result]]]] = {
    "w1": _w1,
    "w1-http": _w1,
    "w2": _w2,
    "w3": _w3,
    "w4": _w4,
    "ledger": _ledger,
}
WORKS: Final = tuple(_WORKS)


def show(console: Console, result: Result) -> None:
    """The table of a work, and PostgreSQL's dearest statements."""
    table = Table(f"{result.work}, N={result.n:,}", box=None, pad_edge=False)
    for column in ("measured", "floor", "target"):
        table.add_column(column, justify="right")
    for line in result.lines:
        table.add_row(line.what, line.value, line.floor, line.target)
    console.print(table)
    for statement in result.statements:
        console.print(statement, markup=False, highlight=False, no_wrap=True, overflow="crop")
