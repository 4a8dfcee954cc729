"""Who rests for quiet time that was drawn otherwise is made due: by one process, each once, in one pass."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

import msgspec
import pytest

from libs.common.clock import SteppedClock
from libs.common.db.pool import transaction
from libs.testing.mails import TEAM, customers
from services.journey import metrics
from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.store import resting
from services.journey.store.resting import RestingStore, WokenElsewhere
from services.journey.worker.brakes import Brakes
from services.journey.worker.turns import Waiting
from tests.integration.journey.conftest import START, Site
from tests.integration.journey.neighbours import RecordingStopper
from tests.integration.journey.turns_by_hand import MESSAGE, epochs, key_of
from tests.unit.journey.builders import journey as unit_journey

WHOLE_DAY = (d.QuietWindow(0, 0),)
Actors = dict[UUID, tuple[datetime, int]]


async def actors(site: Site) -> Actors:
    """When each customer is due, and how often their actor was written."""
    async with transaction(site.pool, [TEAM]) as connection:
        rows = await connection.fetch("SELECT customer_id, wake_at, version FROM actor")
    return {row["customer_id"]: (row["wake_at"], row["version"]) for row in rows}


async def rest(site: Site, counts: list[int]) -> list[UUID]:
    """Customers who rest in the journeys, so many from each of some moments on."""
    found = list(islice(customers(), sum(counts)))
    left, fence, runner = iter(found), await epochs(site), site.runner()
    for count in counts:
        orders = {key_of(each): Waiting([site.order(each)]) for each in islice(left, count)}
        await runner.run(orders, fence)
        site.step(minutes=1)
    return found


async def journey(site: Site, number: int = 100) -> UUID:
    node = d.Node("send", MESSAGE.action, None)
    return (await site.save_journey(node, number=number, quiet=WHOLE_DAY)).journey_id


async def test_everybody_is_due_once_however_many_entered_at_one_moment(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resting, "PAGE_MAX", 3)
    monkeypatch.setattr(resting, "BATCH_MAX", 2)
    journey_id = await journey(site)
    found = await rest(site, [2, 5, 1, 4])
    before, now = await actors(site), site.clock.now()
    store = RestingStore(site.pool)
    await store.wake(TEAM, journey_id, 1, now)
    after = {each: (now, before[each][1] + 1) for each in found}
    assert await actors(site) == after
    await RestingStore(site.pool).wake(TEAM, journey_id, 1, now)
    assert await actors(site) == after, "another process finds that it is done"
    await store.wake(TEAM, journey_id, 2, now)
    assert await actors(site) == {each: (at, version + 1) for each, (at, version) in after.items()}


async def test_further_enrolments_of_a_customer_are_found_too(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resting, "PAGE_MAX", 1)
    first, second = await journey(site), await journey(site, 101)
    await rest(site, [1, 1])
    before = await actors(site)
    for epoch, journey_id in enumerate((first, second), start=1):
        await RestingStore(site.pool).wake(TEAM, journey_id, 1, START)
        assert await actors(site) == {each: (START, version + epoch) for each, (_, version) in before.items()}


async def test_the_claim_is_renewed_by_each_look_also_at_those_who_do_not_rest(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resting, "PAGE_MAX", 2)
    journey_id, held, original = await journey(site), 0, RestingStore._hold
    oldest, *others = await rest(site, [2, 2, 1])
    async with transaction(site.pool, [TEAM]) as connection:
        sleeping = "UPDATE actor SET live_wait = wait_reason('DELAY') WHERE customer_id = ANY ($1)"
        await connection.execute(sleeping, others)

    async def hold(self: RestingStore, *arguments: Any) -> None:
        nonlocal held
        held += 1
        await original(self, *arguments)

    monkeypatch.setattr(RestingStore, "_hold", hold)
    before = await actors(site)
    await RestingStore(site.pool).wake(TEAM, journey_id, 1, START)
    assert {each for each, seen in (await actors(site)).items() if seen != before[each]} == {oldest}
    assert held == 4, "three looks at actors, one at enrolments with rows"


async def test_one_process_does_it_until_it_comes_on_no_more(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    journey_id = await journey(site)
    await rest(site, [1])
    begun, goes_on = asyncio.Event(), asyncio.Event()
    original = RestingStore._wake

    async def slowly(self: RestingStore, *arguments: object) -> None:
        begun.set()
        await goes_on.wait()
        await original(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(RestingStore, "_wake", slowly)
    one = asyncio.create_task(RestingStore(site.pool).wake(TEAM, journey_id, 1, START))
    await begun.wait()
    monkeypatch.setattr(RestingStore, "_wake", original)
    before = await actors(site)
    with pytest.raises(WokenElsewhere):
        await RestingStore(site.pool).wake(TEAM, journey_id, 1, START)
    assert await actors(site) == before
    async with transaction(site.pool, [TEAM]) as connection:
        await connection.execute("UPDATE resting_wake SET claimed_until = clock_timestamp() - interval '1 s'")
    await RestingStore(site.pool).wake(TEAM, journey_id, 1, START)
    due = await actors(site)
    assert [at for at, _ in due.values()] == [START]
    goes_on.set()
    with pytest.raises(WokenElsewhere):
        await one
    assert await actors(site) == due, "whoever was overtaken writes nothing"


async def test_a_customer_whose_turn_is_committed_just_now_holds_up_nobody(site: Site) -> None:
    journey_id = await journey(site)
    found = await rest(site, [3])
    store = RestingStore(site.pool)
    async with transaction(site.pool, [TEAM]) as connection:
        await connection.execute("SELECT FROM actor WHERE customer_id = $1 FOR UPDATE", found[0])
        waking = asyncio.create_task(store.wake(TEAM, journey_id, 1, START))
        await site.until(lambda: _are_due(site, found[1:]))
        assert not waking.done()
    await waking
    assert await _are_due(site, found)


@pytest.mark.rule("J-06e")
async def test_what_a_lost_run_did_is_told_though_its_customer_was_made_due_meanwhile(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = await journey(site)
    nodes = d.Node("wait", d.Delay(60), "points"), d.Node("points", d.Points(10))
    drawn = await site.save_journey(*nodes, number=101)
    [customer] = await rest(site, [1])
    original, left = site.effects.answer, [True]

    async def change_after_it(effects: Sequence[fx.Effect]) -> list[fx.Answer | Exception]:
        answers = await original(effects)
        if left and any(isinstance(effect, fx.ChangePoints) for effect in effects):
            left.clear()
            await RestingStore(site.pool).wake(TEAM, quiet, 1, site.clock.now())
            async with transaction(site.pool, [TEAM]) as connection:
                present = await site.journeys.get_for_change(connection, TEAM, drawn.journey_id)
                points = d.Node("points", d.Points(20))
                edited = msgspec.structs.replace(present.definition, nodes=(nodes[0], points))
                await site.journeys.update_definition(connection, present, edited, "test", START)
        return answers

    monkeypatch.setattr(site.effects, "answer", change_after_it)
    site.step(minutes=1)
    outcome = await site.runner().run_all({key_of(customer): Waiting()}, await epochs(site))
    assert not outcome.failed
    assert not left
    asked = [effect.delta for effect in site.effects.asked if isinstance(effect, fx.ChangePoints)]
    assert asked == [10], "it is not asked for again, as it is drawn now"


async def _are_due(site: Site, some: list[UUID]) -> bool:
    due = await actors(site)
    return all(due[each][0] == START for each in some)


class Kept:
    """Another process makes customers due, until it has."""

    def __init__(self) -> None:
        self.elsewhere = True
        self.woken: list[int] = []
        self.acknowledged: list[int] = []

    async def wake_resting(self, team_id: UUID, journey_id: UUID, epoch: int, now: datetime) -> None:
        """See `Acknowledgements`."""
        self.woken.append(epoch)
        if self.elsewhere:
            raise WokenElsewhere

    async def acknowledge(self, team_id: UUID, journey_id: UUID, epoch: int) -> None:
        """See `Acknowledgements`."""
        self.acknowledged.append(epoch)


async def test_a_change_of_windows_is_acknowledged_when_the_other_process_is_done() -> None:
    kept, failed = Kept(), metrics.BRAKES_FAILED._value.get()
    brakes = Brakes(RecordingStopper(), kept, SteppedClock(START), lambda: None)
    changed = msgspec.structs.replace(unit_journey(), stop_epoch=3, recall_epoch=3)
    brakes.pull(changed)
    while not kept.woken:
        await asyncio.sleep(0)
    assert kept.acknowledged == []
    kept.elsewhere = False
    assert await brakes.pull_and_wait(changed)
    assert (kept.woken, kept.acknowledged) == ([3, 3], [3])
    assert metrics.BRAKES_FAILED._value.get() == failed, "nothing has failed"
