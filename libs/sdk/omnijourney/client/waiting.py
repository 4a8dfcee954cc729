"""Operations that are waited for."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from omnijourney.client.errors import OperationEndedError
from omnijourney.common.v1 import operation_pb2

LOOK: Final = timedelta(seconds=10)
"""For how long the server is asked to hold a call while nothing ends, real time."""
_EARLY: Final = (operation_pb2.OPERATION_STATE_FAILED, operation_pb2.OPERATION_STATE_CANCELLED)


def has_ended(operation: operation_pb2.Operation) -> bool:
    """Whether it has succeeded. Raises OperationEndedError where it ended early."""
    if operation.state in _EARLY:
        raise OperationEndedError(operation)
    return operation.state == operation_pb2.OPERATION_STATE_SUCCEEDED
