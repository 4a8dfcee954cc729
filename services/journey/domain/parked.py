"""Customers that were set aside: what is shown of them, and what dropping their mail comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from libs.common.mailbox.mail import Mail, MailSource
from services.journey.domain.turn import RunSegment


class ParkedRow(NamedTuple):
    """A customer that was set aside."""

    customer_id: UUID
    error: str
    attempts: int
    parked_at: datetime


class ParkedMail(NamedTuple):
    """Mail of a parked customer at its sources, and the sources that did not answer."""

    mails: Sequence[Mail]
    silent: Sequence[MailSource]


@dataclass(frozen=True, slots=True)
class Drop:
    """What is to be dropped: all mail of a source up to a number, whose event the caller has seen."""

    team_id: UUID
    customer_id: UUID
    source: MailSource
    through_number: int
    event_id: UUID
    by: str
    """Who asks, for the log."""


class Dropped(NamedTuple):
    """What was dropped, who was halted by it, and how much is left."""

    mails: Sequence[Mail]
    halted: Sequence[RunSegment]
    remaining: int
