"""What is gone stops those who name it by way of a bot module; what it takes to find them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.common.audience.expressions import AttributeType
from libs.common.clock import SteppedClock
from libs.common.feeds.follower import Page
from libs.common.feeds.gateway_records import pack_record
from libs.common.feeds.records import epoch_us
from libs.common.feeds.rows import GatewayRow
from services.journey.convert.gone import content_changes
from services.journey.domain.gate import KnownAttribute, Traits
from services.journey.domain.model import StatusReason
from services.journey.domain.references import Change, ReferenceKind
from services.journey.store.references import FollowedSource, Naming, Stop, Stops
from services.journey.worker.gone import GoneProjection, Stopper

START = datetime(2026, 1, 1, tzinfo=UTC)
TEAM, OTHER = UUID(int=1), UUID(int=2)
JOURNEY, SECOND = UUID(int=11), UUID(int=12)
ACCOUNT = str(UUID(int=21))


@dataclass
class Around:
    """The store and the gateway: two journeys of each team, each with a module that names two attributes."""

    stops: dict[tuple[UUID, UUID], Stop] = field(default_factory=dict)
    there: Set[str] = frozenset()
    """Attributes that are in use at segment by now."""
    asked: list[tuple[UUID, Sequence[str], Set[str]]] = field(default_factory=list)

    async def note(self, changes: Sequence[Change]) -> Stops:
        return {}

    async def naming(self, team_id: UUID, kind: ReferenceKind) -> list[Naming]:
        if kind is ReferenceKind.ACCOUNT:
            since = START + timedelta(hours=2)
            return [
                Naming(ACCOUNT, JOURNEY, START),
                Naming(ACCOUNT, SECOND, since),
                Naming("x", UUID(int=13), START),
            ]
        assert kind is ReferenceKind.BOT_MODULE
        return [Naming("first", JOURNEY, START), Naming("second", SECOND, START + timedelta(hours=2))]

    async def naming_attributes(
        self, team_id: UUID, modules: Collection[str], keys: Collection[str]
    ) -> Mapping[str, Set[str]]:
        self.asked.append((team_id, list(modules), set(keys)))
        named = {"first": {"size", "colour"}, "second": {"size"}}
        return {module: found for module in modules if (found := named[module] & set(keys))}

    async def traits(self, team_id: UUID, keys: Iterable[str], audiences: Sequence[bytes]) -> Traits:
        known = {key: KnownAttribute(AttributeType.TEXT, key not in self.there) for key in keys}
        return Traits(True, frozenset(), frozenset(), known, [])

    async def stop(self, stops: Mapping[tuple[UUID, UUID], Stop], now: datetime) -> int:
        self.stops |= stops
        return len(stops)

    async def take(self, *_: object) -> None:
        pass


async def told(around: Around, *changes: Change) -> None:
    """A page of the history of attributes that tells of these changes."""
    fake: Any = around
    stopper = Stopper(fake, fake, SteppedClock(START), lambda: None)
    projection: GoneProjection[Any] = GoneProjection(
        FollowedSource.SEGMENT, lambda row: iter([row]), fake, fake, stopper
    )
    await projection.apply({}, Page(changes, {}))


def gone(team_id: UUID, key: str, **how: Any) -> Change:
    return Change(team_id, ReferenceKind.ATTRIBUTE, key, START + timedelta(hours=1), **how)


async def test_a_teams_modules_are_read_once_however_many_attributes_have_gone() -> None:
    around = Around()
    others = [gone(OTHER, f"key{number}", lasting=True) for number in range(50)]
    await told(around, *others, gone(TEAM, "colour", lasting=True), gone(TEAM, "size", lasting=True))
    assert [(team, modules) for team, modules, _ in around.asked] == [
        (OTHER, ["first", "second"]),
        (TEAM, ["first", "second"]),
    ]
    reason = StatusReason.ATTRIBUTE_UNAVAILABLE
    assert around.stops[TEAM, SECOND] == Stop(reason, "size", lasting=True)
    assert around.stops[TEAM, JOURNEY].thing in {"size", "colour"}


async def test_another_type_stops_those_who_have_named_the_attribute_since_before() -> None:
    around = Around()
    await told(around, gone(TEAM, "size"))
    assert around.stops.keys() == {(TEAM, JOURNEY)}


async def test_what_is_back_stops_nobody() -> None:
    around = Around()
    await told(around, gone(TEAM, "size", lasting=True), gone(TEAM, "size", back=True))
    assert not around.stops


async def test_what_is_back_where_the_history_has_not_told_it_yet_stops_nobody() -> None:
    around = Around(there={"size"})
    await told(around, gone(TEAM, "size", lasting=True))
    assert not around.stops


async def test_of_two_that_went_the_one_that_is_back_does_not_hide_the_other() -> None:
    around = Around(there={"size"})
    await told(around, gone(TEAM, "size", lasting=True), gone(TEAM, "colour", lasting=True))
    assert around.stops == {(TEAM, JOURNEY): Stop(StatusReason.ATTRIBUTE_UNAVAILABLE, "colour", lasting=True)}


async def test_what_is_back_as_another_type_stops_those_who_named_it_before() -> None:
    around = Around(there={"size"})
    await told(around, gone(TEAM, "size", lasting=True), gone(TEAM, "size"))
    assert around.stops.keys() == {(TEAM, JOURNEY)}


@pytest.mark.rule("J-07b")
async def test_an_account_whose_channel_is_not_paid_stops_those_who_named_it_before() -> None:
    around = Around()
    fact = (4, 4, UUID(ACCOUNT).bytes, "WHATSAPP_BALANCE_EXHAUSTED")
    at = START + timedelta(hours=1)
    row = GatewayRow(0, 1, TEAM.bytes, 4, at, body=pack_record((1, epoch_us(at), [fact])))
    await told(around, *content_changes(row))
    assert around.stops == {(TEAM, JOURNEY): Stop(StatusReason.WHATSAPP_BALANCE_EXHAUSTED, ACCOUNT)}
