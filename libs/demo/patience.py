"""Calls that outlive a service's restart: repeated, but not for ever."""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from libs.common.backoff import Backoff, retrying
from libs.common.rpc.client import is_passing
from libs.common.rpc.errors import remote_error

T = TypeVar("T")

PATIENCE_S = 60.0
"""How long one call may fail for passing reasons before the demo gives up."""
CALL_TIMEOUT_S = 15.0
"""Deadline of one attempt."""
_BACKOFF = Backoff(0.05, 0.5)


class DemoFault(Exception):
    """The demo cannot go on, or did not come out right; the text says why."""


async def call(method: Callable[..., Awaitable[T]], request: Message, patience_s: float = PATIENCE_S) -> T:
    """Makes an idempotent unary call with a deadline until it succeeds, also while its service is restarted.

    DemoFault after `patience_s` of passing faults, or at once for another one.
    """
    deadline_s = time.monotonic() + patience_s
    try:
        return await retrying(
            lambda: method(request, timeout=CALL_TIMEOUT_S),
            backoff=_BACKOFF,
            passing=_is_passing,
            give_up=lambda: time.monotonic() > deadline_s,
        )
    except grpc.aio.AioRpcError as error:
        raise DemoFault(f"{_name(request)}: {explain(error)}") from error


def _is_passing(error: Exception) -> bool:
    late = isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    return late or is_passing(error)


def explain(error: grpc.aio.AioRpcError) -> str:
    """Status, reason and every field violation of a refused call, for people."""
    status = remote_error(error)
    faults = [f"{fault.field}: {fault.description}" for fault in status.violations]
    return "; ".join([f"{status.code.name} {status.reason}".rstrip() + f": {status.message}", *faults])


def _name(request: Message) -> str:
    return request.DESCRIPTOR.name.removesuffix("Request")
