"""Settings of teams, as segment has them, kept for as long as its contract allows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID

import grpc

from libs.common.consent_words import DEFAULTS, ConsentWords
from libs.common.errors import NotFound, Unavailable
from libs.common.rpc.client import ATTEMPTS_DEFAULT, CALL_DEADLINE_S, retrying
from omnijourney.common.v1 import channel_pb2
from omnijourney.internal.v1 import customers_service_pb2, customers_service_pb2_grpc
from omnijourney.segment.v1 import team_pb2

KEPT_S: Final = 5.0
"""How long settings may be kept, real seconds."""
TEAMS_MAX: Final = 10_000
"""Most teams whose settings are kept; more than that, and all are read again."""
_BATCH_MAX: Final = 500
ATTRIBUTION_WINDOW_DEFAULT: Final = timedelta(days=7)
_ZONE_DEFAULT: Final = "UTC"
_POINTS_CHANNELS_DEFAULT: Final = frozenset({int(channel_pb2.CHANNEL_WHATSAPP)})


class TeamSettings(NamedTuple):
    """What other services go by. Of a team that segment does not know: the defaults, and `known` False."""

    zone: str
    """IANA time zone."""
    points_channels: frozenset[int]
    """Numbers of the channels on which coupons and points variables are open."""
    known: bool
    country: str = ""
    """ISO 3166-1 alpha-2 of the country in whose form phone numbers are read; empty for none."""
    monthly_enrolments_max: int | None = None
    """Most enrolments in a calendar month of the zone; None: no limit."""
    attribution_window: timedelta = ATTRIBUTION_WINDOW_DEFAULT
    """How long after a click an order is the journey's."""
    currency: str = ""
    """ISO 4217 code of the team's own currency; empty where it is not known."""
    currency_rates: tuple[tuple[str, str], ...] = ()
    """Other currencies, each with the decimal that one unit of it is worth in the team's own."""
    consent_words: ConsentWords = DEFAULTS
    """By which customers say in a chat that they want no messages, or want them again."""
    modules: frozenset[int] = frozenset()
    """Numbers of the modules that the team has."""

    def has(self, module: int) -> bool:
        """Whether the team has a module; one that segment does not know is refused nothing for it."""
        return module in self.modules or not self.known


class TeamSettingsClient:
    """Asks segment, once in KEPT_S for a team."""

    def __init__(self, channel: grpc.aio.Channel, *, real_time: Callable[[], float] = time.monotonic) -> None:
        """`channel` to segment; `real_time` gives seconds that never run backwards."""
        self._stub = customers_service_pb2_grpc.CustomersServiceStub(channel)
        self._real_time = real_time
        self._kept: dict[UUID, tuple[float, TeamSettings]] = {}

    async def of(self, team_id: UUID) -> TeamSettings:
        """Settings of a team, KEPT_S old at most. Raises Unavailable, and NotFound for a team that is not known."""
        settings = (await self.of_all([team_id]))[team_id]
        if not settings.known:
            raise NotFound.of("team", team_id)
        return settings

    async def of_or_last(self, team_id: UUID, within_s: float) -> TeamSettings:
        """Settings of a team; those that were had last, however old, where segment does not answer in time. Raises
        Unavailable where there are none."""
        try:
            async with asyncio.timeout(within_s):
                return (await self.of_all([team_id]))[team_id]
        except (TimeoutError, Unavailable) as error:
            last = self._kept.get(team_id)
            if last is None:
                raise Unavailable.dependency("segment") from error
            return last[1]

    def kept(self, team_ids: Collection[UUID], *, however_old: bool = False) -> dict[UUID, TeamSettings]:
        """Those that need no asking: not older than KEPT_S, or all that were had last."""
        now_s = self._real_time()
        return {
            team: kept[1]
            for team in team_ids
            if (kept := self._kept.get(team)) and (however_old or kept[0] > now_s)
        }

    async def of_all(
        self, team_ids: Collection[UUID], *, attempts: int = ATTEMPTS_DEFAULT
    ) -> dict[UUID, TeamSettings]:
        """Settings of each team, KEPT_S old at most, defaults for one that is not known. Raises Unavailable."""
        now_s = self._real_time()
        found = self.kept(team_ids)
        stale = [team for team in dict.fromkeys(team_ids) if team not in found]
        if len(self._kept) + len(stale) > TEAMS_MAX:
            self._kept.clear()
        for part in _parts(stale):
            fresh = dict(zip(part, await self._read(part, attempts), strict=True))
            self._kept.update((team, (now_s + KEPT_S, settings)) for team, settings in fresh.items())
            found |= fresh
        return found

    async def _read(self, team_ids: Sequence[UUID], attempts: int) -> list[TeamSettings]:
        request = customers_service_pb2.BatchGetTeamSettingsRequest(team_ids=[str(team) for team in team_ids])
        try:
            reply = await retrying(
                lambda: self._stub.BatchGetTeamSettings(request, timeout=CALL_DEADLINE_S), attempts=attempts
            )
        except grpc.aio.AioRpcError as error:
            raise Unavailable.dependency("segment") from error
        return [_settings(settings) for settings in reply.settings]


def _settings(settings: team_pb2.TeamSettings) -> TeamSettings:
    # A team that is not known comes without a zone, which every team has.
    return TeamSettings(
        settings.time_zone or _ZONE_DEFAULT,
        frozenset(settings.points_channels) or _POINTS_CHANNELS_DEFAULT,
        bool(settings.time_zone),
        settings.country_code,
        settings.plan.monthly_enrolments_max if settings.plan.HasField("monthly_enrolments_max") else None,
        settings.attribution_window.ToTimedelta()
        if settings.HasField("attribution_window")
        else ATTRIBUTION_WINDOW_DEFAULT,
        settings.currency_code,
        tuple((rate.currency_code, rate.rate) for rate in settings.currency_rates),
        ConsentWords.of(settings.consent_words.stop_words, settings.consent_words.start_words),
        frozenset(settings.modules),
    )


def _parts(team_ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    return (team_ids[start : start + _BATCH_MAX] for start in range(0, len(team_ids), _BATCH_MAX))
