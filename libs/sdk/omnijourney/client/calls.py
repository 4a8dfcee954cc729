"""How a call is made, whichever kind of client makes it: its request id, its deadline, and when it is made again."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import MethodOptions

from libs.common.backoff import Backoff
from libs.common.ids import new_id
from libs.common.rpc.client import passes
from libs.common.rpc.errors import remote_error
from omnijourney.client import errors

TIMEOUT_S: Final = 30.0
"""What a call may take with all its repetitions, where the caller says nothing."""
STREAM_TIMEOUT_S: Final = 600.0
"""What an answer in parts, or an upload, may take where the caller says nothing."""
_BACKOFF: Final = Backoff(0.05, 2.0, spread=1.0)


@dataclass(frozen=True, slots=True)
class Rpc:
    """What the contract says of one RPC."""

    repeatable: bool
    """The contract marks it as free of side effects, or as idempotent."""
    request_id: bool
    """Its request has a `request_id`, which makes it idempotent."""

    @classmethod
    @functools.cache
    def of(cls, path: str) -> Rpc:
        """By its path, `/package.Service/Method`."""
        service, _, name = path.lstrip("/").rpartition("/")
        method = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
        level = method.GetOptions().idempotency_level
        return cls(
            repeatable=level in (MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT),
            request_id="request_id" in method.input_type.fields_by_name,
        )

    def prepared(self, request: Any) -> Any:
        """The request as it is sent, every time: a copy with a request id where it has none."""
        if not self.request_id or request.request_id:
            return request
        copy = type(request)()
        copy.CopyFrom(request)
        copy.request_id = str(new_id())
        return copy


class Attempts:
    """One call's: how much time is left, and what is to be done after a failure."""

    def __init__(
        self, rpc: Rpc, timeout_s: float | None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`timeout_s` is for all of them; None: `TIMEOUT_S`."""
        self._rpc = rpc
        self._monotonic = monotonic
        self._end = monotonic() + (TIMEOUT_S if timeout_s is None else timeout_s)
        self._failures = 0

    def left_s(self) -> float:
        """Until the deadline, seconds; never negative."""
        return max(0.0, self._end - self._monotonic())

    def wait_s(self, error: grpc.RpcError) -> float:
        """How long to wait before the call is made again, seconds. Raises CallError where it is not to be."""
        found = remote_error(error)
        self._failures += 1
        wait_s = max(_BACKOFF.delay_s(self._failures), found.retry_after_s or 0.0)
        if not self._rpc.repeatable or not passes(found) or wait_s >= self.left_s():
            raise errors.of(found) from error
        return wait_s
