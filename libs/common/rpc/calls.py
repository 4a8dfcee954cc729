"""A call being answered: counted, timed, and ended by one status."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import grpc
from google.rpc import status_pb2

from libs.common import metrics
from libs.common.rpc.errors import STATUS_KEY, status_of

REQUESTS = metrics.counter(
    "rpc_requests_total",
    "Calls answered, by status code.",
    ("service", "method", "code"),
    remedy="`INTERNAL` and `UNKNOWN` are faults of ours. `RESOURCE_EXHAUSTED` says that callers are faster "
    "than the service.",
)
DURATION = metrics.histogram(
    "rpc_duration_seconds",
    "From a call's arrival to its answer.",
    ("service", "method"),
    remedy="Where it grows look at the database's load first, then at `rpc_in_flight_count`.",
)
IN_FLIGHT = metrics.gauge("rpc_in_flight_count", "Calls being worked on.", ("service",))

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


class Tally:
    """The metrics of one RPC, bound."""

    def __init__(self, rpc: str) -> None:
        """`rpc` is `package.Service/Method`."""
        self.rpc = rpc
        self._service, _, self._name = rpc.rpartition("/")
        self._duration = DURATION.labels(self._service, self._name)
        self._in_flight = IN_FLIGHT.labels(self._service)
        self._answered: dict[grpc.StatusCode, Any] = {}

    def begin(self) -> Call:
        """A call that has come."""
        self._in_flight.inc()
        return Call(self)

    def note(self, code: grpc.StatusCode, took_s: float) -> None:
        """Counts a call that has ended."""
        self._in_flight.dec()
        self._duration.observe(took_s)
        answered = self._answered.get(code)
        if answered is None:
            answered = self._answered[code] = REQUESTS.labels(self._service, self._name, code.name)
        answered.inc()


class Call:
    """One call."""

    __slots__ = ("_began", "_code", "_tally")

    def __init__(self, tally: Tally) -> None:
        """It begins now."""
        self._tally = tally
        self._code = grpc.StatusCode.OK
        self._began = time.perf_counter()

    async def fail(self, context: Any, error: BaseException) -> None:
        """Notes how the call failed; whatever is no status yet becomes one, as which it is raised."""
        self._code = grpc.StatusCode.CANCELLED
        if isinstance(error, grpc.aio.AbortError):
            self._code = context.code() or grpc.StatusCode.UNKNOWN
        elif isinstance(error, Exception) or _is_the_handlers_own(error):
            # The last resort: gRPC would send the exception's text, and nothing at all of a cancellation.
            status = status_of(error, self._tally.rpc)
            _release(error)
            await self.refuse(context, status)

    async def refuse(self, context: Any, status: status_pb2.Status) -> None:
        """Ends the call by a status, which gRPC raises."""
        self._code = _CODES[status.code]
        details = ((STATUS_KEY, status.SerializeToString()),)
        await context.abort(self._code, status.message, details)

    def end(self) -> None:
        """Counts the call."""
        self._tally.note(self._code, time.perf_counter() - self._began)


def _is_the_handlers_own(error: BaseException) -> bool:
    """Whether something in the handler was cancelled, and not the call: whoever made it still waits."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and not task.cancelling()


def _release(error: BaseException | None) -> None:
    """Lets go of what the frames hold that an error came through: the request, above all. gRPC keeps the error with the
    call, and the frames hold the call; only the collector of garbage would find that, which runs seldom."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
