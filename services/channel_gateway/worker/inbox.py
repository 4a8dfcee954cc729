"""Forwards stored webhooks to segment and marks them: teams take turns, each team's in order of receipt."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol
from uuid import UUID

import structlog

from libs.common import tracing
from libs.common.backoff import Backoff
from libs.common.db.faults import PASSING
from libs.common.errors import ResourceExhausted, Unavailable
from libs.common.logging import about
from libs.common.rpc.operations import Progress
from libs.common.tasks import any_set
from services.channel_gateway.clients.services import EVENTS_MAX, EventRecorder
from services.channel_gateway.convert.events import ConvertedWebhook
from services.channel_gateway.domain.inbox import StoredWebhook
from services.channel_gateway.store.inbox import InboxStore
from services.channel_gateway.worker.forwarding import Course, Following, Forwarding
from services.channel_gateway.worker.presence import Presence
from services.channel_gateway.worker.turns import WORKING_MAX, Turns
from services.channel_gateway.worker.webhook_traces import ForwardTraces

TEAMS_MAX: Final = 1_000
"""Teams with work looked for at once; the next look goes on behind them."""
IDLE_S: Final = 5.0
"""An idle worker looks again after so long, woken or not."""
SLOW_AFTER_S: Final = 0.5
"""A turn that takes longer no longer keeps a lane from others."""
APART_BYTES: Final = 64 * 1024
"""A body from this size on is converted in a thread beside, smaller ones up to so many bytes in one go."""
DRAIN_S: Final = 2.0
"""When it is to stop, turns may end by themselves within so long. What is cut off is found by the next start."""
OUTAGE_LANES: Final = 4
"""While nobody gets through, so many teams are tried at once."""
UNFORESEEN_REST_S: Final = 30.0
"""A team whose work fails in an unforeseen way, and cannot be set aside either, waits so long."""
_RETRIES: Final = Backoff(0.05, 0.25, spread=0.5)
_TRANSIENT: Final = (Unavailable, ResourceExhausted, *PASSING)
_FIRST: Final = UUID(int=0)

_log = structlog.get_logger(__name__)


class Listener(Protocol):
    """Notes what the gateway itself goes by, `worker.hearing.Hearing`."""

    async def note(self, team_id: UUID, webhooks: Sequence[ConvertedWebhook]) -> None:
        """Of a team's webhooks; the same again changes nothing. Raises the driver's errors, Unavailable."""
        ...


class InboxWorker:
    """A loop, see `libs.common.tasks`. One process of the gateway forwards at a time (`Presence.is_forwarder`); all may
    run this."""

    def __init__(
        self,
        store: InboxStore,
        recorder: EventRecorder,
        presence: Presence,
        progress: Progress,
        convert: Callable[[StoredWebhook], ConvertedWebhook],
        *,
        hearing: Listener,
        following: Following | None = None,
    ) -> None:
        """`convert` gives a webhook's events as segment takes them, `hearing` notes what the gateway itself goes by,
        `following` takes up what follows from what segment has taken."""
        self._store = store
        self._presence = presence
        self._convert = convert
        self._hearing = hearing
        self._forwarding = Forwarding(recorder, store, progress, following)
        self._turns = Turns()
        self._failures: Counter[UUID] = Counter()
        """Of teams, on end."""
        self._resting: dict[UUID, float] = {}
        """Teams whose last turn failed, and until when they rest, monotonic."""
        self._outage = 0
        """Turns of whatever team that failed since one got through."""
        self._open_at_s = 0.0
        """While nobody gets through: when the next ones are tried, monotonic."""
        self._after = _FIRST
        """The last team that a look found."""
        self._lanes: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        """A lane is free, or a team's turn is over."""
        self._stopping = asyncio.Event()

    def wake(self) -> None:
        """Looks at once: webhooks were stored in this process."""
        self._presence.inbox_woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Forwards until told to stop; what is left is found by the next start."""
        self._stopping = stopping
        try:
            while not stopping.is_set():
                await self._start_turns()
                woken = self._presence.inbox_woken
                await any_set(woken, self._ended, stopping, timeout_s=self._wait_s())
        finally:
            await self._end_lanes()

    async def step(self) -> bool:
        """Works one batch of each team that a look finds; whether there was any. Raises what the servers raise."""
        course = Course(may_go_on=lambda: True, slow=lambda: None)
        teams = await self._look()
        for team_id in teams:
            await self._work(team_id, course)
        return bool(teams)

    # ---- whose turn it is ----

    async def _start_turns(self) -> None:
        self._ended.clear()
        if not self._presence.is_forwarder:
            self._presence.inbox_woken.clear()
            self._turns.clear()
            self._resting.clear()
            return
        self._turns.offer(self._rested())
        if self._presence.inbox_woken.is_set() or not self._turns.waiting_count:
            self._presence.inbox_woken.clear()
            try:
                self._offer(await self._look())
            except _TRANSIENT as error:
                self._failed(error)
        for _ in range(self._startable()):
            if (team_id := self._turns.take()) is None:
                break
            self._start(team_id)

    def _start(self, team_id: UUID) -> None:
        lane = asyncio.create_task(self._turn(team_id), name="gateway inbox lane")
        self._lanes.add(lane)
        lane.add_done_callback(self._lanes.discard)

    async def _look(self) -> list[UUID]:
        """Teams with work: a page of them, from the start again behind the last."""
        teams = await self._store.waiting_teams(self._after, TEAMS_MAX)
        if len(teams) < TEAMS_MAX and self._after != _FIRST:
            teams += await self._store.waiting_teams(_FIRST, TEAMS_MAX - len(teams))
        self._after = teams[-1] if len(teams) == TEAMS_MAX else _FIRST
        return teams

    def _offer(self, teams: Iterable[UUID]) -> None:
        self._turns.offer(team for team in teams if team not in self._resting)

    def _rested(self) -> list[UUID]:
        """Teams that have rested long enough."""
        now_s = time.monotonic()
        rested = [team for team, until_s in self._resting.items() if until_s <= now_s]
        for team in rested:
            del self._resting[team]
        return rested

    def _startable(self) -> int:
        """Turns that may start now: few, and after a wait, while nobody gets through."""
        if not self._outage:
            return WORKING_MAX
        now_s = time.monotonic()
        if now_s < self._open_at_s:
            return 0
        self._open_at_s = now_s + _RETRIES.delay_s(self._outage)
        return OUTAGE_LANES

    def _wait_s(self) -> float:
        """Until something is to be done that nobody tells of."""
        now_s = time.monotonic()
        due = [until_s - now_s for until_s in self._resting.values()]
        if self._outage and self._turns.waiting_count:
            due.append(self._open_at_s - now_s)
        return max(0.001, min([IDLE_S, *due]))

    # ---- one team's turn ----

    async def _turn(self, team_id: UUID) -> None:
        again = False
        try:
            with self._slow_after(team_id):
                again = await self._work_or_set_aside(team_id)
        except _TRANSIENT as error:
            self._failed(error)
            self._failures[team_id] += 1
            self._rest(team_id, _RETRIES.delay_s(self._failures[team_id]))
        except Exception:  # noqa: BLE001 - one team's fault is not the others'
            _log.exception("a team's webhooks cannot be worked", **about(team_id=team_id))
            self._rest(team_id, UNFORESEEN_REST_S)
        else:
            self._outage = 0 if again else self._outage
            del self._failures[team_id]
        finally:
            self._turns.ended(team_id, again=again)
            self._ended.set()

    async def _work_or_set_aside(self, team_id: UUID) -> bool:
        """One batch; where that fails in an unforeseen way, its webhooks go one by one. Whether there was anything."""
        course = Course(self._may_go_on, lambda: self._found_slow(team_id))
        try:
            return await self._work(team_id, course)
        except _TRANSIENT:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, it is found below
            _log.exception("webhooks fail in an unforeseen way, and go one by one", **about(team_id=team_id))
        self._found_slow(team_id)
        for _ in range(EVENTS_MAX):
            if not await self._work_one(team_id, course):
                break
        return True

    async def _work_one(self, team_id: UUID, course: Course) -> bool:
        """A team's next webhook; one that fails in an unforeseen way is set aside. Whether to go on like that."""
        try:
            return await self._work(team_id, course, events_max=0)
        except _TRANSIENT:
            raise
        except Exception as error:  # noqa: BLE001 - kept as the reason
            sequence = await self._store.set_aside_next(team_id, f"INTERNAL: {error!r}")
            _log.exception("a webhook is set aside", sequence=sequence, **about(team_id=team_id))
            return False

    async def _work(self, team_id: UUID, course: Course, events_max: int = EVENTS_MAX) -> bool:
        """Works one batch of a team; whether there was one. Raises what the servers raise."""
        webhooks = await self._store.next(team_id, events_max)
        if webhooks:
            converted = await self._converted(webhooks)
            traces = ForwardTraces(converted) if tracing.is_on() else None
            # First what sends go by, which is the same however often it is noted.
            await self._hearing.note(team_id, converted)
            await self._forwarding.forward(converted, course)
            if traces is not None:
                traces.write()
        return bool(webhooks)

    async def _converted(self, webhooks: Sequence[StoredWebhook]) -> list[ConvertedWebhook]:
        """Nothing else waits long for it: what is large is converted in a thread beside."""
        converted: list[ConvertedWebhook] = []
        size = 0
        for webhook in webhooks:
            if len(webhook.body) >= APART_BYTES:
                converted.append(await asyncio.to_thread(self._convert_one, webhook))
                continue
            size += len(webhook.body)
            if size >= APART_BYTES:
                await asyncio.sleep(0)
                size = 0
            converted.append(self._convert_one(webhook))
        return converted

    def _convert_one(self, webhook: StoredWebhook) -> ConvertedWebhook:
        try:
            return self._convert(webhook)
        except Exception as error:  # noqa: BLE001 - kept as the reason: it must not hold up the others
            _log.exception(
                "a stored webhook cannot be converted; it is set aside",
                sequence=webhook.sequence,
                **about(webhook),
            )
            return ConvertedWebhook(webhook, [], f"cannot be converted: {error!r}")

    # ---- what fails, and what takes long ----

    def _may_go_on(self) -> bool:
        return self._presence.is_forwarder and not self._stopping.is_set()

    def _failed(self, error: Exception) -> None:
        self._outage += 1
        self._open_at_s = time.monotonic() + _RETRIES.delay_s(self._outage)
        if self._outage > 1:
            _log.warning("webhooks wait to be forwarded", error=str(error), attempt=self._outage)

    def _rest(self, team_id: UUID, rest_s: float) -> None:
        self._resting[team_id] = time.monotonic() + rest_s

    @contextlib.contextmanager
    def _slow_after(self, team_id: UUID) -> Iterator[None]:
        timer = asyncio.get_running_loop().call_later(SLOW_AFTER_S, self._found_slow, team_id)
        try:
            yield
        finally:
            timer.cancel()

    def _found_slow(self, team_id: UUID) -> None:
        if self._turns.found_slow(team_id):
            self._ended.set()

    async def _end_lanes(self) -> None:
        if self._lanes:
            await asyncio.wait(self._lanes, timeout=DRAIN_S)
        for lane in list(self._lanes):
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
