"""What a stop reads: those who are inside, however many have been."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import pytest

from libs.common.db.pool import transaction
from libs.common.ids import PARTITIONS
from libs.testing.mails import TEAM, customers
from services.journey.domain import model as d
from services.journey.domain.enrolment import EnrolmentState as State
from services.journey.store.book import BOOK
from services.journey.worker.turns import Waiting
from tests.integration.journey.conftest import Site
from tests.integration.journey.turns_by_hand import POINTS, epochs, key_of

BEEN_INSIDE = 1_000
_COPY = """
INSERT INTO enrolment
SELECT (jsonb_populate_record(e, jsonb_build_object(
            'customer_id', gen_random_uuid(), 'enrolment_id', gen_random_uuid()))).*
  FROM enrolment AS e, generate_series(1, $2) WHERE e.journey_id = $1 AND e.state = $3
"""


async def been_through(site: Site, inside: int) -> d.Journey:
    """A journey that many have been through, and in which some sleep, each in two enrolments."""
    journey = await site.save_journey(d.Node("wait", d.Delay(3600), "points"), POINTS)
    fence, (ended, *asleep) = await epochs(site), islice(customers(), 1 + inside)
    await site.runner().run({key_of(ended): Waiting((site.order(ended),))}, fence)
    site.step(hours=1)
    await site.runner().run({key_of(ended): Waiting()}, fence)
    async with transaction(site.pool, [TEAM]) as connection:
        await connection.execute(_COPY, journey.journey_id, BEEN_INSIDE, State.COMPLETED)
    mails = {key_of(each): Waiting((site.order(each), site.order(each))) for each in asleep}
    await site.runner().run(mails, fence)
    states = await site.states(journey)
    assert (states[State.COMPLETED], states.get(State.LIVE, 0)) == (1 + BEEN_INSIDE, 2 * inside)
    return journey


def visited(plan: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Table and rows looked at, of each part of a plan that reads a table."""
    if "Relation Name" in plan:
        rows = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
        rows += plan.get("Rows Removed by Index Recheck", 0)
        yield plan["Relation Name"], round(rows * plan["Actual Loops"])
    for part in plan.get("Plans", ()):
        yield from visited(part)


async def read_by(site: Site, name: str, **arguments: object) -> Counter[str]:
    """Rows of each table that a named statement looks at."""
    query, *values = BOOK.bind(name, team_id=TEAM, **arguments)
    async with transaction(site.pool, [TEAM]) as connection:
        plan = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *values)
    read: Counter[str] = Counter()
    for table, rows in visited(json.loads(plan)[0]["Plan"]):
        read[table] += rows
    return read


@pytest.mark.rule("J-03b")
@pytest.mark.parametrize("inside", [0, 3])
async def test_those_who_have_been_inside_cost_a_stop_nothing(site: Site, inside: int) -> None:
    journey = await been_through(site, inside)
    page = {"partitions": list(range(PARTITIONS)), "limit": 100}
    for statement in ("has_live_enrolments", "halting_customers", "count_waits"):
        more = page if statement == "halting_customers" else {}
        read = await read_by(site, statement, journey_id=journey.journey_id, **more)
        assert read.total() <= 4 * (inside + 1), (statement, read)
