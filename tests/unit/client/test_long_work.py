"""Work that is waited for goes on in the next process of its service: who waits asks again."""

from __future__ import annotations

from typing import Any, cast

import grpc
import pytest

from libs.client import Client
from libs.client.long_work import ended
from omnijourney.common.v1 import operations_service_pb2 as operations
from omnijourney.common.v1.operation_pb2 import (
    OPERATION_STATE_RUNNING,
    OPERATION_STATE_SUCCEEDED,
    Operation,
)


class _Service:
    """Answers in order; an error is raised."""

    def __init__(self, *answers: Operation | grpc.StatusCode) -> None:
        self._answers = list(answers)

    def operations(self, _service: str) -> _Service:
        return self

    async def WaitOperation(self, _request: Any, timeout: float) -> Any:  # noqa: ASYNC109, N802 - the contract's
        """See the contract."""
        answer = self._answers.pop(0)
        if isinstance(answer, Operation):
            return operations.WaitOperationResponse(operation=answer)
        raise grpc.aio.AioRpcError(
            answer, grpc.aio.Metadata(), grpc.aio.Metadata(), f"no answer in {timeout}"
        )


RUNNING = Operation(state=OPERATION_STATE_RUNNING)
DONE = Operation(state=OPERATION_STATE_SUCCEEDED)


async def test_a_service_that_is_started_anew_is_asked_again() -> None:
    away = grpc.StatusCode.UNAVAILABLE
    service = cast("Client", _Service(RUNNING, away, RUNNING, away, away, DONE))
    seen: list[int] = []
    found = await ended(service, "stats", RUNNING, lambda now: seen.append(now.state))
    assert (found, seen) == (
        DONE,
        [OPERATION_STATE_RUNNING, OPERATION_STATE_RUNNING, OPERATION_STATE_SUCCEEDED],
    )


async def test_what_is_not_there_is_not_waited_for() -> None:
    service = cast("Client", _Service(grpc.StatusCode.NOT_FOUND, DONE))
    with pytest.raises(grpc.aio.AioRpcError):
        await ended(service, "stats", RUNNING)
