"""Webhooks that go out: who is told of what, where they may go, when they are tried again, and how they are signed."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

EVENT_TYPES: Final = (
    "contact.attribute_changed",
    "contact.tag_changed",
    "contact.created",
    "contact.bound",
    "contact.unbound",
    "contact.merged",
)
PING: Final = "ping"
URL_LENGTH_MAX: Final = 2_000
SUBSCRIPTIONS_MAX: Final = 50
"""Of a team."""
OVERLAP: Final = timedelta(hours=24)
"""How long webhooks are signed with the key before, too."""
WAITS_S: Final = (5.0, 60.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 28_800.0, 36_000.0)
"""After each attempt that failed; the ninth is the last, 25 hours after the first."""
JITTER: Final = 0.2
WAIT_WISHED_MAX_S: Final = 3_600.0
"""Longest wait that an answer's `Retry-After` gets."""
ACTIVE_HOURS: Final = 30
"""A webhook that was not taken by then is given up, however often it was tried."""
PAUSED_HOURS: Final = 7 * 24
FAILURES_MAX: Final = 5
"""Failures in a row after which an address is not called for a while."""
CLOSED_FIRST_S: Final = 30.0
CLOSED_MOST_S: Final = 1_800.0
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class SubscriptionState(IntEnum):
    """Numbers of the contract."""

    ACTIVE = 1
    PAUSED = 2
    GONE = 3


class SigningKey(msgspec.Struct, frozen=True):
    """A key of a subscription; `until` None: the present one."""

    secret: bytes
    until: datetime | None = None


class Subscription(msgspec.Struct, frozen=True):
    """Who is told."""

    team_id: UUID
    subscription_id: UUID
    url: str
    event_types: tuple[str, ...]
    state: SubscriptionState
    keys: tuple[SigningKey, ...]
    """The present one first."""
    created_at: datetime
    updated_at: datetime
    version: int

    def secrets(self, now: datetime) -> list[bytes]:
        """The keys to sign with."""
        return [key.secret for key in self.keys if key.until is None or key.until > now]

    def with_key(self, secret: bytes, now: datetime) -> Subscription:
        """The same with a new key; the one before goes on for a day, older ones end."""
        kept = (SigningKey(self.keys[0].secret, now + OVERLAP),) if self.keys else ()
        return msgspec.structs.replace(self, keys=(SigningKey(secret), *kept))


class ContactEvent(NamedTuple):
    """What happened to a contact, as it is sent."""

    team_id: UUID
    event_id: UUID
    event_type: str
    occurred_at: datetime
    body: bytes


class Due(NamedTuple):
    """A webhook to be sent."""

    webhook_id: UUID
    event_type: str
    body: bytes
    attempts: int
    """Made before."""


class Called(NamedTuple):
    """What a call came to."""

    status: int
    """Of HTTP; 0 without an answer."""
    error: str
    """For people; empty where it was taken."""
    duration_ms: int
    wait_s: float = 0.0
    """As the answer wishes."""
    refused: bool = False
    """The address may not be called; nothing was."""

    @property
    def is_taken(self) -> bool:
        """Whether the receiver has it."""
        return 200 <= self.status < 300


class DeadLetter(NamedTuple):
    """A webhook that was given up."""

    webhook_id: UUID
    subscription_id: UUID
    event_type: str
    body: bytes
    attempts: int
    last_error: str
    occurred_at: datetime
    dead_at: datetime


class WebhookAttempt(NamedTuple):
    """A call of an address."""

    attempt_id: UUID
    webhook_id: UUID
    event_type: str
    attempt: int
    status_code: int
    reason: str
    duration_ms: int
    attempted_at: datetime


def wait_after(attempts: int, wished_s: float, spread: float) -> float | None:
    """Seconds until the next attempt after `attempts` failed; None: it was the last. `spread`, by chance from 0 to 1,
    is how much of the jitter it has."""
    if attempts > len(WAITS_S):
        return None
    own = WAITS_S[attempts - 1] * (1 + JITTER * (2 * spread - 1))
    return max(own, min(wished_s, WAIT_WISHED_MAX_S))


def is_allowed(text: str, private: Sequence[Network]) -> bool:
    """Whether an address of the net may be called: a public one, or one of the networks that the installation names.
    One that hides another in it counts as that."""
    try:
        address = _shown(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return False
    if any(address in network for network in private if network.version == address.version):
        return True
    return address.is_global and not address.is_multicast and not address.is_reserved


def _shown(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    hidden = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if hidden is None and address in _NAT64:
        hidden = ipaddress.IPv4Address(address.packed[-4:])
    return hidden or address


def url_fault(url: str, private: Sequence[Network]) -> str:
    """What is wrong with the address of a subscription; empty if nothing is. Names are looked up when it is called."""
    if not 0 < len(url) <= URL_LENGTH_MAX or not url.isascii() or not url.isprintable() or " " in url:
        return f"must be an address of 1 to {URL_LENGTH_MAX} printable ASCII characters without blanks"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "must be an address"
    if not host or "@" in parts.netloc or parts.fragment or "\\" in url:
        return "must be an address with a host, without a user and without a fragment"
    literal = _literal(host)
    loopback = host == "localhost" or (literal is not None and literal.is_loopback)
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        return "must be an https address, or an http one on loopback"
    if literal is not None and not is_allowed(host, private):
        return "must not be a private address"
    if host == "localhost" and not is_allowed("127.0.0.1", private):
        return "must not be a private address"
    return ""


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
