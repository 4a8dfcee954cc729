"""Traces of sends in their table: of their team alone, gone with the person, and with age."""

from __future__ import annotations

from datetime import timedelta

import pytest

from libs.common.clock import SteppedClock
from libs.common.db.pool import open_pool, transaction
from libs.common.ids import new_id
from libs.testing.fixtures import Database
from services.channel_gateway.store.persons import PersonStore
from services.channel_gateway.store.send_traces import KEPT_DAYS, SendTraceStore
from services.channel_gateway.worker.forgetting import Forgetting
from tests.integration.channel_gateway.conftest import START

CONTEXT, AGAIN = (letter * 24 for letter in (b"c", b"d"))


@pytest.mark.rule("X-04b", "X-02c")
async def test_traces_of_sends_are_kept_for_their_team_and_go_with_the_person_or_by_age(
    database: Database,
) -> None:
    (team, other), keys = (new_id(), new_id()), [new_id() for _ in range(3)]
    async with await open_pool(database.dsn_of("channel_gateway"), name="test") as pool:
        store = SendTraceStore(pool)
        await store.keep(
            {(team, keys[0]): CONTEXT, (team, keys[1]): CONTEXT, (other, keys[2]): CONTEXT}, START
        )
        await store.keep({(team, keys[0]): AGAIN}, START + timedelta(days=1))
        asked = [(team, keys[0]), (team, keys[1]), (other, keys[2]), (other, keys[0])]
        assert await store.find(asked) == {asked[0]: AGAIN, asked[1]: CONTEXT, asked[2]: CONTEXT}
        async with transaction(pool, [team]) as connection:
            assert await connection.fetchval("SELECT count(*) FROM send_trace") == 2
        await PersonStore(pool).blank_sends(team, [keys[1]])
        assert await store.find(asked) == {asked[0]: AGAIN, asked[2]: CONTEXT}
        clock = SteppedClock(START + timedelta(days=KEPT_DAYS, hours=1))
        forgetting = Forgetting(store, clock, KEPT_DAYS, "traces of sends")
        assert [await forgetting.step(10), await forgetting.step(10)] == [1, 0]
        assert await store.find(asked) == {asked[0]: AGAIN}
