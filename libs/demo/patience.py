"""Calls that outlive a service's restart: repeated, but not for ever."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from libs.common.rpc.client import is_passing
from libs.common.rpc.errors import remote_error

T = TypeVar("T")

PATIENCE_S = 60.0
"""How long one call may fail for passing reasons before the demo gives up."""
CALL_TIMEOUT_S = 15.0
"""Deadline of one attempt."""
_WAIT_FIRST_S = 0.05
_WAIT_MAX_S = 0.5


class DemoFault(Exception):
    """The demo cannot go on, or did not come out right; the text says why."""


async def call(method: Callable[..., Awaitable[T]], request: Message, patience_s: float = PATIENCE_S) -> T:
    """Makes an idempotent unary call with a deadline until it succeeds, also while its service is restarted.

    DemoFault after `patience_s` of passing faults, or at once for another one.
    """
    deadline_s = time.monotonic() + patience_s
    wait_s = _WAIT_FIRST_S
    while True:
        try:
            return await method(request, timeout=CALL_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            passing = is_passing(error) or error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            if not passing or time.monotonic() > deadline_s:
                raise DemoFault(f"{_name(request)}: {explain(error)}") from error
        await asyncio.sleep(wait_s)
        wait_s = min(_WAIT_MAX_S, wait_s * 2)


def explain(error: grpc.aio.AioRpcError) -> str:
    """Status, reason and every field violation of a refused call, for people."""
    status = remote_error(error)
    faults = [f"{fault.field}: {fault.description}" for fault in status.violations]
    return "; ".join([f"{status.code.name} {status.reason}".rstrip() + f": {status.message}", *faults])


def _name(request: Message) -> str:
    return request.DESCRIPTOR.name.removesuffix("Request")
