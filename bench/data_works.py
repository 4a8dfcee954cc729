"""Works of what is kept: the ledger, customers, files, figures; what they measured, in lines and a figure."""

import statistics
from collections.abc import Sequence
from typing import Final

from bench import ledger
from bench.field import field
from bench.imports import imports
from bench.people import Asked, people
from bench.recorded_events import RecordedEvents
from bench.result import Line, Result, Wanted
from bench.year import year


async def ledger_work(wanted: Wanted) -> Result:
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


async def segment_work(wanted: Wanted) -> Result:
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


async def import_work(wanted: Wanted) -> Result:
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


async def stats_work(wanted: Wanted) -> Result:
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
