"""Which teams have the module POINTS: asked seldom, and what holds while segment does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from libs.common.clients.team_settings import KEPT_S, TeamSettingsClient
from libs.common.errors import FailedPrecondition
from libs.common.ids import new_id
from libs.common.rpc.client import channel
from omnijourney.internal.v1 import customers_service_pb2, customers_service_pb2_grpc
from omnijourney.segment.v1 import team_pb2
from services.points.clients.modules import AWAY_S, PointsModule

OPEN, CLOSED, NOBODY = new_id(), new_id(), new_id()
ALL = {OPEN, CLOSED, NOBODY}


class Segment(customers_service_pb2_grpc.CustomersServiceServicer):
    """Knows a team with the module and one without; is away, or hangs, when told so."""

    def __init__(self) -> None:
        self.asked = 0
        self.away = False
        self.hangs: asyncio.Event | None = None

    async def BatchGetTeamSettings(  # noqa: N802 - the generated base names it
        self, request: Any, context: Any
    ) -> customers_service_pb2.BatchGetTeamSettingsResponse:
        self.asked += 1
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        if self.hangs is not None:
            await self.hangs.wait()
        modules = {str(OPEN): [team_pb2.MODULE_POINTS], str(CLOSED): [team_pb2.MODULE_JOURNEYS]}
        return customers_service_pb2.BatchGetTeamSettingsResponse(
            settings=[
                team_pb2.TeamSettings(
                    team_id=each, time_zone="UTC" if each in modules else "", modules=modules.get(each)
                )
                for each in request.team_ids
            ]
        )


class Stage:
    """Segment, who asks it, and seconds that pass when told."""

    def __init__(self, segment: Segment, to_segment: grpc.aio.Channel) -> None:
        self.segment = segment
        self.now_s = 100.0
        settings = TeamSettingsClient(to_segment, real_time=lambda: self.now_s)
        self.modules = PointsModule(settings, real_time=lambda: self.now_s)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    segment = Segment()  # type: ignore[abstract]  # the others are not asked
    server = grpc.aio.server()
    customers_service_pb2_grpc.add_CustomersServiceServicer_to_server(segment, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with channel(f"127.0.0.1:{port}", "token") as to_segment:
        yield Stage(segment, to_segment)
    await server.stop(None)


@pytest.mark.rule("P-09")
async def test_teams_are_asked_about_once_in_some_seconds(stage: Stage) -> None:
    for _ in range(50):
        assert await stage.modules.lacking(ALL) == {CLOSED}
        await stage.modules.require(OPEN, NOBODY)
        with pytest.raises(FailedPrecondition) as caught:
            await stage.modules.require(OPEN, CLOSED)
        assert (caught.value.reason, caught.value.metadata) == ("MODULE_MISSING", {"module": "POINTS"})
    assert stage.segment.asked == 1
    stage.now_s += KEPT_S
    await stage.modules.lacking(ALL)
    assert stage.segment.asked == 2


async def test_what_was_known_last_holds_while_segment_is_away(stage: Stage) -> None:
    await stage.modules.lacking({OPEN, CLOSED})
    stage.segment.away = True
    stage.now_s += 1_000 * KEPT_S
    for _ in range(20):
        assert await stage.modules.lacking(ALL) == {CLOSED}
    assert stage.segment.asked == 2, "an outage costs one call a question"
    stage.segment.away = False
    stage.now_s += AWAY_S
    assert await stage.modules.refusal(CLOSED) is not None
    assert stage.segment.asked == 3


@pytest.mark.parametrize("way", ["away", "hanging"])
async def test_where_nothing_is_known_the_team_has_points(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr("services.points.clients.modules.WAIT_S", 0.01)
    stage.segment.away = way == "away"
    stage.segment.hangs = asyncio.Event() if way == "hanging" else None
    assert await stage.modules.lacking(ALL) == frozenset()
    assert await stage.modules.refusal(CLOSED) is None
    if stage.segment.hangs is not None:
        stage.segment.hangs.set()
