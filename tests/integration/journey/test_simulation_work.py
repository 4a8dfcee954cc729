"""Simulations as work: cancelled, interrupted, taken over, given up, each with a clear end."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from libs.common.db.pool import transaction
from libs.common.feeds.serving import MailPage
from libs.common.ids import new_id
from libs.testing.mails import TEAM, Numberer, customers
from omnijourney.journey.v1 import simulation_pb2
from services.journey.clients.calls import ServiceUnavailable
from services.journey.domain import model as d
from services.journey.domain.simulated_customer import Standing
from services.journey.domain.simulation_premises import Surroundings
from services.journey.domain.simulation_work import (
    KEPT_MAX,
    TRIES_MAX,
    AskedSimulation,
    SimulationState,
    StoredSimulation,
)
from services.journey.store.simulations import SimulationKey, SimulationStore
from services.journey.worker import simulations as worker
from services.journey.worker.simulations import Simulator
from tests.integration.journey.conftest import START, Site
from tests.integration.journey.house import until

State = SimulationState


class Records:
    """Tags of two customers, a page each, as the services around would tell them."""

    def __init__(self) -> None:
        self.away: Exception | None = None
        self.between: Callable[[], Awaitable[None]] | None = None
        """Called before the second page."""
        numberer = Numberer()
        self._mails = [numberer.mail(id_) for id_, _ in zip(sorted(customers_of(2)), range(2), strict=True)]

    async def mails(self, team_id: object, since: object, after: tuple[Any, int] | None) -> MailPage:
        """See `Recorded`."""
        if after is not None and self.between is not None:
            await self.between()
        return MailPage([self._mails[after is not None]], more=after is None)

    async def standings(self, team_id: object, ids: Sequence[object], *_: object) -> list[Standing]:
        """See `Recorded`."""
        return [Standing() for _ in ids]

    async def surroundings(self, *_: object) -> Surroundings:
        """See `Recorded`."""
        if self.away is not None:
            raise self.away
        return Surroundings("UTC", None, {}, {}, {}, None, {})


def customers_of(count: int) -> list[Any]:
    found = customers()
    return [next(found) for _ in range(count)]


class Work:
    """One simulation, and whoever runs it."""

    def __init__(self, site: Site) -> None:
        self.store = SimulationStore(site.pool)
        self.records = Records()
        self.stopping = asyncio.Event()
        self.clock = site.clock
        self.simulator = Simulator(self.store, self.records, self.clock)
        mails = self.records._mails
        self._span = mails[0].occurred_at, max(mail.occurred_at for mail in mails)

    async def ask(self) -> SimulationKey:
        """One of a journey that any tag starts."""
        definition = d.Definition("J", d.TagTrigger(("vip",)), (d.Node("wait", d.Delay(60)),))
        start, last = self._span
        asked = AskedSimulation(TEAM, new_id(), new_id(), definition, start, last.replace(year=last.year + 1))
        async with transaction(self.store.pool, [TEAM]) as connection:
            await self.store.insert(connection, asked, START)
        return TEAM, asked.simulation_id

    async def step(self) -> bool:
        """Runs what waits."""
        return await self.simulator.step(self.stopping)

    async def cancel(self, key: SimulationKey) -> None:
        """As a person does."""
        async with transaction(self.store.pool, [TEAM]) as connection:
            await self.store.cancel(connection, key, START)


@pytest.fixture
def work(site: Site, monkeypatch: pytest.MonkeyPatch) -> Work:
    """Nobody waits before trying again."""
    monkeypatch.setattr(worker, "RETRY_S", 0.0)
    return Work(site)


def entered(found: StoredSimulation) -> int:
    assert found.findings is not None
    return simulation_pb2.Simulation.FromString(found.findings).enrolled_count


async def test_one_that_waits_is_run_to_its_end(work: Work) -> None:
    key = await work.ask()
    assert (await work.store.read(key)).state is State.PENDING
    assert await work.step()
    found = await work.store.read(key)
    assert (found.state, found.done, entered(found)) == (State.SUCCEEDED, 2, 2)
    assert not await work.step(), "nothing waits any more"


class Watched(Records):
    """Of three customers; somebody looks before the last page is read."""

    def __init__(self, look: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        numberer = Numberer()
        self._mails = [numberer.mail(id_) for id_ in sorted(customers_of(3))]
        self._look = look

    async def mails(self, team_id: object, since: object, after: tuple[Any, int] | None) -> MailPage:
        """See `Recorded`."""
        ids = [mail.customer_id for mail in self._mails]
        place = 0 if after is None else ids.index(after[0]) + 1
        if place == 2:
            await self._look()
        return MailPage([self._mails[place]], more=place < 2)


@pytest.mark.rule("X-07")
async def test_what_is_counted_so_far_is_kept_while_one_runs_and_not_after(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "COUNTS_S", 0.0)
    seen: list[StoredSimulation] = []

    async def look() -> None:
        async with asyncio.timeout(30):
            while (found := await work.store.read(key)).done < 2:
                await asyncio.sleep(0)
        seen.append(found)

    work.simulator = Simulator(work.store, Watched(look), work.clock)
    key = await work.ask()
    assert (await work.store.read(key)).counts is None
    await work.step()
    [found] = seen
    assert found.counts is not None
    counts = simulation_pb2.Simulation.FromString(found.counts)
    assert (found.state, found.findings) == (State.RUNNING, None)
    assert (counts.events_count, counts.enrolled_count) == (2, 1), "whose mail may go on is not run yet"
    assert [(each.node_id, each.entered_count) for each in counts.nodes] == [("wait", 1)]
    ended = await work.store.read(key)
    assert (ended.counts, entered(ended)) == (None, 3)


async def test_counts_are_kept_a_few_times_a_second_and_gone_when_another_begins(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[bytes | None] = []
    note = work.store.note

    async def noted(*arguments: Any) -> bool:
        kept.append(arguments[-1])
        return await note(*arguments)

    async def stop() -> None:
        work.stopping.set()

    monkeypatch.setattr(work.store, "note", noted)
    work.simulator = Simulator(work.store, Watched(stop), work.clock, lambda: 0.0)
    key = await work.ask()
    await work.step()
    assert [each is not None for each in kept][:2] == [True, False][: len(kept)]
    left = await work.store.read(key)
    assert (left.state, left.counts) == (State.RUNNING, None)


async def test_one_that_is_cancelled_while_it_runs_ends_and_finds_nothing(work: Work) -> None:
    key = await work.ask()
    work.records.between = lambda: work.cancel(key)
    assert await work.step()
    found = await work.store.read(key)
    assert (found.state, found.findings) == (State.CANCELLED, None)
    assert not await work.step()


async def test_one_that_a_stopping_service_leaves_begins_again_elsewhere(work: Work) -> None:
    key = await work.ask()

    async def stop() -> None:
        work.stopping.set()

    work.records.between = stop
    await work.step()
    left = await work.store.read(key)
    assert (left.state, left.tries) == (State.RUNNING, 0), "a stop is no try"
    work.records.between = None
    work.stopping.clear()
    assert await work.step()
    assert entered(await work.store.read(key)) == 2, "nobody is counted twice"


async def test_one_whose_process_was_killed_is_taken_over_when_its_claim_ends(work: Work) -> None:
    key = await work.ask()
    dead = new_id()
    assert await work.store.claim(dead, 3_600) == key
    assert not await work.step(), "it is claimed"
    assert await work.store.note(key, dead, 1, 0)
    assert await work.step()
    assert entered(await work.store.read(key)) == 2
    await work.store.end(key, dead, 9, START, reason="INTERNAL")
    assert (await work.store.read(key)).state is State.SUCCEEDED, "who lost the claim writes nothing"


async def test_one_that_kills_whoever_runs_it_fails_in_the_end(work: Work) -> None:
    key = await work.ask()
    for _ in range(TRIES_MAX):
        assert await work.store.claim(new_id(), 0) == key
    await work.step()
    found = await work.store.read(key)
    assert (found.state, found.reason) == (State.FAILED, "INTERNAL")


@pytest.mark.parametrize(
    ("fault", "tries", "reason"),
    [(ServiceUnavailable("away"), TRIES_MAX, "DEPENDENCY_UNAVAILABLE"), (ValueError("odd"), 1, "INTERNAL")],
)
async def test_one_that_cannot_be_run_fails_with_the_reason(
    work: Work, fault: Exception, tries: int, reason: str
) -> None:
    key = await work.ask()
    work.records.away = fault
    for _ in range(tries):
        assert (await work.store.read(key)).state in (State.PENDING, State.RUNNING)
        await until(work.step)
    found = await work.store.read(key)
    assert (found.state, found.reason, found.tries) == (State.FAILED, reason, tries)
    assert not await work.step()


async def test_one_that_cannot_be_read_fails_and_the_next_is_run(work: Work) -> None:
    """Of a later release, say, that was taken back."""
    odd, sound = await work.ask(), await work.ask()
    async with transaction(work.store.pool, [TEAM]) as connection:
        change = "UPDATE simulation SET definition = $2 WHERE simulation_id = $1"
        await connection.execute(change, odd[1], '{"nodes": 7}')
    assert await work.step()
    assert await work.step()
    async with transaction(work.store.pool, [TEAM]) as connection:
        state = "SELECT state FROM simulation WHERE simulation_id = $1 AND reason = 'INTERNAL'"
        assert await connection.fetchval(state, odd[1]) == State.FAILED
    assert (await work.store.read(sound)).state is State.SUCCEEDED


async def test_a_service_that_comes_back_is_no_failure(work: Work) -> None:
    key = await work.ask()
    work.records.away = ServiceUnavailable("away")
    await work.step()
    work.records.away = None
    await until(work.step)
    assert (await work.store.read(key)).state is State.SUCCEEDED


class OneCustomer(Records):
    """Of one customer who has many events, on one page."""

    def __init__(self, begun: asyncio.Event) -> None:
        super().__init__()
        self._begun = begun
        numberer, (customer_id,) = Numberer(), customers_of(1)
        self._mails = [numberer.mail(customer_id) for _ in range(40)]

    async def mails(self, team_id: object, since: object, after: object) -> MailPage:
        """See `Recorded`."""
        return MailPage(self._mails, more=False)

    async def standings(self, team_id: object, ids: Sequence[object], *_: object) -> list[Standing]:
        """See `Recorded`."""
        self._begun.set()
        return await super().standings(team_id, ids)


async def test_the_service_goes_on_between_the_events_of_one_customer(work: Work) -> None:
    """One may have tens of thousands; a stop is heeded in the midst of them."""
    begun, hurried = asyncio.Event(), itertools.count(0.0, worker.SLICE_S)
    work.simulator = Simulator(work.store, OneCustomer(begun), work.clock, lambda: next(hurried))
    key = await work.ask()

    async def stop() -> None:
        await begun.wait()
        work.stopping.set()

    stopping = asyncio.create_task(stop())
    await work.step()
    await stopping
    left = await work.store.read(key)
    assert (left.state, left.tries, left.done) == (State.RUNNING, 0, 0)


async def test_the_claim_is_renewed_while_one_page_takes_long(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = 0
    note = work.store.note

    async def counted(*arguments: Any) -> bool:
        nonlocal noted
        noted += 1
        return await note(*arguments)

    monkeypatch.setattr(work.store, "note", counted)
    slow = itertools.count(0.0, worker.CLAIM_S / 6)
    work.simulator = Simulator(work.store, OneCustomer(asyncio.Event()), work.clock, lambda: next(slow))
    key = await work.ask()
    await work.step()
    assert entered(await work.store.read(key)) == 40
    assert noted > 10


async def test_the_oldest_that_have_ended_are_forgotten(work: Work) -> None:
    keys = [await work.ask() for _ in range(KEPT_MAX + 2)]
    for key in keys[1:]:
        await work.cancel(key)
    await work.ask()
    kept = await work.store.page(TEAM, None, 1_000)
    assert len(kept) == KEPT_MAX + 1, "and one that waits, however old"
    assert keys[0] in {(TEAM, each.asked.simulation_id) for each in kept}
