"""What a call that failed raises: a class for each code of gRPC, and one for each reason of the contract.

try:
    await client.segment.UpdateCustomer(request)
except reason("ETAG_MISMATCH"):
    ...                              # somebody else was faster: read again and repeat
except InvalidArgumentError as error:
    for fault in error.violations:   # all of them, each with the path of its field
        print(fault.field, fault.description)
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

import grpc

from libs.common.errors import FieldViolation
from libs.common.rpc.errors import RemoteError
from omnijourney.common.v1 import operation_pb2
from omnijourney.common.v1.error_reason_pb2 import ErrorReason

__all__ = [
    "AbortedError",
    "AlreadyExistsError",
    "CallError",
    "DeadlineExceededError",
    "FailedPreconditionError",
    "FieldViolation",
    "InternalError",
    "InvalidArgumentError",
    "NotFoundError",
    "OperationEndedError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "of",
    "reason",
]


class CallError(Exception):
    """A call that failed for good: what may be repeated was, within its time."""

    def __init__(self, error: RemoteError) -> None:
        """As the server told it."""
        super().__init__(f"{error.reason or error.code.name}: {error.message}")
        self.code: grpc.StatusCode = error.code
        self.reason: str = error.reason
        """Name in `ErrorReason` without its prefix; empty where no service of ours answered."""
        self.message: str = error.message
        """For people."""
        self.metadata: Mapping[str, str] = error.metadata
        """The keys that the reason documents."""
        self.violations: tuple[FieldViolation, ...] = error.violations
        """Every fault of the request's fields."""
        self.retry_after_s: float | None = error.retry_after_s
        """When the same call may succeed, seconds; None: the server does not say."""


class InvalidArgumentError(CallError):
    """The request is wrong whatever the state."""


class NotFoundError(CallError):
    """What is named is not there, or of another team."""


class AlreadyExistsError(CallError):
    """A unique value is taken, or a request id was used with other content."""


class FailedPreconditionError(CallError):
    """The state does not allow it."""


class AbortedError(CallError):
    """Another write was faster."""


class ResourceExhaustedError(CallError):
    """A limit is reached, or the request is too large."""


class UnavailableError(CallError):
    """Something needed does not answer."""


class DeadlineExceededError(CallError):
    """Not done in time. A write may have happened: made again with the same request id it happens once."""


class UnauthenticatedError(CallError):
    """No token, or one that is wrong, expired or revoked."""


class PermissionDeniedError(CallError):
    """The token does not allow it."""


class UnimplementedError(CallError):
    """The contract has it, the release that answers has not."""


class InternalError(CallError):
    """A fault of the service's; `metadata["incident_id"]` finds it in its logs."""


class OperationEndedError(Exception):
    """An operation that was waited for failed or was cancelled."""

    def __init__(self, operation: operation_pb2.Operation) -> None:
        """As it ended."""
        state = operation_pb2.OperationState.Name(operation.state).removeprefix("OPERATION_STATE_")
        why = f": {operation.error.message}" if operation.HasField("error") else ""
        super().__init__(f"operation {operation.operation_id} is {state}{why}")
        self.operation = operation


_REASONS: Final = frozenset(each.removeprefix("ERROR_REASON_") for each in ErrorReason.keys())  # noqa: SIM118 - no mapping
_CLASSES: Final[Mapping[grpc.StatusCode, type[CallError]]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgumentError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExistsError,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPreconditionError,
    grpc.StatusCode.ABORTED: AbortedError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhaustedError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    grpc.StatusCode.UNIMPLEMENTED: UnimplementedError,
    grpc.StatusCode.INTERNAL: InternalError,
}


@functools.cache
def reason(name: str) -> type[CallError]:
    """The class of all errors with one reason, a name in `ErrorReason` without its prefix, for `except`.

    Raises ValueError for a reason that the contract does not have.
    """
    if name not in _REASONS:
        raise ValueError(f"{name}: not a reason of the contract")
    camel = "".join(part.capitalize() for part in name.split("_"))
    return type(f"{camel}Reason", (CallError,), {"__doc__": f"The reason is {name}."})


def of(error: RemoteError) -> CallError:
    """The error of a call: of its code's class, and of its reason's where this release knows the reason."""
    return _class_of(error.code, error.reason)(error)


@functools.cache
def _class_of(code: grpc.StatusCode, name: str) -> type[CallError]:
    by_code = _CLASSES.get(code, CallError)
    if not name or name not in _REASONS:
        return by_code
    by_reason = reason(name)
    bases = (by_code, by_reason) if by_code is not CallError else (by_reason,)
    return type(by_code.__name__, bases, {"__doc__": by_reason.__doc__, "__module__": __name__})
