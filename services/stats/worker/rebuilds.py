"""Counts figures anew from the beginning of the histories, beside those that are shown, and has them shown instead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog

from libs.common.clock import Clock
from libs.common.db.faults import COLLIDED
from libs.common.errors import NotFound
from libs.common.feeds.follower import AWAY, POISON, CursorMovedError
from libs.common.ids import new_id
from libs.common.logging import about
from libs.common.tasks import any_set
from services.stats import metrics
from services.stats.convert.facts import read_each, read_facts
from services.stats.domain.fold import count, merge
from services.stats.domain.model import Counts, Order, Source
from services.stats.domain.rebuild import TRIES_MAX, Rebuild
from services.stats.store.rebuilds import Aside, Claim, LostError, RebuildStore, Rows, Stand
from services.stats.worker.readers import SourceHistory, Windows

POLL_S: Final = 5.0
"""How often it is looked for rebuilds that another process began and left, real seconds."""
CLAIM_S: Final = 60.0
RETRY_S: Final = 2.0
HOLD_S: Final = 10.0
"""How long counting may stand still while the last rows are counted, real seconds; then it is tried again later."""
SHOW_S: Final = 600.0
"""How long it may stand still while the new rows take the place of the old ones."""
STALL_S: Final = 1.0
STALLS_MAX: Final = 30
"""How often a history is asked on end for rows that were counted before and does not give them."""
_AGAIN: Final = (CursorMovedError, *COLLIDED)
"""Somebody else counted at the same moment: nothing was written."""

_log = structlog.get_logger(__name__)


class _FaultyError(Exception):
    """It cannot be done; says why."""


class _InterruptedError(Exception):
    """The process is told to stop."""


class Rebuilder:
    """Works on rebuilds, one at a time; one that is interrupted goes on where it stood, here or in another process."""

    def __init__(
        self, store: RebuildStore, histories: Sequence[SourceHistory], windows: Windows, clock: Clock
    ) -> None:
        """`windows` are of orders that were never counted before; `clock` says when one ended."""
        self._store = store
        self._histories = histories
        self._windows = windows
        self._clock = clock
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is one to be worked on."""
        self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set; ends between two pages."""
        while not stopping.is_set():
            self._woken.clear()
            try:
                while not stopping.is_set() and await self.step(stopping):
                    await self._store.clear()
                await self._store.clear()
            except AWAY as error:
                _log.warning("rebuilds wait", error=repr(error))
            await any_set(stopping, self._woken, timeout_s=POLL_S)

    async def step(self, stopping: asyncio.Event) -> bool:
        """Works on the oldest one to its end; False if there is none. Raises the driver's errors, Unavailable."""
        claim = await self._store.claim(new_id(), CLAIM_S)
        if claim is None:
            return False
        try:
            found = await self._store.read(claim.key)
            await self._work(claim, found, stopping)
        except (LostError, NotFound):
            pass
        except _FaultyError as error:
            await self._fail(claim, "INTERNAL", str(error))
        except AWAY:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, it is this rebuild's: figures are counted on
            _log.exception("a rebuild failed", id=str(claim.key.rebuild_id), **about(claim.key))
            await self._fail(
                claim, "INTERNAL", "it failed by a fault of its own; the log of the service has it"
            )
        return True

    async def _work(self, claim: Claim, found: Rebuild, stopping: asyncio.Event) -> None:
        try:
            await self._store.begin(claim.key)
            await _Work(self._store, self._histories, self._windows, self._clock, claim, stopping).run()
        except _InterruptedError:
            await self._store.leave(claim, found.tries - 1, 0)
        except AWAY as error:
            _log.warning(
                "a rebuild waits", id=str(claim.key.rebuild_id), error=repr(error), **about(claim.key)
            )
            came_on = (await self._store.read(claim.key)).done > found.done
            if found.tries >= TRIES_MAX and not came_on:
                message = "a service whose history it reads did not answer"
                await self._fail(claim, "DEPENDENCY_UNAVAILABLE", message)
            else:
                await self._store.leave(claim, 0 if came_on else found.tries, RETRY_S * 2**found.tries)

    async def _fail(self, claim: Claim, reason: str, message: str) -> None:
        metrics.REBUILD_FAULTS.inc()
        await self._store.fail(claim, self._clock.now(), reason, message)


class _Work:
    """One rebuild, from its claim to its end."""

    def __init__(  # noqa: PLR0917 - parts, each of its own type
        self,
        store: RebuildStore,
        histories: Sequence[SourceHistory],
        windows: Windows,
        clock: Clock,
        claim: Claim,
        stopping: asyncio.Event,
    ) -> None:
        self._store = store
        self._histories = histories
        self._windows = windows
        self._clock = clock
        self._claim = claim
        self._stopping = stopping

    async def run(self) -> None:
        """Counts all that is counted, and shows it. Raises LostError, _InterruptedError, _FaultyError, Unavailable, and
        the driver's errors."""
        stalls = 0
        while True:
            came_on = False
            for history in self._histories:
                while await self._page(history):
                    came_on = True
            if not came_on:
                if await self._show():
                    return
                stalls += 1
                if stalls > STALLS_MAX:
                    raise _FaultyError(
                        "the last rows could not be counted: a history does not give rows that were counted before, or"
                        f" the new figures did not take the place of the old ones within {SHOW_S:.0f} s"
                    )
                await asyncio.sleep(STALL_S)
            else:
                stalls = 0

    async def _page(self, history: SourceHistory) -> bool:
        """Counts a page of a history; whether the rebuild came on in it."""
        if self._stopping.is_set():
            raise _InterruptedError
        try:
            stand = await self._store.stand(self._claim.key, history.source)
            rows = await self._read(history, stand)
            if rows is not None:
                await self._store.count(self._claim, rows)
        except _AGAIN:
            return True
        return rows is not None

    async def _show(self) -> bool:
        """Counts what came since, while nobody counts anything, and shows it; False if that would take long."""
        try:
            async with asyncio.timeout(HOLD_S) as limit, self._store.holding(self._claim) as holding:
                for history in self._histories:
                    while (stand := await holding.stand(history.source)).own != stand.shown:
                        rows = await self._read(history, stand)
                        if rows is None:
                            raise TimeoutError
                        await holding.count(rows)
                # How long this takes goes by the team's rows: what was counted for it would be in vain.
                limit.reschedule(asyncio.get_running_loop().time() + SHOW_S)
                await holding.show(self._clock.now())
        except (TimeoutError, *_AGAIN):
            return False
        return True

    async def _read(self, history: SourceHistory, stand: Stand) -> Rows | None:
        """What the next page adds, as far as it is counted in the figures that are shown; None: nothing more."""
        if stand.own == stand.shown:
            return None
        page = await history.read(stand.own, 0, history.rows_max)
        after = {p: min(position, stand.shown[p]) for p, position in page.cursors.items()}
        if after == stand.own:
            return None
        rows = [row for row in page.rows if row.position <= stand.shown[row.partition]]
        counts, teams = await self._counted(history.source, rows)
        return Rows(
            history.source, stand.own, after, sum(after.values()) - sum(stand.own.values()), counts, teams
        )

    async def _counted(self, source: Source, rows: Sequence[Any]) -> tuple[Counts, set[UUID]]:
        """What rows add to the shadows of the teams that are rebuilt, without what is set aside."""
        key = self._claim.key
        aside = await self._store.aside(source, [row.place for row in rows]) if rows else {}
        shadows: dict[UUID, UUID] = {}

        def shadow(team_id: UUID) -> UUID | None:
            return shadows.setdefault(team_id, key.shadow_of(team_id)) if key.counts(team_id) else None

        try:
            counts = counts_without(source, rows, aside, shadow)
        except POISON as error:
            raise _FaultyError(
                f"a row of the history of {source.name} that was counted before cannot be read: {error!r}"
            ) from error
        return await self._dated(counts, {shadow: own for own, shadow in shadows.items()}), set(shadows)

    async def _dated(self, counts: Counts, own_of: Mapping[UUID, UUID]) -> Counts:
        """The same with the windows that the orders were counted with."""
        orders = counts.attribution.orders
        if not orders:
            return counts
        known = await self._store.windows([(own_of[order.team_id], order.order_key) for order in orders])
        now = await self._windows({own_of[order.team_id] for order in orders})

        def dated(order: Order) -> Order:
            own = own_of[order.team_id]
            return order._replace(window=known.get((own, order.order_key), now[own]))

        found = counts.attribution._replace(orders=tuple(map(dated, orders)))
        return counts._replace(attribution=found)


def counts_without(
    source: Source, rows: Sequence[Any], aside: Aside, counted_as: Callable[[UUID], UUID | None]
) -> Counts:
    """What rows add that were counted before, but for what is `aside`: each team's under an id, None for none of it.
    Raises `POISON`."""
    sound: list[Any] = []
    parts: list[Counts] = []
    for row in rows:
        left_out = aside.get(row.place, frozenset[int]())
        if left_out is None:
            continue
        if row.team is None:
            raise ValueError("the service whose row it is cannot read it")
        if (team_id := counted_as(UUID(bytes=row.team))) is None:
            continue
        counted = msgspec.structs.replace(row, team=team_id.bytes)
        if left_out:
            parts += _without(source, counted, left_out)
        else:
            sound.append(counted)
    return merge([count(read_facts(source, sound)), *parts])


def _without(source: Source, row: Any, left_out: frozenset[int]) -> list[Counts]:
    """What the facts of a row add but for those that are set aside. Raises `POISON`."""
    parts = []
    for place, facts in enumerate(read_each(source, row)):
        if place in left_out:
            continue
        if isinstance(facts, Exception):
            raise facts
        parts.append(count(facts))
    return parts
