"""Works of journeys and messages: what they measured, in lines and a figure."""

from typing import Final

from bench import order as w3
from bench import sleepers as w2
from bench.audience_triggers import audience_triggered
from bench.field import field
from bench.floor_0 import welcome_floor
from bench.result import Line, Result, Wanted
from bench.sends import sending
from bench.simulations import simulations
from bench.stops import FEW, stops
from bench.webhooks import CONNECTIONS, webhooks
from bench.welcome import Welcome

GROWTH: Final = (1_000, 10_000, 100_000)
WEBHOOKS_MAX: Final = 5_000


async def w2_work(wanted: Wanted) -> Result:
    """Customers who sleep, and wake."""
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


async def w3_work(wanted: Wanted) -> Result:
    """Messages of one customer in their order."""
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


async def w4_work(wanted: Wanted) -> Result:
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


async def stop_work(wanted: Wanted) -> Result:
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


async def audience_work(wanted: Wanted) -> Result:
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


async def simulate_work(wanted: Wanted) -> Result:
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


async def channels_work(wanted: Wanted) -> Result:
    """Webhooks in, beside a bare handler that commits the same bodies; sends out, beside a bare loop."""
    async with field(wanted.directory, emulators=True) as on:
        sent = await sending(on, wanted.n)
        ours, bare = await webhooks(on, min(wanted.n, WEBHOOKS_MAX))
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
