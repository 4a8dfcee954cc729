"""Traces of sends: what is sampled is remembered for what channels report of it later (ADR 69).

Nothing depends on it, so nobody waits for it: contexts are written once a second, and what a crash takes is on no
trace.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import Final

import msgspec
import structlog

from libs.common import tracing
from libs.common.clock import Clock
from libs.common.db.faults import PASSING
from libs.common.tasks import any_set, set_within
from services.channel_gateway.domain.model import Job, Send, SendAnswer, SendState
from services.channel_gateway.store.outcomes import Settlement
from services.channel_gateway.store.send_traces import SendKey, SendTraceStore

WRITE_EVERY_S: Final = 1.0
WAITING_MAX: Final = 10_000
"""Contexts that wait to be written, some 300 bytes each; further ones are on no trace."""
SPANS: Final = tracing.Spans("channel_gateway")

_log = structlog.get_logger(__name__)


class SendTraces:
    """Those of this process, and what others wrote. A loop, see `libs.common.tasks`."""

    def __init__(self, store: SendTraceStore, clock: Clock) -> None:
        """Nothing noted."""
        self._store = store
        self._clock = clock
        self._waiting: dict[SendKey, bytes] = {}
        self._writing: dict[SendKey, bytes] = {}
        self._woken = asyncio.Event()

    def note(
        self, sends: Sequence[Send], parents: Sequence[bytes | None], answers: Sequence[SendAnswer]
    ) -> None:
        """Takes up the traces of sends that were accepted."""
        for send, parent, answer in zip(sends, parents, answers, strict=True):
            if parent is None or send.trace is None or answer.state is not SendState.ACCEPTED:
                continue
            if len(self._waiting) < WAITING_MAX:
                self._waiting[send.team_id, send.effect_key] = send.trace
                self._woken.set()

    async def of(self, sends: Collection[SendKey]) -> dict[SendKey, bytes]:
        """The contexts of those of the sends that are sampled. Raises the driver's errors."""
        if not sends or not tracing.is_on():
            return {}
        found = await self._store.find(sends)
        fresh = self._writing | self._waiting
        return found | {key: fresh[key] for key in sends if key in fresh}

    async def put_on(self, jobs: Sequence[Job]) -> None:
        """Gives sends that another process began the traces that they are on."""
        found = await self.of([(job.team_id, job.effect_key) for job in jobs])
        for job in jobs:
            job.trace = found.get((job.team_id, job.effect_key))

    async def run(self, stopping: asyncio.Event) -> None:
        """Writes what was noted, until told to stop."""
        while not stopping.is_set():
            await any_set(self._woken, stopping)
            await set_within(stopping, WRITE_EVERY_S)
            self._woken.clear()
            await self.step()

    async def step(self) -> None:
        """Writes what was noted; what the database does not take is on no trace."""
        self._writing, self._waiting = self._waiting, {}
        try:
            if self._writing:
                await self._store.keep(self._writing, self._clock.now())
        except PASSING as error:
            _log.warning("traces of sends are not kept", count=len(self._writing), error=repr(error))
        finally:
            self._writing = {}


def begun(sends: Sequence[Send]) -> tuple[list[Send], list[bytes | None]]:
    """The sends, those that are sampled with spans of their own, and the spans above."""
    own = [
        send if send.trace is None else msgspec.structs.replace(send, trace=tracing.below(send.trace))
        for send in sends
    ]
    return own, [send.trace for send in sends]


def write_reservations(
    sends: Sequence[Send], parents: Sequence[bytes | None], answers: Sequence[SendAnswer], began_ns: int
) -> None:
    """The spans of sends that were asked for together."""
    for send, parent, answer in zip(sends, parents, answers, strict=True):
        if parent is not None and send.trace is not None:
            attributes = {
                **_named(send),
                "state": answer.state.name,
                "reason": answer.reason,
                "batch_size": len(sends),
            }
            SPANS.write("gateway.reserve", send.trace, parent, began_ns, attributes)


def write_outcomes(settled: Sequence[Settlement]) -> None:
    """The spans of sends that were settled together: each from its first request to the commit of its outcome."""
    if not tracing.is_on():
        return
    now_s, now_ns = time.monotonic(), tracing.now_ns()
    for job, outcome in settled:
        if job.trace is not None:
            took_s = now_s - job.began_s if job.began_s is not None else 0.0
            attributes = {
                **_named(job),
                "outcome": outcome.state.name,
                "reason": outcome.reason,
                "attempts": job.attempts,
                "batch_size": len(settled),
            }
            SPANS.write_below("gateway.send", [job.trace], now_ns - int(took_s * 1e9), attributes)


def _named(send: Send | Job) -> dict[str, str | int]:
    return {
        "team_id": str(send.team_id),
        "customer_id": str(send.customer_id),
        "enrolment_id": str(send.enrolment_id),
        "journey_id": str(send.journey_id),
        "node_id": send.node_id,
        "effect_key": str(send.effect_key),
        "channel": send.channel.name,
    }
