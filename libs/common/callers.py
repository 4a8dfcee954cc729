"""Who calls: proved before a call's first byte is read, and known to whatever runs for the call.

A caller is a client with a token (`omnijourney.segment.v1.ApiClient`) or one of our own services. The guard of a server
(`libs.common.rpc.guard`) finds it in a `CallerDirectory` and sets it for the call's task; what runs without one, as
workers do, is the process itself, which may do everything.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from google.protobuf import descriptor_pool

from libs.common.errors import NotFound
from omnijourney.common.v1 import options_pb2
from omnijourney.common.v1.scope_pb2 import (
    SCOPE_ADMIN,
    SCOPE_INTERNAL,
    SCOPE_OPERATE,
    SCOPE_READ,
    SCOPE_WRITE,
    Scope,
)

_INCLUDED: Final[dict[int, frozenset[int]]] = {
    SCOPE_WRITE: frozenset({SCOPE_READ}),
    SCOPE_ADMIN: frozenset({SCOPE_READ, SCOPE_WRITE}),
}
ALL_BUT_INTERNAL: Final = frozenset({SCOPE_READ, SCOPE_WRITE, SCOPE_ADMIN, SCOPE_OPERATE})
"""What the installation's first token allows."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A client as its token was found. `scopes` holds what others include, too: make it by `of`."""

    client_id: UUID
    name: str
    """As people know it; written into revisions, entries and the audit log."""
    team_id: UUID | None
    """The team whose data it sees; None for a client of the installation."""
    scopes: frozenset[int]

    @classmethod
    def of(cls, client_id: UUID, name: str, team_id: UUID | None, scopes: Iterable[int]) -> Caller:
        """With what its scopes include: ADMIN includes WRITE, and WRITE includes READ."""
        given = frozenset(scopes)
        return cls(client_id, name, team_id, given.union(*(_INCLUDED.get(scope, ()) for scope in given)))

    @property
    def is_internal(self) -> bool:
        """Whether it is one of our own services: what it asks for was checked where it came in."""
        return SCOPE_INTERNAL in self.scopes

    def sees(self, team_id: UUID) -> bool:
        """Whether a team's data are its own."""
        return self.team_id is None or self.team_id == team_id

    def require(self, team_ids: Iterable[UUID]) -> None:
        """Raises NotFound for a team whose data are not its own, as for one that is not there."""
        if self.team_id is not None:
            for team_id in team_ids:
                if team_id != self.team_id:
                    raise NotFound.of("team", team_id)


ITSELF: Final = Caller(
    UUID(int=0),
    "system",
    None,
    frozenset({SCOPE_READ, SCOPE_WRITE, SCOPE_ADMIN, SCOPE_OPERATE, SCOPE_INTERNAL}),
)
"""The process, where no call is being answered."""

INSTALLATION: Final = Caller(UUID(int=1), "installation", None, ALL_BUT_INTERNAL | {SCOPE_INTERNAL})
"""Who shows the one token of services that were started without tokens of their own: they show it to each other."""

_CALLER: ContextVar[Caller] = ContextVar("caller", default=ITSELF)


class CallerDirectory(Protocol):
    """Knows tokens."""

    def find(self, token: bytes) -> Caller | None:
        """The caller whose token it is; None for one that is unknown, expired or revoked. Answers at once.

        Raises Unavailable when it cannot tell: its knowledge is too old to say that a token was not revoked.
        """
        ...


class StaticDirectory:
    """A fixed set of tokens."""

    def __init__(self, callers: Mapping[str, Caller]) -> None:
        """The callers by their tokens. Raises ValueError for an empty token."""
        if "" in callers:
            raise ValueError("a caller needs a token")
        # Found by digest: how long a look-up takes says nothing about a token.
        self._callers = {token_digest(token.encode()): found for token, found in callers.items()}

    @classmethod
    def installation(cls, token: str) -> StaticDirectory:
        """The installation's first token alone. Services show it to each other too, so it allows everything."""
        return cls({token: INSTALLATION})

    def find(self, token: bytes) -> Caller | None:
        """See `CallerDirectory`."""
        return self._callers.get(token_digest(token))


class EitherDirectory:
    """Two directories as one."""

    def __init__(self, first: CallerDirectory, second: CallerDirectory) -> None:
        """`first` is asked first."""
        self._first = first
        self._second = second

    def find(self, token: bytes) -> Caller | None:
        """See `CallerDirectory`."""
        return self._first.find(token) or self._second.find(token)


def caller() -> Caller:
    """The caller of the call that is being answered; the process itself elsewhere."""
    return _CALLER.get()


def set_caller(found: Caller) -> None:
    """Sets the caller for the rest of the running task, and for what it starts."""
    _CALLER.set(found)


@contextlib.contextmanager
def calling(found: Caller) -> Iterator[None]:
    """Sets the caller for a block."""
    token = _CALLER.set(found)
    try:
        yield
    finally:
        _CALLER.reset(token)


def token_digest(token: bytes) -> bytes:
    """What is kept of a token: its SHA-256. Tokens are 256 random bits, so nothing slower is needed."""
    return hashlib.sha256(token).digest()


def scope_of(rpc: str) -> Scope.ValueType:
    """The scope that an RPC (`package.Service/Method`) of an imported contract declares. Raises KeyError."""
    service, _, name = rpc.rpartition("/")
    method = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    declared: Scope.ValueType = method.GetOptions().Extensions[options_pb2.scope]
    return declared
