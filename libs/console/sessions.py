"""Who is signed in: a session that the browser keeps, encrypted, as a cookie. The server keeps nothing of it."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable
from typing import Final

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from omnijourney.common.v1.scope_pb2 import SCOPE_ADMIN, SCOPE_OPERATE, SCOPE_WRITE

LIFETIME_S: Final = 12 * 3600
"""How long a session lasts: a working day. Then the token is asked for again."""
NOTICES_MAX: Final = 5
_COOKIE_BYTES_MAX: Final = 4000


class Notice(msgspec.Struct, frozen=True, array_like=True):
    """A sentence that the next page shows."""

    kind: str
    """`done` or `fault`."""
    text: str


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """A sign-in that somebody is away for, at the identity provider's page."""

    state: str
    nonce: str
    verifier: str
    began: int
    """Seconds since 1970."""
    back: str
    """The path to show afterwards."""


class Session(msgspec.Struct):
    """A browser's. Before somebody signs in it only has what forms are protected by."""

    csrf: str
    """What every form shows again, so that no other site can send one."""
    token: str = ""
    """Of the API client that was signed in with."""
    person: str = ""
    """Who signed in by the identity provider; empty for who showed a token."""
    client_name: str = ""
    client_team_id: str = ""
    """Empty: a client of the installation, which chooses a team."""
    team_id: str = ""
    """The team whose data is shown; empty until one is chosen."""
    scopes: tuple[int, ...] = ()
    """What the client's token allows, as of the sign-in; the services decide anew at each call."""
    notices: list[Notice] = []
    attempt: Attempt | None = None
    """A sign-in at the identity provider that has begun."""

    @classmethod
    def fresh(cls) -> Session:
        """Nobody's."""
        return cls(csrf=secrets.token_urlsafe(24))

    @property
    def is_signed_in(self) -> bool:
        """Whether there is a token to call with."""
        return bool(self.token)

    @property
    def may_write(self) -> bool:
        """Whether its client may change the team's data."""
        return SCOPE_WRITE in self.scopes

    @property
    def may_administer(self) -> bool:
        """Whether its client may change the team itself."""
        return SCOPE_ADMIN in self.scopes

    @property
    def may_operate(self) -> bool:
        """Whether its client may look after the installation."""
        return SCOPE_OPERATE in self.scopes

    def content(self) -> bytes:
        """All of it, to see whether it has changed."""
        return msgspec.msgpack.encode(self)

    def note(self, kind: str, text: str) -> None:
        """Keeps a sentence for the next page."""
        self.notices = [*self.notices, Notice(kind, text[:500])][-NOTICES_MAX:]

    def take_notices(self) -> list[Notice]:
        """The sentences for this page, which are then gone."""
        taken, self.notices = self.notices, []
        return taken


class Sealer:
    """Makes cookies of sessions, and sessions of cookies."""

    def __init__(self, keys: Iterable[bytes], lifetime_s: int = LIFETIME_S) -> None:
        """The first of the keys, of 32 bytes each, encrypts; all of them decrypt."""
        self._fernet = MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])
        self.lifetime_s: Final = lifetime_s

    def seal(self, session: Session, before: str = "") -> str:
        """The cookie of a session. One that goes on, `before` being its cookie, ends when it would have ended."""
        plain = session.content()
        at = self._began(before)
        sealed = (
            self._fernet.encrypt(plain) if at is None else self._fernet.encrypt_at_time(plain, at)
        ).decode()
        if len(sealed) > _COOKIE_BYTES_MAX:
            session.notices = []
            return self.seal(session, before)
        return sealed

    def open(self, cookie: str) -> Session | None:
        """The session of a cookie; None for one that is too old, changed, or of a key that is not there any more."""
        try:
            plain = self._fernet.decrypt(cookie.encode(), ttl=self.lifetime_s)
            return msgspec.msgpack.decode(plain, type=Session)
        except (InvalidToken, msgspec.MsgspecError, ValueError):
            return None

    def _began(self, cookie: str) -> int | None:
        try:
            return self._fernet.extract_timestamp(cookie.encode()) if cookie else None
        except (InvalidToken, ValueError):
            return None
