"""w1 and w1-http: welcome journeys at once and at steady rates, beside three floors and whoever else does the same."""

import contextlib

import msgspec

from bench import peers, wal
from bench.field import Field, field
from bench.floor_0 import Floor
from bench.lean import lean_floor
from bench.own_rows import own_floor
from bench.peers import Peer
from bench.result import Line, Result, Wanted
from bench.wal import Writes
from bench.welcome import (
    RATES_PER_S,
    STEPS,
    STOPPED,
    WINDOWS,
    Burst,
    Latency,
    Welcome,
    dear_statements,
    median_of,
)

_REPEATS = 3


class Floors(msgspec.Struct, frozen=True):
    """Three scripts without services: the one that targets are told against, our own rows, the fewest rows."""

    zero: Floor
    own: Floor
    lean: Floor


class Variants(msgspec.Struct, frozen=True):
    """A burst each on teams of their own, by how many there are of what is beside the journey."""

    quiet_windows: dict[int, Burst]
    stopped: dict[int, Burst]


class Measured(msgspec.Struct, frozen=True):
    """Everything of one run. `burst` is the median of `bursts`; `writes` are those of the last."""

    bursts: list[Burst]
    burst: Burst
    writes: Writes
    latencies: list[Latency]
    floors: Floors
    variants: Variants | None
    peers: list[Peer]


async def w1(wanted: Wanted) -> Result:
    """Measures, and puts the figures into lines."""
    http = wanted.work == "w1-http"
    async with field(
        wanted.directory, emulators=http, one_process=wanted.one_process, workers=wanted.workers
    ) as on:
        welcome = await Welcome.prepare(on, http=http)
        bursts = [await welcome.burst(wanted.n) for _ in range(1 if wanted.quick else _REPEATS)]
        dear = dear_statements(await on.top_statements(), wanted.n)
        writes = await wal.writes(on.admin, *bursts[-1].wal, wanted.n)
        best = median_of(bursts)
        latencies = [await welcome.latency(rate) for rate in _rates(wanted, best)]
        floors = Floors(
            await welcome.floor(wanted.n),
            await own_floor(on, wanted.n, writes),
            await lean_floor(on, wanted.n),
        )
        variants = None if wanted.quick or http else await _variants(on, wanted.n)
    others = (
        []
        if wanted.quick or http or wanted.one_process
        else await peers.measured(wanted.n, _rates(wanted, best))
    )
    measured = Measured(bursts, best, writes, latencies, floors, variants, others)
    data: dict[str, object] = {"measured": measured}
    return Result(wanted.work, wanted.n, _lines(measured), data, dear, _figure(wanted.work, measured))


def _rates(wanted: Wanted, burst: Burst) -> list[int]:
    """An offered rate above what a burst reaches only measures a queue; half of it is offered as well."""
    if wanted.rates is not None or wanted.quick:
        return list(wanted.rates or ())
    half = max(100, int(burst.rate_per_s / 2) // 100 * 100)
    return list(dict.fromkeys([*(rate for rate in RATES_PER_S if rate <= burst.rate_per_s), half]))


async def _variants(on: Field, n: int) -> Variants:
    return Variants(
        {count: await (await Welcome.prepare(on, quiet_windows=count)).burst(n) for count in WINDOWS},
        {count: await (await Welcome.prepare(on, stopped=count)).burst(n) for count in STOPPED},
    )


def _lines(measured: Measured) -> list[Line]:
    floors = measured.floors
    return [
        *_burst_lines(measured.burst, floors.zero),
        *_write_lines(measured.writes),
        *(_latency_line(latency) for latency in measured.latencies),
        _floor_line("floor-0, the script of old", floors.zero, measured.burst),
        _floor_line("floor of our own rows", floors.own, measured.burst),
        _floor_line("lean floor, 8 row writes", floors.lean, measured.burst),
        *_variant_lines(measured),
        *(line for peer in measured.peers for line in _peer_lines(peer, measured)),
    ]


def _burst_lines(burst: Burst, floor: Floor) -> list[Line]:
    ratio = burst.cpu_s_per_1000 / floor.cpu_s_per_1000
    return [
        Line("journeys/s", f"{burst.rate_per_s:,.0f}", f"{floor.rate_per_s:,.0f}"),
        Line("steps/s", f"{burst.rate_per_s * STEPS:,.0f}"),
        Line("events accepted/s", f"{burst.accepted_per_s:,.0f}"),
        Line("CPU-s per 1,000", f"{burst.cpu_s_per_1000:.2f}", f"{floor.cpu_s_per_1000:.2f}"),
        Line("  times floor-0", f"{ratio:.2f}", "", "2.6"),
        *(
            Line(f"  {name}", f"{spent / burst.journeys * 1000:.3f}")
            for name, spent in sorted(burst.cpu_s.items(), key=lambda pair: -pair[1])
        ),
        Line("peak memory, MB", f"{sum(burst.peak_mb.values()):,.0f}"),
        Line("statements per 1,000", f"{burst.statements_per_1000:,.0f}"),
        Line("Redis calls per 1,000", f"{burst.redis_calls_per_1000:,.0f}"),
        Line("RPCs per 1,000", f"{burst.rpcs_per_1000:,.0f}"),
    ]


def _write_lines(writes: Writes) -> list[Line]:
    tables = sorted(writes.tables.items(), key=lambda pair: -pair[1].rows)
    return [
        Line("WAL bytes a journey", f"{writes.bytes:,.0f}", "", "4,000"),
        Line("  full pages beside them", f"{writes.full_page_bytes:,.0f}"),
        Line("  records", f"{writes.records:.0f}"),
        Line("row writes a journey", f"{writes.rows:.1f}", "", "10"),
        *(
            Line(
                f"  {name}",
                f"{table.inserted:.2f} + {table.hot:.2f} in place + {table.moved:.2f} moved, {table.bytes:,.0f} bytes",
            )
            for name, table in tables
        ),
        Line("entries of indexes a journey", f"{writes.entries:.1f}"),
        *(Line(f"  {name}", f"{entries:.2f}") for name, entries in sorted(writes.indexes.items())),
    ]


def _latency_line(latency: Latency) -> Line:
    kept = "" if latency.reached else ", not kept up with"
    return Line(f"at {latency.offered_per_s:,}/s{kept}", _latency(latency))


def _latency(latency: Latency) -> str:
    return f"p50 {latency.p50_ms:,.0f} ms, p99 {latency.p99_ms:,.0f} ms, {latency.cpu_s_per_1000:.1f} CPU-s per 1,000"


def _floor_line(what: str, floor: Floor, burst: Burst) -> Line:
    times = burst.cpu_s_per_1000 / floor.cpu_s_per_1000
    value = f"{floor.rate_per_s:,.0f}/s, {floor.cpu_s_per_1000:.3f} CPU-s per 1,000; we cost {times:.1f} times that"
    return Line(what, value)


def _variant_lines(measured: Measured) -> list[Line]:
    if measured.variants is None:
        return []
    variants = measured.variants
    told = [(f"with {count} windows of quiet", burst) for count, burst in variants.quiet_windows.items()]
    told += [(f"among {count:,} stopped", burst) for count, burst in variants.stopped.items()]
    return [
        Line(
            f"{what}: journeys/s",
            f"{burst.rate_per_s:,.0f}, {burst.cpu_s_per_1000:.2f} CPU-s per 1,000"
            f" ({burst.cpu_s_per_1000 / measured.burst.cpu_s_per_1000:.2f} times)",
        )
        for what, burst in told
    ]


def _peer_lines(peer: Peer, measured: Measured) -> list[Line]:
    if peer.skipped:
        return [Line(peer.name, f"skipped: {peer.skipped}")]
    faster = measured.burst.rate_per_s / peer.rate_per_s
    cheaper = peer.cpu_s_per_1000 / measured.burst.cpu_s_per_1000
    lines = [
        Line(
            peer.name,
            f"{peer.rate_per_s:,.0f} journeys/s, {peer.cpu_s_per_1000:.2f} CPU-s per 1,000;"
            f" we do {faster:.1f} times as many at 1/{cheaper:.1f} of the CPU",
        )
    ]
    ours = {latency.offered_per_s: latency for latency in measured.latencies}
    for latency in peer.latencies:
        line = f"  at {latency.offered_per_s:,}/s"
        beside = ""
        with contextlib.suppress(KeyError):
            own = ours[latency.offered_per_s]
            cpu = own.cpu_s_per_1000 / latency.cpu_s_per_1000
            beside = f"; ours ÷ its: CPU {cpu:.2f}, p99 {own.p99_ms / latency.p99_ms:.1f}"
        lines.append(Line(line, _latency(latency) + beside))
    return lines


def _figure(work: str, measured: Measured) -> str:
    burst, floors = measured.burst, measured.floors
    times = " / ".join(
        f"{burst.cpu_s_per_1000 / floor.cpu_s_per_1000:.2f}"
        for floor in (floors.zero, floors.own, floors.lean)
    )
    rates = "".join(f"; at {each.offered_per_s:,}/s {_latency(each)}" for each in measured.latencies)
    return (
        f"{work} {burst.rate_per_s:,.0f} journeys/s, {burst.cpu_s_per_1000:.2f} CPU-s per 1,000 = {times} times"
        f" floor-0 / own rows / lean; {measured.writes.bytes:,.0f} WAL bytes, {measured.writes.rows:.1f} rows,"
        f" {measured.writes.entries:.1f} entries each{rates}"
    )
