"""Journeys that name what was deleted, archived or changed elsewhere stop, whether or not anybody is there (J-07k)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Generic, TypeVar
from uuid import UUID

import structlog

from libs.common.backoff import Backoff
from libs.common.clock import Clock
from libs.common.feeds.follower import Follower, History, Page
from libs.common.feeds.rows import HistoryRow
from services.journey import metrics
from services.journey.clients.gate import References
from services.journey.clients.modules import Modules
from services.journey.domain.model import StatusReason
from services.journey.domain.references import STOPS, Change, ReferenceKind
from services.journey.store.references import FollowedSource, ReferenceStore, Stop, Stops

PAGE_ROWS: Final = 500
BACKOFF_MAX_S: Final = 1.0
"""Between attempts while a service is away: what went meanwhile stops journeys within 5 s of its return."""
_BACKOFF: Final = Backoff(0.1, BACKOFF_MAX_S)

Row = TypeVar("Row", bound=HistoryRow)
_log = structlog.get_logger(__name__)


class Stopper:
    """Stops journeys, and tells those who wait for changes."""

    def __init__(
        self, store: ReferenceStore, references: References, clock: Clock, changed: Callable[[], None]
    ) -> None:
        """`references` says what is there now; `changed` is called after journeys were stopped."""
        self._store = store
        self._references = references
        self._clock = clock
        self._changed = changed

    async def stop(self, stops: Stops) -> None:
        """Stops those that are live. Raises the driver's errors, and Unavailable where segment has to be asked."""
        there = await self._there_again(stops)
        standing = {
            (team_id, journey_id): held[0]
            for (team_id, journey_id), whys in stops.items()
            if (held := [why for why in whys if not why.lasting or (team_id, why.thing) not in there])
        }
        stopped = await self._store.stop(standing, self._clock.now()) if standing else 0
        if stopped:
            metrics.STATUS_CHANGES.inc(stopped)
            _log.info("journeys stopped, since what they name is gone", journeys=stopped)
            self._changed()

    async def _there_again(self, stops: Stops) -> set[tuple[UUID, str]]:
        """Attributes (team, key) that were archived and are in use again.

        The history that is read may be behind: a journey may have been published after they were restored.
        """
        archived: dict[UUID, set[str]] = {}
        for (team_id, _), whys in stops.items():
            for why in whys:
                if why.lasting and why.reason is StatusReason.ATTRIBUTE_UNAVAILABLE:
                    archived.setdefault(team_id, set()).add(why.thing)
        return {
            (team_id, key)
            for team_id, keys in archived.items()
            for key, known in (await self._references.traits(team_id, keys, ())).attributes.items()
            if not known.archived
        }


class GoneProjection(Generic[Row]):
    """A `Projection` of the history of gateway or segment: what is gone is noted, and stops who names it.

    Everything may be done twice; the cursors move when all of it is done.
    """

    def __init__(
        self,
        source: FollowedSource,
        changes_in: Callable[[Row], Iterator[Change]],
        store: ReferenceStore,
        modules: Modules,
        stopper: Stopper,
    ) -> None:
        """`changes_in` reads a row of the source; `modules` says which of them have variables of attributes."""
        self._source = source
        self._changes_in = changes_in
        self._store = store
        self._modules = modules
        self._stopper = stopper

    async def cursors(self) -> dict[int, int]:
        """See `Projection`."""
        return await self._store.cursors(self._source)

    async def apply(self, before: Mapping[int, int], page: Page[Row]) -> None:
        """See `Projection`."""
        found = [change for row in page.rows for change in self._changes_in(row)]
        changes = [change for change in found if change.reason is None]
        await self._stopper.stop(await self._store.note(changes))
        await self._stopper.stop(await self._through_modules(changes))
        await self._stopper.stop(
            await self._refused([change for change in found if change.reason is not None])
        )
        await self._store.take(self._source, before, page.cursors)

    async def set_aside(self, before: Mapping[int, int], page: Page[Row], reason: str) -> None:
        """See `Projection`."""
        (row,) = page.rows
        await self._store.set_aside(self._source, before, page.cursors, row.place, reason)
        metrics.GONE_SET_ASIDE.inc()

    async def _refused(self, changes: Sequence[Change]) -> Stops:
        """Journeys that name what is there and cannot be used. Who names it later finds out by themselves."""
        stops: dict[tuple[UUID, UUID], list[Stop]] = {}
        for team_id, kind in {(change.team_id, change.kind) for change in changes}:
            for each in await self._store.naming(team_id, kind):
                for change in changes:
                    if (change.team_id, change.thing) != (team_id, each.thing) or change.at < each.since:
                        continue
                    assert change.reason is not None
                    stop = Stop(change.reason, change.thing)
                    stops.setdefault((team_id, each.journey_id), []).append(stop)
        return stops

    async def _through_modules(self, changes: Sequence[Change]) -> Stops:
        """Journeys that send a module with a variable of an attribute that has gone. Raises Unavailable."""
        by_team: dict[UUID, list[Change]] = {}
        for change in _still_gone(changes):
            if change.kind is ReferenceKind.ATTRIBUTE:
                by_team.setdefault(change.team_id, []).append(change)
        stops: dict[tuple[UUID, UUID], list[Stop]] = {}
        for team_id, gone in by_team.items():
            for journey_id, why in await self._of_team(team_id, gone):
                stops.setdefault((team_id, journey_id), []).append(why)
        return stops

    async def _of_team(self, team_id: UUID, gone: Sequence[Change]) -> list[tuple[UUID, Stop]]:
        """The same of one team, whose modules are read once, however many attributes have gone."""
        naming = await self._store.naming(team_id, ReferenceKind.BOT_MODULE)
        modules = sorted({each.thing for each in naming})
        found = await self._modules.naming_attributes(team_id, modules, {change.thing for change in gone})
        return [
            (each.journey_id, Stop(STOPS[change.kind], change.thing, change.lasting))
            for change in gone
            for each in naming
            if change.thing in found.get(each.thing, ()) and (change.lasting or change.at >= each.since)
        ]


def _still_gone(changes: Sequence[Change]) -> list[Change]:
    """Without what is back."""
    last = {(each.team_id, each.kind, each.thing): each for each in changes if each.lasting or each.back}
    return [
        change
        for change in changes
        if not change.back and not (change.lasting and last[change.team_id, change.kind, change.thing].back)
    ]


def gone_follower(history: History[Row], projection: GoneProjection[Row]) -> Follower[Row]:
    """The loop that follows."""
    return Follower(history, projection, rows_max=PAGE_ROWS, failed=metrics.GONE_FAULTS.inc, backoff=_BACKOFF)
