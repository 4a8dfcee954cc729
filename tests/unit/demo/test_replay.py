"""The order of steps: orders on a grid, timers at their time, never a step while something is unsettled."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from libs.client import ServiceName
from libs.demo.conductor import Conductor, Lag
from libs.demo.patience import DemoFault
from libs.demo.replay import TICK, Replay, cell_end, grid_for
from libs.demo.stream import Checkout, Kind

START = datetime(2017, 12, 1, 10, tzinfo=UTC)
GRID = timedelta(minutes=15)
DAY = timedelta(days=1)


def minutes(count: float) -> datetime:
    return START + timedelta(minutes=count)


def order(at: datetime) -> Checkout:
    return Checkout(Kind.ORDER, str(at), at, Decimal(1), 2)


class World:
    """An installation that arms a timer of one day for each post, and notes what happens."""

    def __init__(self, *, arm: bool = True) -> None:
        self.log: list[tuple[str, datetime | int]] = []
        self.now = START
        self.arm = arm
        self.timers: list[datetime] = []
        self.rounds = 0
        self.busy = 0

    async def set_clock(self, at: datetime) -> int:
        assert not self.busy, "the clock moved while something was pending"
        assert at > self.now
        self.now = at
        self.log.append(("clock", at))
        due = [timer for timer in self.timers if timer <= at]
        self.timers = [timer for timer in self.timers if timer > at]
        self.log += [("timer", timer) for timer in due]
        self.busy = 2 * bool(due)
        return len(self.log)

    async def lag(self, service: ServiceName, version: int, wait_s: float = 0.0) -> Lag:
        self.rounds += 1
        self.busy = max(0, self.busy - 1)
        progress = str(self.rounds) if self.busy else "rest"
        return Lag(self.busy, progress, min(self.timers, default=None))

    async def post(self, checkouts: Sequence[Checkout], now: datetime) -> None:
        assert now == self.now
        self.log += [("order", checkout.occurred_at) for checkout in checkouts]
        self.busy = 3
        if self.arm:
            self.timers.append(now + DAY)


async def run(world: World, *orders: Checkout, speed: float | None = None) -> None:
    slept = [0.0]

    async def sleep(seconds: float) -> None:
        slept[0] += seconds

    conductor = Conductor(world, START, speed, monotonic=lambda: slept[0], sleep=sleep)
    await conductor.settle()
    await Replay(orders, conductor, world, GRID).run(lambda _told: None)


async def test_orders_are_posted_at_the_end_of_their_cell_and_empty_cells_are_skipped() -> None:
    world = World(arm=False)
    await run(world, order(minutes(1)), order(minutes(2)), order(minutes(15)), order(minutes(300)))
    assert world.log == [
        ("clock", minutes(15)),
        ("order", minutes(1)),
        ("order", minutes(2)),
        ("clock", minutes(30)),
        ("order", minutes(15)),
        ("clock", minutes(315)),
        ("order", minutes(300)),
    ]


async def test_a_timer_fires_after_all_that_occurred_before_it_and_before_what_did_not() -> None:
    world = World()
    timer = minutes(15) + DAY
    world.timers = [minutes(20)]
    await run(world, order(minutes(1)), order(minutes(19)), order(minutes(20)), order(minutes(29)))
    assert world.log[:9] == [
        ("clock", minutes(15)),
        ("order", minutes(1)),
        ("clock", minutes(20) - TICK),
        ("order", minutes(19)),
        ("clock", minutes(20)),
        ("timer", minutes(20)),
        ("clock", minutes(30)),
        ("order", minutes(20)),
        ("order", minutes(29)),
    ]
    assert [entry for entry in world.log if entry[0] == "timer"][1:] == [
        ("timer", timer),
        ("timer", minutes(20) - TICK + DAY),
        ("timer", minutes(30) + DAY),
    ]


async def test_after_the_last_order_the_clock_jumps_from_timer_to_timer() -> None:
    world = World()
    world.timers = [START + 40 * DAY]
    await run(world, order(minutes(1)))
    assert [entry for entry in world.log if entry[0] == "clock"] == [
        ("clock", minutes(15)),
        ("clock", minutes(15) + DAY),
        ("clock", START + 40 * DAY),
    ]


async def test_a_limited_speed_moves_the_clock_in_small_steps() -> None:
    world = World(arm=False)
    slept = [0.0]

    async def sleep(seconds: float) -> None:
        slept[0] += seconds

    conductor = Conductor(world, START, 60.0, monotonic=lambda: slept[0], sleep=sleep)
    await conductor.advance(minutes(2))
    assert slept[0] == pytest.approx(2.0)
    assert [at for _, at in world.log] == [minutes(0.5), minutes(1), minutes(1.5), minutes(2)]


async def test_an_installation_that_never_settles_is_given_up() -> None:
    class Stuck(World):
        async def lag(self, service: ServiceName, version: int, wait_s: float = 0.0) -> Lag:
            return Lag(3 if service == "journey" else 0, "same")

    with pytest.raises(DemoFault, match="journey has 3 things to do"):
        await run(Stuck(), order(minutes(1)))


async def test_work_that_comes_back_up_the_pipeline_is_waited_for() -> None:
    """The journey hands a send to the gateway after the gateway was found quiet."""
    asked: list[str] = []
    script = {
        "channel_gateway": [Lag(1, "a"), Lag(0, "b"), Lag(2, "c"), Lag(1, "d"), Lag(0, "e")],
        "segment": [Lag(0, "s")],
        "journey": [Lag(3, "j"), Lag(0, "k"), Lag(0, "k"), Lag(0, "l")],
    }

    class Scripted(World):
        async def lag(self, service: ServiceName, version: int, wait_s: float = 0.0) -> Lag:
            asked.append(service)
            left = script[service]
            return left.pop(0) if len(left) > 1 else left[0]

    async def sleep(_seconds: float) -> None:
        return None

    await Conductor(Scripted(), START, None, sleep=sleep).settle()
    assert asked == [
        *["channel_gateway"] * 2,
        "segment",
        *["journey"] * 2,
        *["channel_gateway", "segment", "journey"],  # a send came up
        *["channel_gateway"] * 2,
        "segment",
        "journey",
        *["channel_gateway", "segment", "journey"],
    ]


def test_cells() -> None:
    assert cell_end(minutes(0), GRID) == minutes(15)
    assert cell_end(minutes(14.9), GRID) == minutes(15)
    assert cell_end(minutes(15), GRID) == minutes(30)
    assert grid_for(None) == grid_for(10_000) == timedelta(minutes=30)
    assert grid_for(60) == timedelta(minutes=1)
    assert grid_for(0.01) == timedelta(seconds=1)
