"""Calls to other services; a failed one is an outage that the caller can wait out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc

R = TypeVar("R")


class ServiceUnavailable(Exception):
    """A service did not answer a batch; asking again later may help, and nobody's mail is to blame."""


async def call_once(call: Callable[[], Awaitable[R]]) -> R:
    """For reads of the worker, which comes again by itself. Raises `ServiceUnavailable`."""
    try:
        return await call()
    except grpc.aio.AioRpcError as error:
        raise ServiceUnavailable(f"{error.code().name}: {error.details()}") from error
