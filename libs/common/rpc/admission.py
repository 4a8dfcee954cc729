"""Who may make a call, decided from its metadata before a byte of its message is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, MethodDescriptor

from libs.common.callers import Caller, CallerDirectory, scope_of
from libs.common.errors import DomainError, PermissionDenied, Unauthenticated, Unavailable
from omnijourney.common.v1.scope_pb2 import SCOPE_UNSPECIFIED, Scope

OPEN_SERVICES: Final = frozenset(
    {
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
)
"""Served to anybody."""

Metadata = Sequence[tuple[str, str | bytes]]

_TOKEN_MISSING: Final = Unauthenticated.token_invalid()
"""One for all: whether a token is unknown, expired or revoked is not said."""
_DIRECTORY_AWAY: Final = Unavailable.dependency("postgres", retry_after_s=1.0)
_SCHEME: Final = "bearer "
"""Written in any case (RFC 9110)."""


class Admission:
    """Whom one RPC lets in. What refuses is made once: refusing must cost no more than letting in."""

    __slots__ = ("_callers", "_installation_only", "_needs_installation", "_scope", "_scope_missing")

    def __init__(self, rpc: str, callers: CallerDirectory) -> None:
        """`rpc` is `package.Service/Method`. One of another contract than ours needs a caller, and no scope."""
        method = method_of(rpc)
        self._callers = callers
        self._scope = scope_of(rpc) if method else None
        self._scope_missing = PermissionDenied.scope_missing(
            Scope.Name(self._scope or SCOPE_UNSPECIFIED)[len("SCOPE_") :]
        )
        self._installation_only = method is not None and not names_team(method.input_type)
        self._needs_installation = PermissionDenied.installation_only()

    def admit(self, metadata: Metadata) -> Caller | DomainError:
        """The caller, or why it is not let in."""
        try:
            caller = self._callers.find(_token(metadata))
        except Unavailable:
            return _DIRECTORY_AWAY
        if caller is None:
            return _TOKEN_MISSING
        if self._scope is not None and self._scope not in caller.scopes:
            return self._scope_missing
        if self._installation_only and caller.team_id is not None:
            return self._needs_installation
        return caller


def method_of(rpc: str) -> MethodDescriptor | None:
    """The method of an RPC of ours (`package.Service/Method`); None for any other."""
    service, _, name = rpc.rpartition("/")
    if not service.startswith("omnijourney."):
        return None
    try:
        found: MethodDescriptor = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    except KeyError:
        return None
    return found


def names_team(request: Descriptor) -> bool:
    """Whether a request, or each of its items, says which team it is about. What does not is about the installation."""
    items = [field.message_type for field in request.fields if field.is_repeated and field.message_type]
    return any("team_id" in form.fields_by_name for form in (request, *items))


def _token(metadata: Metadata) -> bytes:
    """What is shown, once; nothing where two are: which of them would count is for nobody to guess."""
    shown = [value for key, value in metadata if key == "authorization"]
    if len(shown) != 1 or not isinstance(shown[0], str) or shown[0][: len(_SCHEME)].lower() != _SCHEME:
        return b""
    return shown[0][len(_SCHEME) :].encode()
