"""Audience triggers as work: interrupted anywhere, taken over, resumed where a stream broke, given up with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import pytest

from libs.common import crash
from libs.common.db.pool import transaction
from libs.testing.mails import TEAM
from services.journey.clients.audiences import AudienceRefused, Members
from services.journey.clients.calls import ServiceUnavailable
from services.journey.domain import model as d
from services.journey.domain.audience_trigger import (
    ENROLLED,
    KEPT_MAX,
    TRIES_MAX,
    WAITS,
)
from services.journey.domain.simulation_work import SimulationState as State
from services.journey.store.audience_triggers import AudienceTriggerKey, Claim
from services.journey.worker.audience_triggers import CLAIMED_S, POLL_S
from tests.integration.journey.audience_trigger_stage import Killed, Work
from tests.integration.journey.conftest import START, Site


@pytest.fixture
async def work(site: Site) -> Work:
    await site.save_journey(d.Node("wait", d.Delay(60)), trigger=d.SystemTriggerKind())
    return Work(site)


async def test_all_are_found_before_anybody_is_triggered(work: Work) -> None:
    key = await work.ask()
    await work.triggering().step()
    first = await work.store.read(key)
    assert (first.state, first.found, first.found_all, first.handed) == (State.RUNNING, 1_000, False, 0)
    assert (await work.found(key)).found == 1_250
    assert not await work.keys()
    ended = await work.to_its_end(key)
    assert (ended.state, ended.handed, ended.settled) == (State.SUCCEEDED, 1_250, 1_250)
    assert await work.customers_mailed() == work.segment.customers


async def test_a_stream_that_breaks_is_resumed_where_it_broke(work: Work) -> None:
    key = await work.ask()
    work.segment.breaks_after = 6
    await work.triggering().step()
    broken = await work.store.read(key)
    assert (broken.found, broken.through) == (600, work.segment.customers[599])
    work.segment.breaks_after = None
    await work.found(key)
    assert work.segment.asked_after[:2] == [None, work.segment.customers[599]]
    await work.to_its_end(key)
    assert await work.customers_mailed() == work.segment.customers, "nobody twice, nobody left out"


@pytest.mark.parametrize("point", ["journey.after_found", "journey.before_hand", "journey.after_hand"])
async def test_whoever_is_killed_leaves_nobody_out_and_nobody_twice(
    work: Work, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[str] = []

    def reach(name: str) -> None:
        """Every other time that the point is reached, the process dies there."""
        reached.append(name)
        if name == point and reached.count(name) % 2:
            raise Killed

    monkeypatch.setattr(crash, "reach", reach)
    key = await work.ask()
    for _ in range(200):
        await work.due()
        try:
            await work.triggering().step()
        except Killed:
            continue
        await work.take_all()
        if (await work.store.read(key)).state.has_ended:
            break
    ended = await work.store.read(key)
    assert reached.count(point) >= 3
    assert (ended.state, ended.found, ended.settled) == (State.SUCCEEDED, 1_250, 1_250)
    assert await work.customers_mailed() == work.segment.customers
    assert len(set(await work.keys())) == 1_250


async def test_a_stream_that_breaks_after_each_part_comes_to_its_end(work: Work) -> None:
    key = await work.ask()
    work.segment.breaks_after = 1
    await work.found(key)
    assert (await work.store.read(key)).found == 1_250
    assert len(work.segment.asked_after) == 13, "each goes on where the one before broke"


async def test_a_step_that_finds_slowly_ends_with_what_it_has(work: Work) -> None:
    key = await work.ask()
    triggering, now = work.triggering(), [0.0]

    def slowly() -> float:
        """Each look at the clock is a second after the one before."""
        now[0] += 1.0
        return now[0]

    triggering._real_time = slowly
    await triggering.step()
    first = await work.store.read(key)
    assert (first.found, first.found_all, first.through) == (200, False, work.segment.customers[199])


async def test_one_that_waits_for_segment_holds_up_no_other(work: Work) -> None:
    await work.ask()
    stuck, stopping = asyncio.Event(), asyncio.Event()
    members = work.segment.members

    async def slow(team_id: UUID, audience: bytes, after: UUID | None) -> AsyncGenerator[Members, None]:
        if len(work.segment.asked_after) == 0:
            work.segment.asked_after.append(after)
            await stuck.wait()
        async for part in members(team_id, audience, after):
            yield part

    work.segment.members = slow  # type: ignore[method-assign]
    triggering = work.triggering()
    running = asyncio.create_task(triggering.run(stopping))
    await work.site.until(lambda: work.segment.asked_after)
    other = await work.ask()
    triggering.wake()
    await work.site.until(lambda: _is_found(work, other))
    stuck.set()
    stopping.set()
    await running


async def test_what_is_no_triggers_fault_ends_the_loop(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    await work.ask()

    async def due(*_: object, **__: object) -> None:
        raise LookupError("there is no such table")

    monkeypatch.setattr(work.store, "due", due)
    with pytest.raises(ExceptionGroup):
        async with asyncio.timeout(60):
            await work.triggering().run(asyncio.Event())


async def _is_found(work: Work, key: AudienceTriggerKey) -> bool:
    return (await work.store.read(key)).found_all


async def test_two_of_a_team_share_its_bound_and_keep_to_it_together(work: Work) -> None:
    keys = [await work.ask(), await work.ask()]
    for key in keys:
        await work.found(key)
    await work.due()
    await asyncio.gather(*(work.triggering().step() for _ in keys))
    assert [(await work.store.read(key)).handed for key in keys] == [250, 250]
    await work.due()
    await asyncio.gather(*(work.triggering().step() for _ in keys))
    assert len(await work.keys()) == 500, "nobody has taken any"


async def test_of_one_that_has_ended_outcomes_that_cannot_be_had_are_given_up(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await work.ask()
    await work.found(key)
    await work.due()
    await work.triggering().step()
    async with transaction(work.store.pool, [TEAM]) as connection:
        await work.store.end(connection, key, State.CANCELLED, START)

    async def states(*_: object) -> object:
        raise ValueError("odd")

    monkeypatch.setattr(work.store, "states", states)
    for _ in range(TRIES_MAX + 1):
        assert (await work.store.read(key)).settled == 0
        await work.due()
        await work.triggering().step()
    found = await work.store.read(key)
    assert (found.settled, found.outcomes) == (500, {WAITS: 500})
    await work.due()
    assert await work.triggering().step() == POLL_S, "nobody looks at it any more"


async def test_what_a_claim_was_taken_over_from_writes_nothing(work: Work) -> None:
    key = await work.ask()
    claims: list[Claim] = []
    members = work.segment.members

    async def slow(team_id: UUID, audience: bytes, after: UUID | None) -> AsyncGenerator[Members, None]:
        """While segment takes its time, the claim ends and somebody else takes it."""
        if not claims:
            await work.due()
            other = await work.store.claim(60)
            assert isinstance(other, Claim)
            claims.append(other)
        async for part in members(team_id, audience, after):
            yield part

    work.segment.members = slow  # type: ignore[method-assign]
    await work.triggering().step()
    assert (await work.store.read(key)).found == 0
    await work.due()
    await work.triggering().step()
    assert (await work.store.read(key)).found == 1_000


async def test_where_nothing_is_due_the_next_look_waits(work: Work) -> None:
    assert await work.triggering().step() == POLL_S
    key = await work.ask()
    await work.due()
    async with transaction(work.store.pool, [TEAM]) as other:
        await other.execute(
            "SELECT FROM audience_trigger WHERE (team_id, operation_id) = ($1, $2) FOR UPDATE", *key
        )
        assert await work.triggering().step() == CLAIMED_S, "somebody else claims it"
    await work.triggering().step()
    assert (await work.store.read(key)).found == 1_000


async def test_no_more_are_triggered_a_second_than_asked_for(work: Work) -> None:
    key = await work.ask(rate=40)
    await work.found(key)
    now = [0.0]
    triggering = work.triggering()
    triggering._real_time = lambda: now[0]
    await work.due()
    await triggering.step()
    assert (await work.store.read(key)).handed == 10
    waits = await triggering.step()
    assert 0 < waits <= 0.25, "a quarter of a second later the next ten"
    assert (await work.store.read(key)).handed == 10


async def test_who_was_set_aside_is_counted_and_holds_nobody_back(work: Work) -> None:
    key = await work.ask()
    await work.found(key)
    await work.due()
    await work.triggering().step()
    async with transaction(work.store.pool, [TEAM]) as connection:
        await connection.execute(
            "INSERT INTO parked_customer (partition, team_id, customer_id, error, attempts, parked_at)"
            " SELECT partition, team_id, customer_id, 'odd', 8, now() FROM mail ORDER BY customer_id LIMIT 1"
        )
    await work.take_all()
    async with transaction(work.store.pool, [TEAM]) as connection:
        await connection.execute(
            "UPDATE actor SET taken_journey = 0 WHERE customer_id = (SELECT min(customer_id::text)::uuid FROM mail)"
        )
    await work.due()
    await work.triggering().step()
    found = await work.store.read(key)
    assert found.outcomes[WAITS] == 1
    assert found.settled == 500


async def test_segment_that_is_away_is_waited_for_however_long(work: Work) -> None:
    key = await work.ask()
    work.segment.away = ServiceUnavailable("away")
    for _ in range(TRIES_MAX + 5):
        await work.due()
        await work.triggering().step()
    found = await work.store.read(key)
    assert (found.state, found.found) == (State.RUNNING, 0)
    work.segment.away = None
    assert (await work.found(key)).found == 1_250


async def test_an_audience_that_cannot_be_judged_any_more_ends_it_with_the_reason(work: Work) -> None:
    key = await work.ask()
    work.segment.away = AudienceRefused("AUDIENCE_INVALID", "the attribute is archived")
    await work.triggering().step()
    found = await work.store.read(key)
    assert (found.state, found.reason, found.message) == (
        State.FAILED,
        "AUDIENCE_INVALID",
        "the attribute is archived",
    )


async def test_a_step_that_fails_again_and_again_ends_it_and_holds_up_no_other(work: Work) -> None:
    key = await work.ask()
    work.segment.away = ValueError("odd")
    for _ in range(TRIES_MAX + 1):
        assert (await work.store.read(key)).state <= State.RUNNING
        await work.due()
        await work.triggering().step()
    found = await work.store.read(key)
    assert (found.state, found.reason) == (State.FAILED, "INTERNAL")


async def test_pages_are_gone_when_nothing_is_to_be_done_with_them_any_more(work: Work) -> None:
    async def pages() -> int:
        async with transaction(work.store.pool, [TEAM]) as connection:
            return int(await connection.fetchval("SELECT count(*) FROM audience_trigger_page"))

    half = await work.ask(rate=40)
    await work.found(half)
    await work.due()
    await work.triggering().step()
    async with transaction(work.store.pool, [TEAM]) as connection:
        await work.store.end(connection, half, State.CANCELLED, START)
    assert await pages() == 1, "of those ten who were triggered"
    await work.take_all()
    await work.due()
    await work.triggering().step()
    assert ((await work.store.read(half)).settled, await pages()) == (10, 0)
    cancelled = await work.ask()
    await work.found(cancelled)
    assert await pages() > 0
    async with transaction(work.store.pool, [TEAM]) as connection:
        await work.store.end(connection, cancelled, State.CANCELLED, START)
    assert await pages() == 0
    await work.to_its_end(await work.ask())
    assert await pages() == 0


async def test_the_oldest_that_have_ended_are_forgotten(work: Work) -> None:
    keys = [await work.ask() for _ in range(KEPT_MAX + 2)]
    for key in keys[1:]:
        async with transaction(work.store.pool, [TEAM]) as connection:
            await work.store.end(connection, key, State.CANCELLED, START)
    await work.ask()
    kept = await work.store.page(TEAM, None, 1_000)
    assert len(kept) == KEPT_MAX + 1, "and one that waits, however old"
    assert keys[0] in {(TEAM, each.asked.operation_id) for each in kept}


async def test_a_worker_enrols_those_who_are_triggered(work: Work) -> None:
    key = await work.ask()
    work.segment.customers = work.segment.customers[:20]
    triggering = work.triggering()
    triggering._deliver = work.delivered.extend
    await work.found(key)
    await work.due()
    await triggering.step()
    work.site.archives[3].mails.extend(work.delivered)
    async with work.site.worker():
        await work.site.deliver(*work.delivered)

        async def all_inside() -> Any:
            await work.due()
            await triggering.step()
            return (await work.store.read(key)).state is State.SUCCEEDED

        await work.site.until(all_inside)
    found = await work.store.read(key)
    assert found.outcomes == {ENROLLED: 20}
