"""What customers want, as the gateway keeps it. Numbers are those of the contract."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

SOURCE_API: Final = 1
ACTOR_MAX: Final = 200
"""Characters of the name of who records a change."""


class Consenting(NamedTuple):
    """A customer, and by channel and id who they are there."""

    team_id: UUID
    customer_id: UUID
    persons: tuple[tuple[int, str], ...]


class NewConsent(NamedTuple):
    """What a team's people record; channel 0: all."""

    channel: int
    state: int
    source: int
    note: str
    actor: str


class Consent(NamedTuple):
    """What holds on a channel; channel 0: what was said of all."""

    channel: int
    state: int
    source: int
    at: datetime


class ConsentChange(NamedTuple):
    """One change."""

    consent: Consent
    before_state: int
    note: str
    actor: str


class ChangePlace(NamedTuple):
    """Where a change stands among all of them."""

    at: datetime
    change_id: UUID
