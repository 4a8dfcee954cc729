"""For tests that run turns and stop journeys by themselves, without the loops of a worker."""

from __future__ import annotations

from uuid import UUID

from libs.common.db.pool import transaction
from libs.common.ids import PARTITIONS, partition_of
from libs.common.leases import LeaseKeeper
from libs.testing.mails import TEAM
from services.journey import metrics
from services.journey.domain import model as d
from services.journey.domain.model import ActorKey
from tests.integration.journey.conftest import Site
from tests.integration.journey.neighbours import TAGGED

MESSAGE = d.Node("send", d.Message(d.Channel.LINE, bot_module_id=UUID(int=4)))
POINTS = d.Node("points", d.Points(10))


def key_of(customer_id: UUID) -> ActorKey:
    return ActorKey(partition_of(TEAM, customer_id), TEAM, customer_id)


async def epochs(site: Site) -> dict[int, int]:
    """Leases of a worker of the test's own, whose epochs grow with each call."""
    held: dict[int, int] = {}
    keeper = LeaseKeeper(site.pool, held.update, lease_s=60, worker_id=f"test {id(held)}")
    await site.pool.execute("UPDATE partition_lease SET expires_at = '-infinity'")
    await site.pool.execute("DELETE FROM lease_worker")
    await keeper.renew()
    assert len(held) == PARTITIONS
    return held


def refused_for(reason: str) -> float:
    """How many triggers this process has refused for a reason."""
    return float(metrics.REFUSALS.labels(reason)._value.get())


async def stop(site: Site, journey: d.Journey) -> None:
    async with transaction(site.pool, [TEAM]) as connection:
        present = await site.journeys.get_for_change(connection, TEAM, journey.journey_id)
        await site.journeys.change_status(
            connection, present, d.JourneyStatus.STOPPING, site.clock.now(), stops_sends=True
        )


def once_tagged() -> tuple[d.Node, ...]:
    """Points on either branch, and the one for those without the tag applies it."""
    return (
        d.Node("ask", d.Condition(TAGGED, "points", "tag")),
        POINTS,
        d.Node("tag", d.Tags(add=("met",)), "first"),
        d.Node("first", d.Points(10)),
    )
