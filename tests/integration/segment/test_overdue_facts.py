"""What is recorded behind the place up to which a team's history was emptied is emptied all the same (S-08c)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from libs.common.db.migrate import migrate
from libs.common.db.pool import Pool, open_pool, transaction
from libs.common.ids import PARTITIONS
from libs.common.rpc.followers import Taken
from libs.testing.fixtures import Database
from services.segment.domain.facts import Fact, MessageTaken
from services.segment.store.base import fact_of
from services.segment.store.old_facts import OldFactStore
from services.segment.store.overdue_facts import OverdueFactStore
from services.segment.store.texts import TextStore
from services.segment.worker.old_facts import OldFactPruning
from services.segment.worker.overdue_facts import OverduePruning
from services.segment.worker.team_texts import TeamTexts
from tests.integration.segment.conftest import Segment, identity
from tools.paths import ROOT

(_MIGRATION,) = (ROOT / "services/segment/sql/migrations").glob("*_overdue_facts.sql")
KEPT = timedelta(days=30)
DAY = timedelta(days=1)
EVERYTHING = dict.fromkeys(range(PARTITIONS), 1_000)


class Facts(OldFactStore):
    """Where something may happen between reading facts and emptying them."""

    meanwhile: Any = None

    async def next_facts(self, *arguments: Any) -> list[Fact]:
        """What was there before that."""
        found = await super().next_facts(*arguments)
        if found and self.meanwhile is not None:
            await self.meanwhile()
            self.meanwhile = None
        return found


@dataclass
class Emptying:
    """The loops of one team, step by step, and who reads its history."""

    segment: Segment
    pool: Pool
    waiting: list[UUID] = field(default_factory=list)
    kept: timedelta = KEPT
    facts: Facts = field(init=False)

    def __post_init__(self) -> None:
        self.facts = Facts(self.pool)

    async def taken(self, _team_id: UUID) -> Sequence[Taken]:
        """Everything, but what customers wait for who are set aside."""
        return [Taken(EVERYTHING, EVERYTHING, self.waiting)]

    async def own(self) -> Mapping[UUID, timedelta]:
        """The team says how long."""
        return {self.segment.team_id: self.kept}

    async def pass_by(self) -> None:
        """Goes on by the times at which facts occurred."""
        clock = self.segment.clock
        while await OldFactPruning(self.facts, self, clock, self.own).step(1_000) == 1_000:
            pass
        await TeamTexts(TextStore(self.pool), clock, 2 * KEPT, self.own).step(1_000)

    async def look_again(self, row_max: int = 64) -> None:
        """Looks for what is overdue: a fact of each partition at a time."""
        store = OverdueFactStore(self.pool)
        pruning = OverduePruning(store, self, self.segment.clock, histories=self.own, texts=self.own)
        while await pruning.step(row_max) == row_max:
            pass

    async def bodies(self) -> list[MessageTaken]:
        """What the history still tells of messages."""
        query = """
            SELECT partition, position, team_id, customer_id, event_id, occur_time, record_time, depth, mail_number,
                   body
              FROM fact
        """
        async with transaction(self.pool, [self.segment.team_id]) as connection:
            bodies = [fact_of(row).body for row in await connection.fetch(query)]
        return [body for body in bodies if isinstance(body, MessageTaken)]

    async def told(self) -> set[str]:
        """Texts that the history still tells."""
        return {body.text for body in await self.bodies()} - {""}

    async def named(self, external_id: str) -> int:
        """How many messages are of that identity, by what the history tells."""
        return sum(body.identity.external_id == external_id for body in await self.bodies())

    async def notes(self) -> int:
        """How many facts are noted as overdue."""
        async with transaction(self.pool, [self.segment.team_id]) as connection:
            return int(await connection.fetchval("SELECT count(*) FROM overdue_fact"))

    async def write(self, key: str, text: str, days_ago: float, wa_id: str = "886912000001") -> UUID:
        """A message that is recorded now and was written some days ago; of whom."""
        message = {"identity": identity(wa_id), "text": text}
        at = self.segment.clock.now() - days_ago * DAY
        (result,) = await self.segment.record(self.segment.event(key, message_received=message, at=at))
        return UUID(result.customer_id)


@pytest.fixture
async def emptying(segment: Segment) -> AsyncIterator[Emptying]:
    """Of a team with an old message and a young one."""
    async with await open_pool(segment.dsn, name="emptying") as pool:
        made = Emptying(segment, pool)
        await made.write("old", "old", 40)
        await made.write("young", "young", 10)
        yield made


@pytest.mark.rule("S-08c")
async def test_what_is_recorded_late_behind_the_place_is_emptied(emptying: Emptying) -> None:
    await emptying.pass_by()
    await emptying.look_again()
    assert await emptying.told() == {"young"}
    await emptying.write("late", "late", 50)
    await emptying.write("late of another", "late of another", 45, "886912000002")
    await emptying.pass_by()
    assert await emptying.told() == {"young", "late", "late of another"}, "the place is beyond them"
    emptying.kept = timedelta(days=3_650)
    await emptying.look_again()
    assert await emptying.told() == {"young", "late", "late of another"}, "a team may keep for longer now"
    assert await emptying.named("886912000002") == 1
    emptying.kept = KEPT
    await emptying.look_again()
    assert await emptying.told() == {"young"}
    assert await emptying.named("886912000002") == 0, "all that is the person's goes, not the text alone"
    assert await emptying.notes() == 0


@pytest.mark.rule("S-08c")
async def test_what_is_recorded_while_a_place_moves_is_not_passed_over(emptying: Emptying) -> None:
    late = "886912000003"

    async def meanwhile() -> None:
        await emptying.write("late", "late", 50, late)
        # It is looked at while the place is not yet beyond it.
        await emptying.look_again()

    emptying.facts.meanwhile = meanwhile
    await emptying.pass_by()
    assert await emptying.named(late) == 1
    assert await emptying.notes() > 0
    await emptying.look_again()
    assert await emptying.named(late) == 0


@pytest.mark.rule("S-08c")
async def test_a_customer_who_is_set_aside_holds_their_own_mail_and_nobody_elses(emptying: Emptying) -> None:
    aside = await emptying.write("aside", "of who is set aside", 45, "886912000002")
    await emptying.look_again()
    emptying.waiting = [aside]
    await emptying.pass_by()
    await emptying.look_again()
    # Their text goes by the time of texts, which waits for nobody.
    assert await emptying.told() == {"young"}
    assert await emptying.named("886912000002") == 1
    emptying.waiting = []
    await emptying.look_again()
    assert await emptying.named("886912000002") == 0
    assert await emptying.notes() == 0


@pytest.mark.rule("S-08c")
async def test_what_the_release_before_passed_over_is_emptied_after_the_migration(
    emptying: Emptying, database: Database
) -> None:
    await emptying.pass_by()
    await emptying.write("late", "late", 50)
    owner = await asyncpg.connect(database.admin_dsn)
    try:
        await owner.execute("SET search_path = segment; DROP TABLE overdue_fact, overdue_cursor")
        await owner.execute(_MIGRATION.read_text(encoding="utf-8"))
    finally:
        await owner.close()
    await migrate(database.admin_dsn, "segment", "services.segment")
    await emptying.pass_by()
    assert await emptying.told() == {"young"}
    await emptying.look_again()
    assert await emptying.notes() == 0
