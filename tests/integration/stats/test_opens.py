"""How many people opened messages on LINE: asked hourly, bounded, each fault of its own node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import islice
from typing import Any

import asyncpg
import grpc
import pytest

from libs.common.clock import SteppedClock
from libs.common.db.pool import open_pool
from libs.testing.fixtures import Database
from libs.testing.history_rows import JOURNEY, LINE, NOON, TEAM, WHATSAPP, sent
from libs.testing.mails import customers
from omnijourney.internal.v1 import opens_service_pb2 as opens
from omnijourney.stats.v1 import figures_pb2
from omnijourney.stats.v1 import stats_service_pb2 as pb
from services.stats.clients.opens import GatewayOpens
from services.stats.domain.opens import TEAM_CALLS_MAX, WINDOW_DAYS, day_of, windows_at
from services.stats.store.opens import OpensStore
from services.stats.worker.opens import OpensAsker
from tests.integration.stats.conftest import TIMEOUT_S, Stats
from tests.integration.stats.test_rebuilds import rebuild

HOUR = timedelta(hours=1)
KNOWN, FEW = opens.OPENS_STATE_KNOWN, opens.OPENS_STATE_TOO_FEW_PEOPLE
REFUSED, AWAY = opens.OPENS_STATE_REFUSED, opens.OPENS_STATE_AWAY
NONE, MANY_TOO_FEW, NOT_MEASURED, NOT_REPORTED = (
    figures_pb2.ABSENT_REASON_UNSPECIFIED,
    figures_pb2.ABSENT_REASON_TOO_FEW_PEOPLE,
    figures_pb2.ABSENT_REASON_NOT_MEASURED,
    figures_pb2.ABSENT_REASON_NOT_REPORTED_BY_CHANNEL,
)
MEI = next(islice(customers(), 1))


class Line:
    """What LINE would tell of the journey's nodes, and who asks it."""

    def __init__(self, stats: Stats, askers: list[OpensAsker], clock: SteppedClock) -> None:
        self.tells: dict[str, tuple[int, int]] = {}
        """State and number by node."""
        self.clock = clock
        self._asked: list[opens.OpensQuestion] = []
        self._stats = stats
        self._askers = askers
        stats.feeds["channel_gateway"].answers["ReadOpens"] = self._answer

    def _answer(self, request: opens.ReadOpensRequest) -> opens.ReadOpensResponse:
        assert len(request.questions) <= 10
        self._asked += request.questions
        answer = opens.ReadOpensResponse()
        for each in request.questions:
            state, count = self.tells.get(each.node_id, (FEW, 0))
            answer.answers.add(state=opens.OpensState.ValueType(state), person_count=count)
        return answer

    async def sends(self, *nodes: str, channel: int = LINE) -> None:
        """Each node has sent a message."""
        feed = self._stats.feeds["channel_gateway"]
        feed.record(*(sent(MEI, node_id=node, channel=channel, at=self.clock.now()) for node in nodes))
        await self._stats.settle()

    async def questions(self) -> list[opens.OpensQuestion]:
        """What two processes ask at once, now."""
        stopping = asyncio.Event()
        await asyncio.gather(*(asker.step(stopping) for asker in self._askers))
        asked, self._asked = self._asked, []
        return asked

    async def asked(self) -> list[str]:
        """The nodes."""
        return sorted(each.node_id for each in await self.questions())

    async def read(self, **asked: Any) -> dict[str, tuple[int | None, int]]:
        """Opens by node as they are shown: the number, or why there is none."""
        request = pb.ListMessageFiguresRequest(team_id=str(TEAM), journey_id=str(JOURNEY), **asked)
        figures = (await self._stats.stub.ListMessageFigures(request, timeout=TIMEOUT_S)).figures
        return {
            each.node_id: (each.read.value if each.read.HasField("value") else None, each.read.absent_reason)
            for each in figures
        }


@pytest.fixture
async def line(stats: Stats, database: Database) -> AsyncIterator[Line]:
    """Two processes that ask it through a gateway, by a clock that the test moves."""
    clock = SteppedClock(NOON)
    async with AsyncExitStack() as stack:
        port = stats.feeds["channel_gateway"].port
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
        pools = [
            await stack.enter_async_context(await open_pool(database.dsn_of("stats"), name=f"asks {number}"))
            for number in range(2)
        ]
        yield Line(
            stats, [OpensAsker(OpensStore(pool), GatewayOpens(channel), clock, 1.0) for pool in pools], clock
        )


@pytest.mark.rule("T-05c")
async def test_each_node_that_sent_on_line_is_asked_about_once_an_hour(line: Line) -> None:
    await line.sends("known", "few", "refused", "away")
    await line.sends("other", channel=WHATSAPP)
    before = await line.read()
    assert {before[node] for node in ("known", "few", "refused", "away")} == {(None, NOT_MEASURED)}
    line.tells = {"known": (KNOWN, 31), "refused": (REFUSED, 0), "away": (AWAY, 0)}
    found = await line.questions()
    assert sorted(each.node_id for each in found) == ["away", "few", "known", "refused"], (
        "each by one process"
    )
    first = day_of(NOON) // WINDOW_DAYS * WINDOW_DAYS
    assert {(each.first_day, each.first_day + each.day_count - 1) for each in found} == {
        (first, day_of(NOON))
    }
    shown = await line.read()
    assert (shown["known"], shown["few"]) == ((31, NONE), (None, MANY_TOO_FEW))
    assert (shown["refused"], shown["away"]) == ((None, NOT_MEASURED), (None, NOT_MEASURED))
    assert await line.asked() == [], "not again within the hour"

    line.clock.advance(HOUR)
    line.tells = {"known": (AWAY, 0), "few": (KNOWN, 20), "refused": (KNOWN, 40), "away": (KNOWN, 25)}
    assert await line.asked() == ["away", "few", "known", "refused"]
    shown = await line.read()
    assert {node: shown[node][0] for node in line.tells} == {
        "known": 31,
        "few": 20,
        "refused": 40,
        "away": 25,
    }
    line.clock.advance(HOUR)
    line.tells = {"known": (FEW, 0)}
    await line.asked()
    assert (await line.read())["known"] == (31, NONE), "what is withheld later stays known"

    hour = {"start_time": NOON, "end_time": NOON + HOUR}
    assert (await line.read(**hour))["known"] == (None, NOT_REPORTED), "a sum cannot be cut"


@pytest.mark.rule("T-05c")
async def test_a_team_asks_so_much_in_an_hour_and_who_waited_longest_comes_first(line: Line) -> None:
    nodes = [f"n{number:02}" for number in range(TEAM_CALLS_MAX + 10)]
    await line.sends(*nodes)
    first = await line.asked()
    assert len(first) == TEAM_CALLS_MAX
    assert await line.asked() == []
    line.clock.advance(HOUR)
    second = await line.asked()
    assert len(second) == TEAM_CALLS_MAX
    assert set(nodes) - set(first) <= set(second)


@pytest.mark.rule("T-05c")
async def test_who_claims_waits_for_another_who_does_so_that_no_node_is_asked_about_twice(
    line: Line, database: Database
) -> None:
    await line.sends("hello")
    admin = await asyncpg.connect(database.admin_dsn)
    try:
        async with admin.transaction():
            # As another process that has claimed, and whose commit is still to come.
            await admin.execute("LOCK TABLE stats.channel_opens IN SHARE ROW EXCLUSIVE MODE")
            await admin.execute(
                "INSERT INTO stats.channel_opens (team_id, journey_id, node_id, window_start, asked_at)"
                " VALUES ($1, $2, 'hello', $3, $4)",
                *(TEAM, JOURNEY, windows_at(NOON)[0][0], NOON),
            )
            asking = asyncio.create_task(line.asked())
            # Not pg_stat_activity, which stays as it was first read within a transaction.
            waiting = "relation = 'stats.channel_opens'::regclass AND NOT granted"
            while not await admin.fetchval(f"SELECT count(*) FROM pg_locks WHERE {waiting}"):
                await asyncio.sleep(0.02)
        assert await asking == []
    finally:
        await admin.close()


@pytest.mark.rule("T-05c")
async def test_windows_add_up_and_a_settled_one_is_asked_about_no_more(line: Line, stats: Stats) -> None:
    line.tells = {"hello": (KNOWN, 30)}
    await line.sends("hello")
    assert await line.asked() == ["hello"]
    line.clock.advance(timedelta(days=WINDOW_DAYS))
    await line.sends("hello")
    recent = await line.asked()
    assert set(recent) == {"hello"}
    assert (await line.read())["hello"] == (60, NONE)
    line.clock.advance(timedelta(days=2 * WINDOW_DAYS))
    assert await line.asked() == []
    # What no history has a rebuild leaves alone.
    await rebuild(stats)
    assert (await line.read())["hello"] == (60, NONE)
