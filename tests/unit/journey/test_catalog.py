"""The journeys that a batch of turns goes by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast
from uuid import UUID

import msgspec

from libs.common.mailbox import mail as m
from services.journey.domain import model as d
from services.journey.store.turns_protocol import TurnStorage
from services.journey.worker.catalog import BYTES_MAX, JourneyCatalog
from tests.unit.journey.builders import TEAM, delay, journey, with_status

OTHER = UUID(int=9)
WINDOW = d.QuietWindow(0, 60)


class Definitions:
    """Journeys in a table, and how many were read."""

    def __init__(self, *journeys: d.Journey) -> None:
        self.by_id = {each.journey_id: each for each in journeys}
        self.read = 0
        self.zone = "UTC"

    async def journeys(self, teams: Iterable[UUID], journey_ids: Sequence[UUID]) -> list[d.Journey]:
        """See `TurnStorage`."""
        self.read += len(journey_ids)
        return [self.by_id[journey_id] for journey_id in journey_ids]

    async def zones(self, teams: Iterable[UUID]) -> dict[UUID, str]:
        """See `TeamZones`."""
        return dict.fromkeys(teams, self.zone)

    def versions(self) -> Mapping[UUID, int]:
        """As a batch loads them."""
        return {journey_id: each.version for journey_id, each in self.by_id.items()}

    def catalog(self, bytes_max: int = BYTES_MAX) -> JourneyCatalog:
        return JourneyCatalog(cast("TurnStorage", self), self, bytes_max=bytes_max)


def _of(team: UUID, number: int, **definition: object) -> d.Journey:
    return msgspec.structs.replace(journey(delay("wait", 60), number=number, **definition), team_id=team)


async def test_what_has_not_changed_is_neither_read_nor_put_in_order_again() -> None:
    table = Definitions(*(_of(TEAM, number) for number in (7, 3, 5)))
    catalog = table.catalog()
    first = await catalog.current({TEAM}, table.versions())
    assert [each.int for each in first[TEAM]] == [3, 5, 7]
    assert (await catalog.current({TEAM}, table.versions()))[TEAM] is first[TEAM]
    assert table.read == 3


async def test_a_new_version_is_read_and_a_journey_that_is_gone_is_not_there() -> None:
    table = Definitions(_of(TEAM, 1), _of(TEAM, 2), _of(OTHER, 3))
    catalog = table.catalog()
    await catalog.current({TEAM, OTHER}, table.versions())
    stopped = with_status(table.by_id[UUID(int=1)], d.JourneyStatus.STOPPED)
    changed = msgspec.structs.replace(stopped, version=2)
    table.by_id = {changed.journey_id: changed, UUID(int=3): table.by_id[UUID(int=3)]}
    found = await catalog.current({TEAM, OTHER}, table.versions())
    assert found[TEAM] == {changed.journey_id: changed}
    assert not found[TEAM].started_by(m.Checkout)
    started = found[OTHER].started_by(m.Checkout)
    assert list(found[OTHER]) == [UUID(int=3)] == [each.journey_id for each in started]
    assert table.read == 4
    alone = await catalog.current({OTHER}, table.versions())
    assert list(alone) == [OTHER]


async def test_a_zone_that_changed_holds_from_the_next_batch_on() -> None:
    table = Definitions(_of(TEAM, 1, quiet=(WINDOW,)), _of(TEAM, 2), _of(OTHER, 3))
    catalog = table.catalog()
    zones = []
    for zone in ("UTC", "Asia/Taipei", "Asia/Taipei"):
        table.zone = zone
        found = await catalog.current({TEAM, OTHER}, table.versions())
        zones.append([each.zone for each in (*found[TEAM].values(), *found[OTHER].values())])
    assert zones == [["UTC"] * 3, ["Asia/Taipei", "UTC", "UTC"], ["Asia/Taipei", "UTC", "UTC"]]
    assert table.read == 3


async def test_journeys_are_recalled_as_they_were_found_last_for_any_teams_found() -> None:
    table = Definitions(_of(TEAM, 1), _of(TEAM, 2, quiet=(WINDOW,)), _of(OTHER, 3))
    catalog = table.catalog()
    assert await catalog.recall({TEAM}) is None
    found = await catalog.current({TEAM, OTHER}, table.versions())
    assert await catalog.recall({TEAM, OTHER}) == (found, table.versions())
    for team, versions in ((TEAM, {1: 1, 2: 1}), (OTHER, {3: 1})):
        recalled = await catalog.recall({team})
        assert recalled == ({team: found[team]}, {UUID(int=n): v for n, v in versions.items()})
    assert await catalog.recall({TEAM, UUID(int=10)}) is None
    assert table.read == 3
    table.by_id[UUID(int=3)] = msgspec.structs.replace(table.by_id[UUID(int=3)], version=2)
    await catalog.current({OTHER}, {UUID(int=3): 2})
    again = await catalog.recall({TEAM, OTHER})
    assert again is not None
    assert again.versions == {**table.versions(), UUID(int=3): 2}


async def test_definitions_are_kept_up_to_so_many_bytes_and_read_again_after_that() -> None:
    small, large = _of(TEAM, 1), _of(OTHER, 2, name="x" * 10_000)
    table = Definitions(small, large)
    catalog = table.catalog(bytes_max=9_000)
    of_small, of_large = {small.journey_id: small.version}, {large.journey_id: large.version}
    for _ in range(2):
        await catalog.current({TEAM}, of_small)
    assert table.read == 1
    assert (await catalog.current({OTHER}, of_large))[OTHER].keys() == of_large.keys(), (
        "one batch has what it needs"
    )
    assert await catalog.recall({TEAM}) is None
    await catalog.current({TEAM}, of_small)
    assert table.read == 3
    assert await catalog.recall({OTHER}) is None, "the large one went as the next came"
