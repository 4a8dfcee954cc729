"""The works of `make bench W=…`: each starts an installation of its own, checks what came out, and tells its figure."""

import statistics
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from bench import ledger
from bench import order as w3
from bench import sleepers as w2
from bench.audience_triggers import audience_triggered
from bench.browsing import console
from bench.field import field
from bench.floor_0 import welcome_floor
from bench.imports import imports
from bench.people import Asked, people
from bench.recorded_events import RecordedEvents
from bench.result import Line, Result, Wanted
from bench.sends import sending
from bench.simulations import simulations
from bench.stops import FEW, stops
from bench.w1 import w1
from bench.webhooks import CONNECTIONS, webhooks
from bench.welcome import Welcome
from bench.year import year

GROWTH: Final = (1_000, 10_000, 100_000)
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


async def _w2(wanted: Wanted) -> Result:
    n = wanted.n
    async with field(wanted.directory) as on:
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
    return Result(wanted.work, wanted.n, lines, data, [], figure)


async def _w3(wanted: Wanted) -> Result:
    n = wanted.n
    async with field(wanted.directory) as on:
        taken = await w3.order(on, n)
        floor = await w3.floor(on, n)
    lines = [
        Line("messages/s", f"{taken.rate_per_s:,.0f}", f"{floor.rate_per_s:,.0f}", "50,000"),
        Line("accepted/s", f"{taken.accepted_per_s:,.0f}"),
        Line("CPU-s per 1,000", f"{taken.cpu_s_per_1000:.3f}", f"{floor.cpu_s_per_1000:.3f}"),
        Line("  times floor-0", f"{taken.cpu_s_per_1000 / floor.cpu_s_per_1000:.2f}", "", "3.5"),
        *(Line(f"  {name}", f"{spent / taken.messages * 1e3:.3f}") for name, spent in taken.cpu_s.items()),
    ]
    figure = (
        f"w3 {taken.messages:,} messages of {w3.CUSTOMERS:,} customers, {taken.rate_per_s:,.0f} messages/s, in order, "
        f"each once (floor {floor.rate_per_s:,.0f}/s)"
    )
    return Result(wanted.work, wanted.n, lines, {"order": taken, "floor": floor}, [], figure)


async def _w4(wanted: Wanted) -> Result:
    """The same installation grows: each burst finds all that the ones before left."""
    n = wanted.n
    sizes = [size for size in GROWTH if size <= n]
    async with field(wanted.directory) as on:
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
        wanted.work,
        n,
        lines,
        {"bursts": bursts, "floors": floors},
        [],
        f"w4 CPU-s per 1,000 journeys: {costs}",
    )


async def _stop(wanted: Wanted) -> Result:
    """With few inside and with many: what each of them costs."""
    async with field(wanted.directory) as on:
        stopped = await stops(on, [FEW, wanted.n])
    lines = [
        line
        for stop in stopped
        for line in (
            Line(f"{stop.inside:,} inside: halted/s", f"{stop.rate_per_s:,.0f}"),
            Line("  answered, over after, s", f"{stop.answered_s:.2f}, {stop.ended_s:.2f}"),
            Line("  CPU-s per 1,000", f"{stop.cpu_s_per_1000:.3f}"),
            *(
                Line(f"    {name}", f"{spent / stop.inside * 1_000:.3f}")
                for name, spent in sorted(stop.cpu_s.items(), key=lambda pair: -pair[1])
            ),
            Line("  journey's memory, MB", f"{stop.worker_mb:,.0f}"),
        )
    ]
    costs = " → ".join(f"{stop.cpu_s_per_1000:.2f} with {stop.inside:,} inside" for stop in stopped)
    return Result(
        wanted.work, wanted.n, lines, {"stops": stopped}, [], f"stop CPU-s per 1,000 customers: {costs}"
    )


async def _audience(wanted: Wanted) -> Result:
    """A saved audience of `n` that enrols as a whole."""
    async with field(wanted.directory) as on:
        found = await audience_triggered(on, wanted.n)
    lines = [
        Line("all found after, s", f"{found.found_s:.0f}"),
        Line("all entered after, s", f"{found.ended_s:.0f}"),
        Line("entered/s, from the first trigger on", f"{found.rate_per_s:,.0f}"),
        Line("CPU-ms each", f"{found.cpu_ms_each:.2f}"),
        *(
            Line(f"  {name}", f"{spent / found.customers * 1_000:.3f}")
            for name, spent in sorted(found.cpu_s.items(), key=lambda pair: -pair[1])
        ),
        Line(
            "journey's memory, MB: with a tenth inside, at most",
            f"{found.early_mb:,.0f}, {found.peak_mb:,.0f}",
        ),
    ]
    figure = (
        f"audience of {found.customers:,}: found after {found.found_s:.0f} s, entered once each after "
        f"{found.ended_s:.0f} s, {found.rate_per_s:,.0f}/s, {found.cpu_ms_each:.2f} CPU-ms each, journey "
        f"{found.early_mb:,.0f} to {found.peak_mb:,.0f} MB"
    )
    return Result(wanted.work, wanted.n, lines, {"audience": found}, [], figure)


SIMULATED_WITHIN_S: Final = 20.0
"""Target for 100,000 events, where floor-0 of w1 takes `_OF_FLOOR_S` CPU seconds per 1,000; elsewhere in proportion."""
_OF_FLOOR_S: Final = 0.16
_FLOOR_JOURNEYS: Final = 5_000


async def _simulate(wanted: Wanted) -> Result:
    """A month of events simulated; the target goes by what the script without services takes on this machine."""
    async with field(wanted.directory) as on:
        ours = await simulations(on, wanted.n)
        floor = await welcome_floor(on, _FLOOR_JOURNEYS)
    target_s = SIMULATED_WITHIN_S * floor.cpu_s_per_1000 / _OF_FLOOR_S * ours.events / 100_000
    lines = [
        Line("seconds from the call to its end", f"{ours.wall_s:.1f}", "", f"{target_s:.0f}"),
        Line("events/s", f"{ours.rate_per_s:,.0f}"),
        Line("of them enrolled", f"{ours.enrolled / ours.events:.0%}"),
        Line("CPU-s", f"{ours.cpu_s_in_all:.1f}"),
        *(
            Line(f"  {name}", f"{spent:.1f}")
            for name, spent in sorted(ours.cpu_s.items(), key=lambda pair: -pair[1])
        ),
        Line(
            "a call to journey beside it: p50, p99, longest, ms",
            ", ".join(f"{ms:.0f}" for ms in ours.beside_ms),
        ),
        Line("journey's memory, MB", f"{ours.memory_mb:,.0f}"),
        Line("w1's floor-0 here, CPU-s per 1,000", "", f"{floor.cpu_s_per_1000:.2f}"),
    ]
    figure = (
        f"simulate {ours.events:,} events in {ours.wall_s:.1f} s (target {target_s:.0f} where floor-0 takes "
        f"{floor.cpu_s_per_1000:.2f} CPU-s per 1,000), {ours.rate_per_s:,.0f}/s, {ours.cpu_s_in_all:.1f} CPU-s"
    )
    data: dict[str, object] = {"simulation": ours, "floor": floor}
    return Result(wanted.work, wanted.n, lines, data, [], figure)


async def _channels(wanted: Wanted) -> Result:
    """Webhooks in, beside a bare handler that commits the same bodies; sends out, beside a bare loop."""
    async with field(wanted.directory, emulators=True) as on:
        sent = await sending(on, wanted.n)
        ours, bare = await webhooks(on, min(wanted.n, N_DEFAULT["channels"]))
    lines = [
        Line("sends/s to one account", f"{sent.rate_per_s:,.0f}", f"{sent.bare_per_s:,.0f}"),
        Line("  share of the bare loop", f"{sent.rate_per_s / sent.bare_per_s:.0%}", "", "50%"),
        Line("another journey's beside it, p50, ms", f"{sent.probe_p50_ms:.0f}", f"{sent.alone_p50_ms:.0f}"),
        Line(f"  the latest of {sent.probes}, ms", f"{sent.probe_max_ms:.0f}", "", "1,000"),
        Line("  messages that left in between, p50, most", f"{sent.probe_p50_ahead}, {sent.probe_max_ahead}"),
        Line(f"webhooks/s, {CONNECTIONS} at once", f"{ours.rate_per_s:,.0f}", f"{bare.rate_per_s:,.0f}"),
        Line("  share of the bare handler", f"{ours.rate_per_s / bare.rate_per_s:.0%}", "", "50%"),
        Line("p50 at half of the rate, ms", f"{ours.p50_ms:.1f}", f"{bare.p50_ms:.1f}"),
        Line("p99 at half of the rate, ms", f"{ours.p99_ms:.1f}", f"{bare.p99_ms:.1f}"),
        Line("  times the bare handler's", f"{ours.p99_ms / bare.p99_ms:.2f}", "", "3"),
    ]
    figure = (
        f"channels {sent.rate_per_s:,.0f} sends/s = {sent.rate_per_s / sent.bare_per_s:.0%} of a bare loop's "
        f"{sent.bare_per_s:,.0f} (target 50%), others {sent.probe_p50_ms:.0f} ms, at the most {sent.probe_max_ms:.0f} "
        f"(target 1,000); {ours.rate_per_s:,.0f} webhooks/s stored = {ours.rate_per_s / bare.rate_per_s:.0%} of a bare "
        f"handler's {bare.rate_per_s:,.0f} (target 50%), p99 at half of that {ours.p99_ms:.1f} ms = "
        f"{ours.p99_ms / bare.p99_ms:.2f} times its {bare.p99_ms:.1f} (target 3)"
    )
    return Result(wanted.work, wanted.n, lines, {"sends": sent, "webhooks": ours, "bare": bare}, [], figure)


async def _ledger(wanted: Wanted) -> Result:
    """Posting through gRPC beside the bare statement, and pages of the report at `n` entries."""
    n = wanted.n
    posting, page_ms = await ledger.measured(wanted.directory, n)
    spread, floor = posting.spread.rate_per_s, posting.floor.rate_per_s
    lines = [
        *_case_lines(posting.spread, posting.floor),
        *_case_lines(posting.hot, posting.floor),
        *_case_lines(posting.singles, posting.floor, "5,000"),
        *_case_lines(posting.grpc_singles, posting.floor),
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
        f"{posting.singles.rate_per_s:,.0f}/s (target 5,000; by gRPC {posting.grpc_singles.rate_per_s:,.0f}), "
        f"TPC-B {_told(posting.tpcb_tps)}/s; at {n:,} entries "
        f"page {page_ms['no keyword']:.1f} ms (target 10), broad keyword {page_ms['broad keyword']:.1f} ms (target 50)"
    )
    return Result(wanted.work, wanted.n, lines, {"posting": posting, "page_ms": page_ms}, [], figure)


async def _segment(wanted: Wanted) -> Result:
    """Audiences over `n` customers, beside SQL written by hand and DuckDB on the same rows."""
    async with field(wanted.directory) as on:
        found = await people(on, wanted.n)
    counts = sorted(ms for each in found.asked for ms in each.count_ms)
    pages = sorted(ms for each in found.asked for ms in each.page_ms)
    judged = sorted(found.judged_ms)
    lines = [
        *(line for each in found.asked for line in _asked_lines(each)),
        Line("counts: p50, p95, ms", f"{_at(counts, 50):.0f}, {_at(counts, 95):.0f}", "", "p95 300"),
        Line("first pages: p50, p95, ms", f"{_at(pages, 50):.0f}, {_at(pages, 95):.0f}", "", "p95 300"),
        Line("500 judged in a call: p50, p95, ms", f"{_at(judged, 50):.1f}, {_at(judged, 95):.1f}", "", "10"),
        Line(
            f"stream of {found.streamed:,}, ids/s", f"{found.stream_per_s:,.0f}", f"{found.cursor_per_s:,.0f}"
        ),
        Line("  share of a bare cursor", f"{found.stream_per_s / found.cursor_per_s:.0%}", "", "50%"),
        *(line for each in found.events for line in _event_lines(each)),
    ]
    if found.without_duck:
        lines.append(Line(f"DuckDB was left out: {found.without_duck}", ""))
    figure = (
        f"segment {wanted.n:,} customers: counts p50 {_at(counts, 50):.0f} ms, p95 {_at(counts, 95):.0f} ms, pages "
        f"p50 {_at(pages, 50):.0f} ms, p95 {_at(pages, 95):.0f} ms, 500 judged in {_at(judged, 50):.1f} ms, stream "
        f"{found.stream_per_s / found.cursor_per_s:.0%} of a bare cursor, events "
        f"{', '.join(f'{each.share:.0%}' for each in found.events)} of the bare statement"
    )
    return Result(wanted.work, wanted.n, lines, {"people": found}, [], figure)


async def _import(wanted: Wanted) -> Result:
    """A file of `n` contacts through five services, segment killed twice on the way."""
    async with field(wanted.directory) as on:
        found = await imports(on, wanted.n)
    memory = [each.memory_mb for each in found.stretches]
    lines = [
        Line("lines/s, from the upload to the end", f"{found.per_s:,.0f}", f"{found.events_per_s:,.0f}"),
        Line("  share of events in batches", f"{found.share:.0%}", "", "50%"),
        *(
            Line(f"  {each.lines:,} lines: lines/s, segment's MB", f"{each.per_s:,.0f}, {each.memory_mb:.0f}")
            for each in found.stretches
        ),
        Line("killed, came out as if never", f"{found.kills} times"),
        Line("lines in the report", f"{found.faulty:,}"),
    ]
    figure = (
        f"import {found.lines:,} lines ({found.file_mb:.0f} MB) at {found.per_s:,.0f}/s = {found.share:.0%} of "
        f"{found.events_per_s:,.0f} events/s (target 50%), killed {found.kills} times, segment {min(memory):.0f} to "
        f"{max(memory):.0f} MB"
    )
    return Result(wanted.work, wanted.n, lines, {"import": found}, [], figure)


def _asked_lines(each: Asked) -> list[Line]:
    count, page = statistics.median(each.count_ms), statistics.median(each.page_ms)
    by_hand, page_by_hand = statistics.median(each.floor_count_ms), statistics.median(each.floor_page_ms)
    fast = "" if each.duck_ms is None else f", DuckDB {each.duck_ms:.0f}"
    return [
        Line(f"{each.name} ({each.customers:,}): count, ms", f"{count:.0f}", f"{by_hand:.0f}{fast}"),
        Line("  times the count by hand", f"{each.count_ratio:.2f}", "", "1.5"),
        Line("  first page, ms", f"{page:.0f}", f"{page_by_hand:.0f}"),
    ]


def _event_lines(each: RecordedEvents) -> list[Line]:
    return [
        Line(f"events/s in batches, {each.kind}", f"{each.per_s:,.0f}", f"{each.bare_per_s:,.0f}"),
        Line("  share of the bare statement", f"{each.share:.0%}", "", "50%"),
        Line("  CPU µs each", f"{each.cpu_us:.0f}", f"{each.bare_cpu_us:.0f}"),
    ]


def _at(ordered: Sequence[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


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


async def _stats(wanted: Wanted) -> Result:
    """A year of hours in one call."""
    async with field(wanted.directory) as on:
        found = await year(on, wanted.n)
    targets = {"a busy journey": "50", "a quiet one": "50", "all journeys": "1,000", "the team": "1,000"}
    roll_up, writes = found.roll_up, found.roll_up.writes
    lines = [
        *(
            Line(f"{what}, hours of a year, ms", f"{found.of(what):.0f}", "", targets.get(what, ""))
            for what in found.ms
        ),
        *(
            Line(f"CPU of stats and PostgreSQL, {what}, ms", f"{spent:.0f}")
            for what, spent in found.cpu_ms.items()
        ),
        *(Line(f"bytes, {what}", f"{size:,}") for what, size in found.answer_bytes.items()),
        Line("rows of days; of months", f"{found.days:,}; {found.months:,}"),
        Line("counters of quarters of an hour rolled up", f"{roll_up.counters:,}"),
        Line("  in, s", f"{roll_up.took_s:.0f}"),
        *(
            Line(f"  CPU of {name}, µs each", f"{s / roll_up.counters * 1e6:.0f}")
            for name, s in roll_up.cpu_s.items()
        ),
        Line("  bytes of the log each, without full pages", f"{writes.bytes - writes.full_page_bytes:.0f}"),
        Line("  with full pages", f"{writes.bytes:.0f}"),
        Line("  row writes each", f"{writes.rows:.2f}"),
    ]
    figure = (
        f"stats a year of hours: {found.of('a busy journey'):.0f} ms of a journey that is busy in every quarter of an "
        f"hour (target 50), {found.of('a quiet one'):.0f} of a quiet one, {found.of('all journeys'):.0f} of "
        f"{found.journeys:,} journeys (target 1,000), {found.of('the team'):.0f} of their team (target 1,000)"
    )
    return Result(wanted.work, wanted.n, lines, {"year": found}, [], figure)


_WORKS: Final[dict[str, Callable[[Wanted], Awaitable[Result]]]] = {
    "w1": w1,
    "w1-http": w1,
    "w2": _w2,
    "w3": _w3,
    "w4": _w4,
    "stop": _stop,
    "audience": _audience,
    "simulate": _simulate,
    "channels": _channels,
    "ledger": _ledger,
    "segment": _segment,
    "stats": _stats,
    "import": _import,
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
