"""Hands a team's webhooks to segment. What cannot be taken is found, tried a few times and set aside with its reason.

Segment that is away is nobody's fault: nothing is set aside then, and nothing is marked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import structlog

from libs.common import crash
from libs.common.backoff import Backoff
from libs.common.errors import Unavailable
from libs.common.logging import about
from libs.common.rpc.client import CALL_DEADLINE_S
from libs.common.rpc.operations import Progress
from omnijourney.segment.v1 import event_pb2
from services.channel_gateway import metrics
from services.channel_gateway.clients.services import (
    EventRecorder,
    EventsRefusedError,
    Recorded,
    RefusalKind,
)
from services.channel_gateway.convert.events import ConvertedWebhook
from services.channel_gateway.domain.inbox import Refusal, Worked

TRIES_MAX: Final = 3
"""Tries of an event alone, where segment takes others meanwhile; then it is set aside."""
COLLISIONS_MAX: Final = 16
"""The same of an event that collided: who stands in its way is most likely gone by then, about a minute later."""
PARTS: Final = 8
"""A batch that is refused goes on in so many parts: the one of 500 is found in three rounds."""
PATIENCE_S: Final[Mapping[RefusalKind, float]] = {
    RefusalKind.FAILED: 5.0,
    RefusalKind.SLOW: 30.0,
    RefusalKind.COLLIDED: 60.0,
}
"""Where segment takes nothing else either, the fault may be segment's: an event is tried for so long, real seconds, and
for twice as long with each that was set aside since segment last took one."""
PATIENCE_MAX_S: Final = 600.0
_RETRIES: Final = Backoff(0.2, 5.0, spread=0.2)

_log = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Course:
    """How a turn that takes long gets on with the others."""

    may_go_on: Callable[[], bool]
    """Whether this process still forwards."""
    slow: Callable[[], None]
    """Hears that the turn takes long."""

    def check(self) -> None:
        """Raises Unavailable when this process is not to go on."""
        if not self.may_go_on():
            raise Unavailable.dependency("forwarder")


class Marker(Protocol):
    """Marks what was worked."""

    async def finish(self, worked: Sequence[Worked]) -> None:
        """Marks webhooks as recorded or refused, with the reasons. Raises the driver's errors."""
        ...


class Following(Protocol):
    """Takes up what follows for the gateway from what segment has taken."""

    async def followed(self, webhooks: Sequence[ConvertedWebhook], results: Sequence[Recorded]) -> None:
        """Of a team's webhooks, each event with its result: stored when this returns; the same again changes nothing.
        Raises the driver's errors."""
        ...


class Forwarding:
    """What teams' turns share: the recorder, and what segment took of late."""

    def __init__(
        self,
        recorder: EventRecorder,
        marker: Marker,
        progress: Progress,
        following: Following | None = None,
    ) -> None:
        """Nothing taken yet."""
        self._following = following
        self._recorder = recorder
        self._marker = marker
        self._progress = progress
        self._taken = 0
        """Events that segment took, ever."""
        self._doubtful = 0
        """Events set aside since segment last took one."""

    async def forward(self, webhooks: Sequence[ConvertedWebhook], course: Course) -> None:
        """Records webhooks of a team in order, and marks them. Raises Unavailable, and the database's errors: what is
        not marked then is found again."""
        await self._forward(webhooks, self._taken, course)

    async def _forward(self, webhooks: Sequence[ConvertedWebhook], taken: int, course: Course) -> None:
        """The same; segment had taken `taken` events when these were first sent."""
        try:
            results = await self._record([event for item in webhooks for event in item.events])
        except EventsRefusedError as error:
            course.slow()
            if len(webhooks) == 1:
                results = await self._apart(webhooks[0].events, error, taken, course)
            else:
                for part in _parts(webhooks):
                    course.check()
                    await self._forward(part, taken, course)
                return
        crash.reach("gateway.after_forward")
        if self._following is not None and results:
            await self._following.followed(webhooks, results)
        worked = _worked(webhooks, results)
        await self._marker.finish(worked)
        self._progress.add(len(worked))

    async def _apart(
        self,
        events: Sequence[event_pb2.CustomerEvent],
        error: EventsRefusedError,
        taken: int,
        course: Course,
    ) -> list[Recorded]:
        """The results of events that were refused together with `error`."""
        if len(events) == 1:
            return [await self._alone(events[0], error, taken, course)]
        results: list[Recorded] = []
        for part in _parts(events):
            course.check()
            try:
                results += await self._record(part)
            except EventsRefusedError as refused:
                results += await self._apart(part, refused, taken, course)
        return results

    async def _alone(
        self, event: event_pb2.CustomerEvent, error: EventsRefusedError, taken: int, course: Course
    ) -> Recorded:
        """The result of an event that was refused alone with `error`: tried again, or set aside."""
        began_s, tries = time.monotonic(), 1
        while not self._is_hopeless(error, tries, began_s, taken):
            await asyncio.sleep(_RETRIES.delay_s(tries))
            course.check()
            tries += 1
            try:
                return (await self._record([event], CALL_DEADLINE_S * min(tries, TRIES_MAX)))[0]
            except EventsRefusedError as refused:
                error = refused
        if error.kind in PATIENCE_S and self._taken == taken:
            self._doubtful += 1
        metrics.SET_ASIDE.labels(error.kind.value).inc()
        _log.error("an event is set aside", reason=str(error), attempt=tries, **about(team_id=event.team_id))
        return Recorded(False, str(error))

    def _is_hopeless(self, error: EventsRefusedError, tries: int, began_s: float, taken: int) -> bool:
        if error.kind not in PATIENCE_S:
            return True
        if tries < (COLLISIONS_MAX if error.kind is RefusalKind.COLLIDED else TRIES_MAX):
            return False
        patience_s = min(PATIENCE_MAX_S, PATIENCE_S[error.kind] * 2.0 ** min(self._doubtful, 16))
        return self._taken > taken or time.monotonic() - began_s >= patience_s

    async def _record(
        self, events: Sequence[event_pb2.CustomerEvent], deadline_s: float | None = None
    ) -> list[Recorded]:
        if not events:
            return []
        results = await self._recorder.record(events, deadline_s or CALL_DEADLINE_S)
        self._taken += len(events)
        self._doubtful = 0
        return results


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    size = -(-len(items) // PARTS)
    return (items[start : start + size] for start in range(0, len(items), size))


def _worked(webhooks: Sequence[ConvertedWebhook], results: Sequence[Recorded]) -> list[Worked]:
    worked: list[Worked] = []
    place = 0
    for item in webhooks:
        own = results[place : place + len(item.events)]
        place += len(item.events)
        refusals = [
            Refusal(item.place_of(index), result.reason) for index, result in enumerate(own) if result.reason
        ]
        refusals += item.faults
        if item.fault:
            refusals = [Refusal(0, item.fault)]
        worked.append(Worked(item.webhook, refusals))
    _count(results)
    return worked


def _count(results: Sequence[Recorded]) -> None:
    refused = sum(1 for result in results if result.reason)
    duplicate = sum(1 for result in results if result.duplicate)
    metrics.EVENTS.labels("refused").inc(refused)
    metrics.EVENTS.labels("duplicate").inc(duplicate)
    metrics.EVENTS.labels("recorded").inc(len(results) - refused - duplicate)
    if refused:
        _log.warning("segment refused events; they are kept with their reasons", count=refused)
