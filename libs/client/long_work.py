"""Operations, waited for until they have ended."""

from collections.abc import Callable
from datetime import timedelta

from libs.client.client import Client
from libs.client.services import ServiceName
from libs.common.rpc.client import retrying
from libs.common.rpc.values import duration
from omnijourney.common.v1 import operation_pb2
from omnijourney.common.v1 import operations_service_pb2 as operations

LOOK = timedelta(seconds=1)
"""How often it is told how far an operation is, real time."""
TIMEOUT_S = 30.0
ATTEMPTS = 30
"""A service that is started anew is waited for, about a minute: the operation goes on in the next process."""
_UNDER_WAY = (operation_pb2.OPERATION_STATE_PENDING, operation_pb2.OPERATION_STATE_RUNNING)


async def ended(
    client: Client,
    service: ServiceName,
    operation: operation_pb2.Operation,
    tell: Callable[[operation_pb2.Operation], None] = lambda _: None,
) -> operation_pb2.Operation:
    """The operation as it has ended; `tell` hears how far it is. Raises `grpc.aio.AioRpcError`, of a service that is
    away when it has been away for a minute."""
    request = operations.WaitOperationRequest(
        team_id=operation.team_id, operation_id=operation.operation_id, wait=duration(LOOK)
    )
    while operation.state in _UNDER_WAY:
        answer = await retrying(
            lambda: client.operations(service).WaitOperation(request, timeout=TIMEOUT_S), attempts=ATTEMPTS
        )
        operation = answer.operation
        tell(operation)
    return operation
