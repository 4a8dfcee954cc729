"""Actors as the release before left them are taken over, and that release does not touch what it cannot read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from itertools import islice
from uuid import UUID

import asyncpg
import msgspec
import pytest

from libs.common.db.pool import transaction
from libs.testing.mails import TEAM, customers
from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.domain.enrolment import EnrolmentState, Step, StepResult, WaitReason
from services.journey.domain.enrolment import EnrolmentState as State
from services.journey.domain.model import ActorKey
from services.journey.domain.views import EnrolmentFilter
from services.journey.store.codec import RunSegmentRecord, pack
from services.journey.store.turns_protocol import LoadedTurns
from services.journey.worker.turns import Waiting
from tests.chaos.actors import Turns
from tests.integration.journey.conftest import START, Site
from tests.integration.journey.turns_by_hand import POINTS, epochs, key_of, once_tagged

HOUR = timedelta(hours=1)
JOURNEY = UUID(int=100)
WAIT = d.Node("wait", d.Delay(3600), "points")


async def sleeper(site: Site, customer: UUID, enrolment_id: UUID) -> None:
    """A customer who sleeps for an hour, written in the form of the release before, with a count of one enrolment.

    Before the journey is saved, which is told in a record.
    """
    key = key_of(customer)
    entries = msgspec.msgpack.encode({JOURNEY.bytes: 1})
    async with transaction(site.pool, [TEAM]) as connection:
        await connection.execute(
            "INSERT INTO actor (partition, team_id, customer_id, taken_segment, entries, wake_at)"
            " VALUES ($1, $2, $3, 0, $4, $5) ON CONFLICT DO NOTHING",
            *(*key, entries, START + HOUR),
        )
        await connection.execute(
            "INSERT INTO enrolment (partition, team_id, customer_id, enrolment_id, journey_id, trigger_event_id,"
            " created_at, updated_at, wake_at, depth, state, rest, visit, node_id)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, 0, 1, 1, 1, 'wait')",
            *(*key, enrolment_id, JOURNEY, UUID(int=7), START, START + HOUR),
        )
        step = Step("wait", 1, StepResult.DELAY_STARTED, START, entered=True)
        await connection.execute(
            "INSERT INTO history SELECT $1, COALESCE(max(position), 0) + 1, $2, $3, $4, $5, $6, 1, $7 FROM history"
            " WHERE partition = $1",
            *(key.partition, TEAM, JOURNEY, customer, enrolment_id, START),
            pack(RunSegmentRecord(True, EnrolmentState.LIVE, (step,))),
        )


async def faults(site: Site) -> list[str]:
    """What the checker of turns finds."""
    async with transaction(site.pool, [TEAM]) as connection:
        turns = await Turns.read(connection, TEAM)
    return [*turns.faults(), *turns.idle_verdicts()]


async def test_those_who_slept_before_the_upgrade_wake_and_end_once(site: Site) -> None:
    crowd = list(islice(customers(), 3))
    for number, customer in enumerate(crowd):
        await sleeper(site, customer, UUID(int=1_000 + number))
    await sleeper(site, crowd[0], UUID(int=2_000))
    journey = await site.save_journey(WAIT, POINTS, enrolments_per_customer_max=2)
    assert await site.states(journey) == {State.LIVE: 4}
    fence = await epochs(site)
    # One of them gets mail first: the count goes on, and a second enrolment stands beside the old one.
    await site.runner().run({key_of(crowd[1]): Waiting((site.order(crowd[1]),))}, fence)
    assert await site.states(journey) == {State.LIVE: 5}
    assert await faults(site) == []
    site.step(hours=1)
    due = [key for _, key in (await site.turns.look_at_timers(fence, site.clock.now(), 10)).found]
    assert sorted(due) == sorted(map(key_of, crowd))
    await site.runner().run(dict.fromkeys(due, Waiting()), fence)
    assert await site.states(journey) == {State.COMPLETED: 5}
    assert site.effects.points == {crowd[0]: 20, crowd[1]: 21, crowd[2]: 10}
    assert await faults(site) == []
    again = await site.turns.load([key_of(crowd[1])])
    assert again.actors[key_of(crowd[1])].entries == {journey.journey_id: 2}
    result = StepResult
    for each in await site.enrolments.page(TEAM, EnrolmentFilter(journey.journey_id, None), None, 10):
        told = [step.result for step, _ in await site.enrolments.steps(each)]
        assert told == [result.DELAY_STARTED, result.DELAY_ENDED, result.APPLIED]


async def test_nothing_is_appended_to_the_history_of_before_once_a_record_was_written(site: Site) -> None:
    append = "INSERT INTO history SELECT 0, $1, $2, $3, NULL, NULL, $4, 3, ''"
    await site.pool.fetch("SELECT * FROM changing_journeys($1)", START)
    async with transaction(site.pool, [TEAM]) as connection:
        await connection.execute(append, 1, TEAM, UUID(int=1), START)
        # The first record waits for whoever appends.
        saving = asyncio.create_task(site.save_journey(POINTS))
        await site.until(lambda: _is_waiting(site))
    await saving
    async with transaction(site.pool, [TEAM]) as connection:
        with pytest.raises(asyncpg.CannotConnectNowError, match="later release"):
            await connection.execute(append, 2, TEAM, UUID(int=1), START)
    # It would take a journey for empty whose customers are in their actors alone.
    with pytest.raises(asyncpg.CannotConnectNowError, match="later release"):
        await site.pool.fetch("SELECT * FROM changing_journeys($1)", START)


async def _is_waiting(site: Site) -> bool:
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE usename = current_user AND wait_event_type = 'Lock'"
    )
    return bool(await site.pool.fetchval(waiting))


async def test_lists_show_live_enrolments_of_both_forms_in_order_and_once(site: Site) -> None:
    crowd = list(islice(customers(), 6))
    for number, customer in enumerate(crowd[:3]):
        await sleeper(site, customer, UUID(int=1_000 + number))
    journey = await site.save_journey(WAIT, POINTS)
    fence = await epochs(site)
    site.step(minutes=1)
    batch = {key_of(customer): Waiting((site.order(customer),)) for customer in [crowd[0], *crowd[3:]]}
    await site.runner().run(batch, fence)
    for wanted in (
        EnrolmentFilter(journey.journey_id, None),
        EnrolmentFilter(journey.journey_id, None, (State.LIVE,)),
    ):
        listed = await site.enrolments.page(TEAM, wanted, None, 10)
        pages = []
        after = None
        while page := await site.enrolments.page(TEAM, wanted, after, 2):
            pages += page
            after = (page[-1].enrolment.created_at, page[-1].enrolment.enrolment_id)
        assert pages == listed
        assert len({each.enrolment.enrolment_id for each in listed}) == len(listed) == 7
    for each in listed:
        stored = await site.enrolments.get(TEAM, each.enrolment.enrolment_id)
        assert stored == each
        assert (stored.enrolment.node_id, stored.enrolment.wait) == ("wait", WaitReason.DELAY)
        own = await site.enrolments.page(TEAM, EnrolmentFilter(None, each.enrolment.customer_id), None, 10)
        assert each in own
    none = EnrolmentFilter(journey.journey_id, None, (State.COMPLETED,))
    assert await site.enrolments.page(TEAM, none, None, 10) == []


async def test_a_verdict_of_the_release_before_is_the_first(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    journey = await site.save_journey(*once_tagged())
    [customer] = islice(customers(), 1)
    batch, fence = {key_of(customer): Waiting((site.order(customer),))}, await epochs(site)
    # The customer has no tag; a lost run of the release before saw it, and began the branch of those who have.
    evaluated: list[UUID] = []
    given = site.turns.keep_verdicts

    async def older(
        asked: Mapping[ActorKey, tuple[fx.EvaluateAudience, fx.Verdict]],
        loaded: LoadedTurns,
        held: Mapping[int, int],
    ) -> dict[ActorKey, fx.Verdict]:
        async with transaction(site.pool, [TEAM]) as connection:
            for each, _ in asked.values():
                evaluated.append(each.key)
                await connection.execute(
                    "INSERT INTO verdict VALUES ($1, $2, $3, true, '')", TEAM, each.enrolment_id, each.key
                )
        return await given(asked, loaded, held)

    monkeypatch.setattr(site.turns, "keep_verdicts", older)
    await site.runner().run(batch, fence)
    assert await site.states(journey) == {State.COMPLETED: 1}
    assert (len(evaluated), site.effects.tagged) == (1, set())
    async with transaction(site.pool, [TEAM]) as connection:
        assert await connection.fetchval("SELECT count(*) FROM verdict") == 0


async def test_the_release_before_does_not_touch_a_packed_actor(site: Site) -> None:
    await site.save_journey(WAIT, POINTS)
    [customer, other] = islice(customers(), 2)
    key, fence = key_of(customer), await epochs(site)
    await site.runner().run({key: Waiting((site.order(customer),))}, fence)
    load = "SELECT * FROM load_turns(ARRAY[$2::uuid], ARRAY[$1::smallint], ARRAY[$2], ARRAY[$3::uuid])"
    with pytest.raises(asyncpg.CannotConnectNowError, match="later release"):
        await site.pool.fetch(load, *key)
    await site.pool.fetch(load, *key_of(other))
    write = "SELECT write_turns_v2($1, ARRAY[($2, $3, $4, 1, 0, 0, NULL, NULL, false)::actor_row], '{}', '{}', '{}')"
    async with transaction(site.pool, [TEAM]) as connection:
        with pytest.raises(asyncpg.CannotConnectNowError, match="later release"):
            await connection.execute(write, START, *key)
