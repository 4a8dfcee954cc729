"""Errors that a caller gets.

Domain and stores raise these; `libs.common.rpc.errors` alone knows which gRPC status each becomes. The class says what
kind of refusal it is, the reason (a name of `common.v1.ErrorReason` without its prefix) says which one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

RETRY_SOON_S: Final = 0.2
"""When a call may succeed that met something which passes at once, in real seconds."""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One fault of one field."""

    field: str
    """Path of the field in the request, for example `nodes[3].delay`."""
    description: str
    """What is wrong with it, for people."""
    reason: str = ""
    """Name in `ErrorReason` where the fault is not the field's own form; empty: `INVALID_FIELDS`."""


class DomainError(Exception):
    """A refusal with a reason. Raise one of the subclasses: they carry the kind."""

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
        retry_after_s: float | None = None,
    ) -> None:
        """`reason` as in `ErrorReason`, `metadata` the keys that the reason documents, `retry_after_s` real seconds."""
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata: dict[str, str] = dict(metadata or {})
        self.violations: tuple[FieldViolation, ...] = tuple(violations)
        self.retry_after_s = retry_after_s


class InvalidArgument(DomainError):
    """The request is wrong by itself, whatever the state."""

    @classmethod
    def of(cls, *violations: FieldViolation) -> "InvalidArgument":
        """All faulty fields at once."""
        fields = ", ".join(violation.field for violation in violations[:5])
        more = " …" if len(violations) > 5 else ""
        return cls("INVALID_FIELDS", f"faulty fields: {fields}{more}", violations=violations)


class NotImplementedYet(DomainError):
    """The contract has it and this release has not."""

    @classmethod
    def fields(cls, *paths: str) -> "NotImplementedYet":
        """Fields of the request that were set and that nothing would act on."""
        violations = [FieldViolation(path, "is not implemented yet: leave it unset") for path in paths]
        return cls("NOT_IMPLEMENTED", f"not implemented yet: {', '.join(paths[:5])}", violations=violations)


class NotFound(DomainError):
    """The thing named does not exist, or not in this team."""

    @classmethod
    def of(cls, resource: str, resource_id: UUID | str) -> "NotFound":
        """`resource` in lower case, as the contract names it: "journey"."""
        metadata = {"resource": resource, "id": str(resource_id)}
        return cls("RESOURCE_NOT_FOUND", f"there is no {resource} {resource_id}", metadata=metadata)


class AlreadyExists(DomainError):
    """The thing to be made is there already, or its key is taken by something else."""

    @classmethod
    def value_taken(cls, field: str) -> "AlreadyExists":
        """A value that must be unique in the team is taken."""
        return cls("DUPLICATE_VALUE", f"the value of {field} is taken", metadata={"field": field})

    @classmethod
    def request_id_reused(cls, request_id: str) -> "AlreadyExists":
        """A request id came again with other content."""
        metadata = {"request_id": request_id}
        return cls("REQUEST_ID_REUSED", "the request id was used with other content", metadata=metadata)


class FailedPrecondition(DomainError):
    """The state does not allow it, and asking again will not help."""

    @classmethod
    def module_missing(cls, module: str) -> "FailedPrecondition":
        """The team lacks a module, for example "POINTS"."""
        return cls("MODULE_MISSING", f"the team lacks the module {module}", metadata={"module": module})


class Aborted(DomainError):
    """Somebody else was faster; read again and repeat."""

    @classmethod
    def etag_mismatch(cls, present_etag: str) -> "Aborted":
        """The etag given is not the present one."""
        metadata = {"etag": present_etag}
        return cls("ETAG_MISMATCH", "changed in between: read again and repeat", metadata=metadata)

    @classmethod
    def write_conflict(cls, message: str = "collided with another write: ask again") -> "Aborted":
        """Another write got in between, and nothing of this one happened; the same again may succeed at once."""
        return cls("WRITE_CONFLICT", message, retry_after_s=RETRY_SOON_S)


class ResourceExhausted(DomainError):
    """A limit is reached."""

    @classmethod
    def overloaded(cls, limit: str, retry_after_s: float) -> "ResourceExhausted":
        """More work waits than `limit` (its name) allows; `retry_after_s` real seconds."""
        message = f"more work is waiting than {limit} allows"
        return cls("OVERLOADED", message, metadata={"limit": limit}, retry_after_s=retry_after_s)

    @classmethod
    def message_too_large(cls, what: str, size: int, limit: int) -> "ResourceExhausted":
        """A request, or what it takes when parsed, of `size` bytes where `what` takes `limit` at most."""
        metadata = {"limit_bytes": str(limit), "bytes": str(size)}
        message = f"{what} takes {limit} bytes at most, and this request {size}: send less at once"
        return cls("MESSAGE_TOO_LARGE", message, metadata=metadata)

    @classmethod
    def rate_limited(cls, per_second: float) -> "ResourceExhausted":
        """The client makes more than `per_second` calls a second."""
        message = f"the client makes more than {per_second:g} calls a second"
        metadata = {"limit_per_second": f"{per_second:g}"}
        return cls("RATE_LIMITED", message, metadata=metadata, retry_after_s=RETRY_SOON_S)


class NoConnection(ResourceExhausted):
    """No connection to the database was to be had in time, by whoever asked: those that there are were in use, or none
    could be opened. Nothing was done."""


class Unavailable(DomainError):
    """Something needed does not answer at the moment; the same call may succeed later."""

    @classmethod
    def dependency(cls, name: str, retry_after_s: float | None = None) -> "Unavailable":
        """`name` of the service or server that does not answer."""
        message = f"{name} does not answer"
        metadata = {"dependency": name}
        return cls("DEPENDENCY_UNAVAILABLE", message, metadata=metadata, retry_after_s=retry_after_s)


class Unauthenticated(DomainError):
    """The caller did not prove who it is."""

    @classmethod
    def token_invalid(cls) -> "Unauthenticated":
        """No token, or a wrong one; which of the two is not said."""
        return cls("TOKEN_INVALID", "a valid bearer token is required")


class PermissionDenied(DomainError):
    """The caller is known and may not do this, whatever exists."""

    @classmethod
    def scope_missing(cls, scope: str) -> "PermissionDenied":
        """The caller's token lacks a scope, for example "WRITE"."""
        message = f"the caller's token lacks the scope {scope}"
        return cls("SCOPE_MISSING", message, metadata={"scope": scope})

    @classmethod
    def installation_only(cls) -> "PermissionDenied":
        """The call concerns the whole installation, and the caller is a client of one team."""
        return cls(
            "INSTALLATION_ONLY", "this needs a client of the installation, and the caller is one of a team"
        )
