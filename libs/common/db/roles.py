"""What each service proves itself with: its role's password and its token, both derived from the owner's password.

All who hold the owner's address agree on them without storing anything; nobody else can derive them. Their number grows
with each rotation.
"""

import base64
import hashlib
import hmac
import re
from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from libs.common.config import DEFAULT_PORTS
from libs.common.db.sql_files import MigrationError

PLATFORM: Final = "platform"
FIRST_GENERATION: Final = 1
"""Of a service's credentials; every rotation makes the next."""
_SERVICE: Final = re.compile(r"[a-z][a-z_]{0,30}")
_ROLE_PREFIX: Final = "omnijourney_"
_SCRAM_ITERATIONS: Final = 4096


class OwnCredentials(NamedTuple):
    """What one service holds."""

    dsn: str
    """Address of its own role."""
    token: str
    """Shown to the other services."""


def role_of(service: str) -> str:
    """The login role of a service."""
    if not _SERVICE.fullmatch(service) or service == PLATFORM:
        raise MigrationError(f"{service!r} is no name of a service")
    return _ROLE_PREFIX + service


def is_own(dsn: str, service: str) -> bool:
    """Whether an address is that of the service's own role, and not the owner's. Raises MigrationError for that of
    another service's role."""
    user = unquote(urlsplit(dsn).username or "")
    if user != role_of(service) and user.removeprefix(_ROLE_PREFIX) in DEFAULT_PORTS:
        raise MigrationError(f"the database's address is of {user}: {service} logs in as {role_of(service)}")
    return user == role_of(service)


def service_dsn(admin_dsn: str, service: str) -> str:
    """The address under which a service logs in as its own role, as long as its password was not rotated.

    Raises MigrationError when `admin_dsn` is no address `postgresql://user:password@host…/database`.
    """
    return credentials_of(admin_dsn, service).dsn


def credentials_of(admin_dsn: str, service: str, generation: int = FIRST_GENERATION) -> OwnCredentials:
    """A service's credentials of a generation. Raises what `service_dsn` raises."""
    parts = urlsplit(admin_dsn)
    host = parts.netloc.rpartition("@")[2]
    user = f"{quote(role_of(service))}:{_derived(admin_dsn, service, generation)}"
    dsn = urlunsplit(parts._replace(netloc=f"{user}@{host}"))
    return OwnCredentials(dsn, token_of(admin_dsn, service, generation))


def token_of(admin_dsn: str, holder: str, generation: int = FIRST_GENERATION) -> str:
    """The token of a service, or of the tools. Raises what `service_dsn` raises."""
    return _derived(admin_dsn, f"token:{holder}", generation)


def _derived(admin_dsn: str, purpose: str, generation: int) -> str:
    parts = urlsplit(admin_dsn)
    if parts.scheme not in {"postgres", "postgresql"} or not parts.password:
        raise MigrationError("the database's address must be postgresql://user:password@host/database")
    key = unquote(parts.password).encode()
    later = f":{generation}" if generation > FIRST_GENERATION else ""
    return hmac.new(key, f"omnijourney:{purpose}{later}".encode(), hashlib.sha256).hexdigest()


def scram_verifier(password: str) -> str:
    """What PostgreSQL stores of a password (RFC 5802, as in its `scram_build_secret`).

    The salt is derived, so that every start stores the same; the password is 256 random-looking bits already.
    """
    salt = hashlib.sha256(b"omnijourney salt:" + password.encode()).digest()[:16]
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _SCRAM_ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = base64.b64encode(hashlib.sha256(client_key).digest()).decode()
    server_key = base64.b64encode(hmac.digest(salted, b"Server Key", "sha256")).decode()
    return f"SCRAM-SHA-256${_SCRAM_ITERATIONS}:{base64.b64encode(salt).decode()}${stored_key}:{server_key}"
