"""What the LINE emulator knows: channels, people, retry keys and the month's consumption."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from libs.emulators.base import parse_time
from libs.emulators.journal import Record
from libs.emulators.line_insight import ZONE, LineInsight

RETRY_KEY_LIFE = timedelta(hours=24)
"""How long a retry key is known."""
REPLY_TOKEN_LIFE = timedelta(minutes=1)
"""How long a reply token may be used."""


@dataclass(frozen=True, slots=True)
class LineChannel:
    """One official account. `quota` messages a month; none is no limit."""

    channel_id: str
    token: str
    quota: int | None = None


@dataclass(frozen=True, slots=True)
class AcceptedKey:
    """What is kept of a request that carried a retry key."""

    at: datetime
    request_id: str
    sent: tuple[str, ...]
    endpoint: str
    digest: str


@dataclass(slots=True)
class LineState:
    """All memory of the LINE emulator; rebuilt from its journals."""

    first: LineChannel
    channels: dict[str, LineChannel] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)
    keys: dict[tuple[str, str], AcceptedKey] = field(default_factory=dict)
    consumption: Counter[tuple[str, str]] = field(default_factory=Counter)
    reply_tokens: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    insight: LineInsight = field(default_factory=LineInsight)
    reused_keys: int = 0
    """Requests that came under a known key with another body: a fault of the sender, counted for checkers."""

    def __post_init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Back to a first start: one channel, everybody a friend."""
        self.channels = {self.first.channel_id: self.first}
        self.people.clear()
        self.keys.clear()
        self.consumption.clear()
        self.reply_tokens.clear()
        self.insight.clear()
        self.reused_keys = 0

    def channel_of(self, token: str) -> LineChannel | None:
        """The channel that a bearer token belongs to."""
        return next((c for c in self.channels.values() if c.token == token), None)

    def apply(self, command: Mapping[str, Any]) -> None:
        """Applies one command of the admin endpoints; raises ValueError or KeyError when it is malformed."""
        if command["command"] == "account":
            quota = command.get("quota")
            if quota is not None and (not isinstance(quota, int) or quota < 0):
                raise ValueError("quota is a number of messages or null")
            channel = LineChannel(str(command["channel_id"]), str(command["token"]), quota)
            self.channels[channel.channel_id] = channel
        elif command["command"] == "person":
            if command["state"] not in ("friend", "blocked", "unknown"):
                raise ValueError("state is friend, blocked or unknown")
            self.people[str(command["user_id"])] = command["state"]
        elif command["command"] == "seen":
            self.insight.see(command)
        else:
            raise ValueError(f"unknown command {command['command']}")

    def remember(self, record: Record) -> None:
        """Takes one record of the log: consumption and retry key."""
        at = parse_time(record["accepted_at"])
        self.insight.remember(record, at)
        if record["billed"]:
            self.consumption[(record["account"], month_of(at))] += 1
        key = record["retry_key"]
        if key is not None:
            sent = tuple(record["object_ids"]) if record["endpoint"] == "push" else ()
            self.keys[(record["account"], key)] = AcceptedKey(
                at, record["request_id"], sent, record["endpoint"], record["digest"]
            )

    def known_key(self, channel_id: str, key: str, now: datetime) -> AcceptedKey | None:
        """The request accepted under `key` within its life."""
        known = self.keys.get((channel_id, key))
        if known is not None and now - known.at >= RETRY_KEY_LIFE:
            del self.keys[(channel_id, key)]
            return None
        return known

    def used(self, channel_id: str, now: datetime) -> int:
        """Messages counted against the quota of the present month."""
        return self.consumption[(channel_id, month_of(now))]


def month_of(at: datetime) -> str:
    """Calendar month of the quota, `YYYY-MM`."""
    return at.astimezone(ZONE).strftime("%Y-%m")


def digest_of(body: Any) -> str:
    """Fingerprint of a body, independent of key order."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:32]
