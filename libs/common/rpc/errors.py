"""Errors on the wire: the one table from what is raised to `google.rpc.Status`, and the way back.

A status carries one `ErrorInfo` (reason of `common.v1.ErrorReason`, domain `omnijourney`), all field violations in one
`BadRequest` (with a reason of its own where a fault is not the field's form), and `RetryInfo` where the same call may
succeed later.
"""

import errno
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

import grpc
import redis.exceptions
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from libs.common import errors
from libs.common.callers import caller
from libs.common.db import faults
from libs.common.ids import new_id
from libs.common.logging import about
from omnijourney.common.v1 import error_reason_pb2

ERROR_DOMAIN: Final = "omnijourney"
STATUS_KEY: Final = "grpc-status-details-bin"

_WIRE_BYTES_MAX: Final = 7_800
"""Of a message and its details: clients refuse answers whose metadata exceeds 8 KiB. Field violations beyond this are
only counted."""
_TEXT_BYTES_MAX: Final = 400
"""Of a message, and of each value of its metadata: they may repeat what the caller sent, of any length."""
_REASONS: Final = frozenset(error_reason_pb2.ErrorReason.keys())

# The table. The first class that fits counts.
_CODES: Final[Mapping[type[errors.DomainError], grpc.StatusCode]] = {
    errors.InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotImplementedYet: grpc.StatusCode.UNIMPLEMENTED,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Aborted: grpc.StatusCode.ABORTED,
    errors.ResourceExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
}
_REDIS_AWAY: Final = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)
_NO_WAY: Final = frozenset(
    {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EADDRNOTAVAIL}
)
"""A host that is gone, a link that is cut, no port of ours left: Python has no class of their own for them."""
_PEER_AWAY: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED)

_log = structlog.get_logger(__name__)


class StatusError(Exception):
    """A status that is known already."""

    def __init__(self, status: status_pb2.Status) -> None:
        """To be sent as it is."""
        super().__init__(status.message)
        self.status = status


def status_of(error: BaseException, rpc: str) -> status_pb2.Status:
    """The status that a caller gets for `error`, raised while serving `rpc` (full method name).

    Errors that nobody foresaw are logged with a new incident id; the caller gets the id and nothing else.
    """
    if isinstance(error, errors.DomainError):
        return _status_of_domain_error(error)
    if isinstance(error, StatusError):
        return error.status
    if isinstance(error, faults.COLLIDED):
        return _status_of_domain_error(errors.Aborted.write_conflict())
    if isinstance(error, faults.SERVER_AWAY):
        return _dependency_away(error, rpc, "postgresql")
    if isinstance(error, _REDIS_AWAY):
        return _dependency_away(error, rpc, "redis")
    if isinstance(error, OSError) and _is_networks(error):
        return _dependency_away(error, rpc, "server")
    if isinstance(error, grpc.RpcError) and _code_of(error) in _PEER_AWAY:
        return _dependency_away(error, rpc, "peer service")
    return _incident(error, rpc)


def _is_networks(error: OSError) -> bool:
    """Whether a server cannot be reached; a full disk is none of this."""
    return isinstance(error, ConnectionError | TimeoutError | socket.gaierror) or error.errno in _NO_WAY


def reason_named(reason: str) -> error_reason_pb2.ErrorReason.ValueType:
    """A reason by its name without prefix; UNSPECIFIED for none. Raises ValueError for an unknown one."""
    return error_reason_pb2.ErrorReason.Value(f"ERROR_REASON_{reason or 'UNSPECIFIED'}")


def not_implemented(rpc: str) -> status_pb2.Status:
    """The status of a call that the contract has and this release has not."""
    return _status(
        grpc.StatusCode.UNIMPLEMENTED, "NOT_IMPLEMENTED", f"{rpc} is not implemented yet", {"rpc": rpc}
    )


def deadline_exceeded(rpc: str) -> status_pb2.Status:
    """The status of a call that took longer than the service allows where the caller set no deadline."""
    message = f"{rpc} was not done in time"
    return _status(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", message, {"rpc": rpc})


def _status_of_domain_error(error: errors.DomainError) -> status_pb2.Status:
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), grpc.StatusCode.UNKNOWN)
    if f"ERROR_REASON_{error.reason}" not in _REASONS:
        _log.error("reason is not in the contract", reason=error.reason)
    metadata = {key: _cut(value) for key, value in error.metadata.items()}
    status = _status(code, error.reason, _cut(error.message), metadata)
    if error.violations:
        _pack(status, _bad_request(error.violations, _bytes_left(status)))
    if error.retry_after_s is not None:
        delay = Duration()
        delay.FromNanoseconds(round(error.retry_after_s * 1e9))
        _pack(status, error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def _dependency_away(error: Exception, rpc: str, name: str) -> status_pb2.Status:
    _log.warning("dependency does not answer", rpc=rpc, dependency=name, error=type(error).__name__)
    return _status_of_domain_error(errors.Unavailable.dependency(name, errors.RETRY_SOON_S))


def _incident(error: BaseException, rpc: str) -> status_pb2.Status:
    incident_id = str(new_id())
    _log.error("call failed", rpc=rpc, incident_id=incident_id, exc_info=error, **about(caller()))
    message = f"internal error {incident_id}"
    return _status(grpc.StatusCode.INTERNAL, "INTERNAL", message, {"incident_id": incident_id})


def _status(
    code: grpc.StatusCode, reason: str, message: str, metadata: Mapping[str, str]
) -> status_pb2.Status:
    status = status_pb2.Status(code=code.value[0], message=message)
    _pack(status, error_details_pb2.ErrorInfo(reason=reason, domain=ERROR_DOMAIN, metadata=dict(metadata)))
    return status


def _pack(
    status: status_pb2.Status,
    detail: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo,
) -> None:
    packed = AnyMessage()
    packed.Pack(detail)
    status.details.append(packed)


def _cut(text: str) -> str:
    encoded = text.encode()
    if len(encoded) <= _TEXT_BYTES_MAX:
        return text
    return encoded[:_TEXT_BYTES_MAX].decode(errors="ignore") + "…"


def _bytes_left(status: status_pb2.Status) -> int:
    """For field violations. On the wire the message is percent-encoded, and the details, base64, hold it again."""
    details_max: int = (_WIRE_BYTES_MAX - len(quote(status.message))) * 3 // 4
    return details_max - len(status.SerializeToString())


def _bad_request(
    violations: Sequence[errors.FieldViolation], bytes_left: int
) -> error_details_pb2.BadRequest:
    request = error_details_pb2.BadRequest()
    for index, violation in enumerate(violations):
        texts = (violation.field, violation.description, violation.reason)
        bytes_left -= sum(len(text.encode()) for text in texts) + 10
        if bytes_left < 0:
            request.field_violations.add(field="…", description=f"and {len(violations) - index} more")
            break
        request.field_violations.add(
            field=violation.field, description=violation.description, reason=violation.reason
        )
    return request


@dataclass(frozen=True, slots=True)
class RemoteError:
    """What a failed call says: the caller's view of a status."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    """Name in `ErrorReason` without prefix; empty when the status has no ErrorInfo of ours."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: tuple[errors.FieldViolation, ...] = ()
    retry_after_s: float | None = None


def remote_error(error: grpc.RpcError) -> RemoteError:
    """Reads the error that a stub raised."""
    assert isinstance(error, grpc.aio.AioRpcError | grpc.Call), "only errors of calls have a status"
    status = status_pb2.Status()
    for key, value in error.trailing_metadata() or ():
        if key == STATUS_KEY and isinstance(value, bytes):
            status.ParseFromString(value)
    info, bad_request, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
    )
    for detail in status.details:
        for known in (info, bad_request, retry):
            detail.Unpack(known)
    return RemoteError(
        code=error.code(),
        message=error.details() or "",
        reason=info.reason if info.domain == ERROR_DOMAIN else "",
        metadata=dict(info.metadata),
        violations=tuple(
            errors.FieldViolation(violation.field, violation.description, violation.reason)
            for violation in bad_request.field_violations
        ),
        retry_after_s=retry.retry_delay.ToTimedelta().total_seconds()
        if retry.HasField("retry_delay")
        else None,
    )


def _code_of(error: grpc.RpcError) -> grpc.StatusCode | None:
    return error.code() if isinstance(error, grpc.aio.AioRpcError) else None
