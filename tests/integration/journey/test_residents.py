"""Turns that begin with what their worker has committed before, and what else is written meanwhile."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice
from uuid import UUID

import pytest

from libs.common.db.pool import transaction
from libs.common.feeds.journey_records import RunSegmentFact, read_record
from libs.common.mailbox.mail import Mail
from libs.testing.mails import TEAM, customers
from services.journey.domain import model as d
from services.journey.domain.enrolment import EnrolmentState as State
from services.journey.domain.model import ActorKey
from services.journey.store.turns import TurnStore
from services.journey.store.turns_protocol import LoadedTurns
from services.journey.worker.turns import BatchOutcome, TurnRunner, Waiting
from tests.integration.journey.conftest import Site
from tests.integration.journey.neighbours import TAGGED
from tests.integration.journey.turns_by_hand import MESSAGE, POINTS, epochs, key_of

WAIT = d.Node("wait", d.Delay(3600), "points")
ASK = d.Node("ask", d.Condition(b"", "points", None))


class CountingStore(TurnStore):
    """Counts what turns ask it for before their commit."""

    loaded = proven = 0

    async def load(self, keys: Sequence[ActorKey], teams: Collection[UUID] = ()) -> LoadedTurns:
        """Counts loads, however many customers each is of."""
        self.loaded += 1
        return await super().load(keys, teams)

    async def prove_journeys(self, loaded: LoadedTurns) -> None:
        """Counts proofs that are statements of their own."""
        self.proven += 1
        await super().prove_journeys(loaded)


@pytest.fixture
def store(site: Site) -> CountingStore:
    """The site's store of turns."""
    site.turns = CountingStore(site.pool)
    return site.turns


@pytest.fixture
def customer() -> UUID:
    """Whose turns these are."""
    [customer_id] = islice(customers(), 1)
    return customer_id


class Owner:
    """Who holds the leases, and works for one customer."""

    def __init__(self, site: Site, customer_id: UUID, fence: dict[int, int]) -> None:
        self.runner: TurnRunner = site.runner()
        self._key = key_of(customer_id)
        self._fence = fence

    async def turn(self, *mails: Mail) -> BatchOutcome:
        """One turn with this mail, or for a timer."""
        outcome = await self.runner.run({self._key: Waiting(mails)}, self._fence)
        assert list(outcome.committed) == [self._key]
        return outcome


async def told(site: Site) -> int:
    """Run segments in the history."""
    async with transaction(site.pool, [TEAM]) as connection:
        bodies = await connection.fetch("SELECT body FROM history_record")
    facts = [fact for (body,) in bodies for fact in read_record(body).facts]
    return sum(isinstance(fact, RunSegmentFact) for fact in facts)


async def test_a_customer_is_loaded_once_for_all_turns_of_a_journey(
    site: Site, store: CountingStore, customer: UUID
) -> None:
    hello = d.Node("hello", MESSAGE.action, "wait")
    journey = await site.save_journey(hello, d.Node("wait", d.Delay(3600), "ask"), ASK, POINTS)
    owner = Owner(site, customer, await epochs(site))
    await owner.turn(site.order(customer))
    await owner.turn(site.outcome(0))
    site.step(hours=1)
    await owner.turn()
    assert (store.loaded, store.proven) == (1, 0)
    assert await site.states(journey) == {State.COMPLETED: 1}
    assert site.effects.points == {customer: 11}


async def test_journeys_are_proven_before_anything_is_done_because_of_them(
    site: Site, store: CountingStore, customer: UUID
) -> None:
    await site.save_journey(POINTS)
    owner = Owner(site, customer, await epochs(site))
    await owner.turn(site.order(customer))
    await owner.turn(site.order(customer))
    assert (store.loaded, store.proven) == (1, 1)
    assert site.effects.points == {customer: 22}


@pytest.mark.parametrize("before_points", [WAIT, ASK], ids=["a delay", "a condition"])
async def test_what_another_writer_did_is_neither_lost_nor_done_again(
    site: Site, store: CountingStore, customer: UUID, before_points: d.Node
) -> None:
    """Under the same lease, which keeps nobody out: as if the fence had failed."""
    nap = d.Node("nap", d.Delay(3600), before_points.node_id)
    journey = await site.save_journey(nap, before_points, POINTS)
    fence = await epochs(site)
    one, other = Owner(site, customer, fence), Owner(site, customer, fence)
    await one.turn(site.order(customer))
    for _ in range(2):
        site.step(hours=1)
        await other.turn()
    await one.turn()
    await one.turn(site.order(customer))
    assert await site.states(journey) == {State.COMPLETED: 1, State.LIVE: 1}
    assert site.effects.points == {customer: 12}
    assert await told(site) == (4 if before_points is WAIT else 3)
    async with transaction(site.pool, [TEAM]) as connection:
        assert await connection.fetchval("SELECT count(verdicts) FROM actor") == 0


async def test_a_verdict_of_another_writer_is_not_overwritten(
    site: Site, store: CountingStore, customer: UUID
) -> None:
    """The one judges by what it remembers, the other has gone on meanwhile and awaits the next condition."""
    await site.save_journey(
        d.Node("nap", d.Delay(3600), "which?"),
        d.Node("which?", d.Condition(TAGGED, "points", "wait")),
        d.Node("wait", d.Delay(3600), "points"),
        POINTS,
    )
    fence = await epochs(site)
    one, other = Owner(site, customer, fence), Owner(site, customer, fence)
    await one.turn(site.order(customer))
    site.step(hours=1)
    await other.turn()
    site.effects.tagged.add(customer)
    await one.turn()
    assert site.effects.points == {customer: 1}
    assert await told(site) == 2


@pytest.mark.parametrize("node", [POINTS, d.Node("nap", d.Delay(3600), None)], ids=["effects", "no effects"])
async def test_a_journey_that_was_published_since_the_last_load_is_started(
    site: Site, store: CountingStore, customer: UUID, node: d.Node
) -> None:
    owner = Owner(site, customer, await epochs(site))
    await site.save_journey(node)
    await owner.turn(site.order(customer))
    later = await site.save_journey(node, number=101)
    await owner.turn(site.order(customer))
    assert sum((await site.states(later)).values()) == 1


async def test_nothing_is_done_for_a_journey_that_was_stopped_since_the_last_load(
    site: Site, store: CountingStore, customer: UUID
) -> None:
    owner = Owner(site, customer, await epochs(site))
    journey = await site.save_journey(POINTS)
    await owner.turn(site.order(customer))
    async with transaction(site.pool, [TEAM]) as connection:
        await site.journeys.change_status(connection, journey, d.JourneyStatus.STOPPING, site.clock.now())
    await owner.turn(site.order(customer))
    # Two orders earn one each; the journey gave ten before it was stopped.
    assert site.effects.points == {customer: 12}


async def test_after_a_change_of_owners_a_customer_is_loaded(
    site: Site, store: CountingStore, customer: UUID
) -> None:
    journey = await site.save_journey(WAIT, POINTS)
    former = Owner(site, customer, await epochs(site))
    await former.turn(site.order(customer))
    fence = await epochs(site)
    later = Owner(site, customer, fence)
    site.step(hours=1)
    await later.turn()
    former._fence = await epochs(site)
    await former.turn(site.order(customer))
    assert store.loaded == 3
    assert await site.states(journey) == {State.COMPLETED: 1, State.LIVE: 1}
    assert await told(site) == 3


async def test_a_turn_of_which_nobody_knows_whether_it_was_committed_is_loaded(
    site: Site, store: CountingStore, customer: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.save_journey(WAIT, POINTS)
    owner = Owner(site, customer, await epochs(site))
    await owner.turn(site.order(customer))
    commit = store.commit

    async def lose_the_answer(*given: object) -> None:
        await commit(*given)  # type: ignore[arg-type]
        raise ConnectionError

    site.step(hours=1)
    with monkeypatch.context() as patch:
        patch.setattr(store, "commit", lose_the_answer)
        with pytest.raises(ConnectionError):
            await owner.turn()
    await owner.turn()
    assert store.loaded == 2
    assert await told(site) == 2


async def test_who_loses_a_lease_remembers_nobody(site: Site, customer: UUID) -> None:
    await site.save_journey(WAIT, POINTS)
    runner = site.runner()
    async with site.worker(lease_s=60, runner=runner) as worker:
        await site.deliver(site.order(customer))
        await site.until(lambda: runner.residents.size_bytes > 0)
        worker.set_leases({})
        assert runner.residents.size_bytes == 0
