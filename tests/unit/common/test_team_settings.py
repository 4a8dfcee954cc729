"""Settings of teams: asked once in a few seconds, over a real channel."""

# ruff: noqa: N802 - the generated base names the methods

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import grpc
import pytest

from libs.common.clients.team_settings import KEPT_S, TeamSettingsClient
from libs.common.errors import NotFound, Unavailable
from libs.common.ids import new_id
from libs.common.rpc.client import channel
from omnijourney.common.v1 import channel_pb2
from omnijourney.internal.v1 import customers_service_pb2, customers_service_pb2_grpc
from omnijourney.segment.v1 import team_pb2

KNOWN, OTHER = new_id(), new_id()


class Segment(customers_service_pb2_grpc.CustomersServiceServicer):
    """Knows one team; notes what it is asked, and is away when told so."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.away = False
        self.zone = "Asia/Taipei"

    async def BatchGetTeamSettings(
        self, request: Any, context: Any
    ) -> customers_service_pb2.BatchGetTeamSettingsResponse:
        if self.away:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "away")
        self.asked.append(list(request.team_ids))
        return customers_service_pb2.BatchGetTeamSettingsResponse(
            settings=[
                team_pb2.TeamSettings(
                    team_id=team,
                    time_zone=self.zone if team == str(KNOWN) else "",
                    points_channels=[channel_pb2.CHANNEL_LINE] if team == str(KNOWN) else [],
                )
                for team in request.team_ids
            ]
        )


class Installation:
    """Segment, a client of it, and seconds that pass when told."""

    def __init__(self, segment: Segment, to_segment: grpc.aio.Channel) -> None:
        self.segment = segment
        self.now_s = 100.0
        self.client = TeamSettingsClient(to_segment, real_time=lambda: self.now_s)


@pytest.fixture
async def installation() -> AsyncIterator[Installation]:
    segment = Segment()  # type: ignore[abstract]  # the others are not asked
    server = grpc.aio.server()
    customers_service_pb2_grpc.add_CustomersServiceServicer_to_server(segment, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with channel(f"127.0.0.1:{port}", "token") as to_segment:
        yield Installation(segment, to_segment)
    await server.stop(None)


async def test_settings_are_asked_once_until_they_are_too_old(installation: Installation) -> None:
    client, segment = installation.client, installation.segment
    settings = await client.of(KNOWN)
    assert (settings.zone, set(settings.points_channels)) == ("Asia/Taipei", {channel_pb2.CHANNEL_LINE})
    segment.zone = "Asia/Tokyo"
    installation.now_s += KEPT_S - 0.1
    assert await client.of(KNOWN) == settings
    installation.now_s += 0.2
    assert (await client.of(KNOWN)).zone == "Asia/Tokyo"
    assert segment.asked == [[str(KNOWN)]] * 2


async def test_only_teams_that_are_not_kept_are_asked_for(installation: Installation) -> None:
    await installation.client.of(KNOWN)
    found = await installation.client.of_all([OTHER, KNOWN, OTHER])
    assert {team: settings.known for team, settings in found.items()} == {KNOWN: True, OTHER: False}
    assert installation.segment.asked == [[str(KNOWN)], [str(OTHER)]]


async def test_an_unknown_team_has_the_defaults_and_is_not_found_alone(installation: Installation) -> None:
    settings = (await installation.client.of_all([OTHER]))[OTHER]
    assert (settings.zone, set(settings.points_channels)) == ("UTC", {channel_pb2.CHANNEL_WHATSAPP})
    with pytest.raises(NotFound):
        await installation.client.of(OTHER)


async def test_many_teams_are_asked_for_in_calls_that_the_contract_takes(installation: Installation) -> None:
    teams: list[UUID] = [new_id() for _ in range(501)]
    assert len(await installation.client.of_all(teams)) == 501
    assert [len(asked) for asked in installation.segment.asked] == [500, 1]


async def test_a_segment_that_does_not_answer_is_told_as_such(installation: Installation) -> None:
    installation.segment.away = True
    with pytest.raises(Unavailable):
        await installation.client.of_all([KNOWN])
