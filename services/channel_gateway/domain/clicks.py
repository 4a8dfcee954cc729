"""Openings of short links, on their way into the table."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from services.channel_gateway.domain.link_tokens import OpenedToken


class Opening(NamedTuple):
    """Somebody asked for a link whose token opens."""

    token: OpenedToken
    agent: str
    """The program that asked; empty for a person."""


class TrackedLink(NamedTuple):
    """A link in the message of a send."""

    team_id: UUID
    effect_key: UUID
    link_id: int
    journey_id: UUID
    node_id: str
    customer_id: UUID
    sent_at: datetime
    clicks: int
    automated_clicks: int
    opened_at: datetime | None
    """First opened, by whomever; None: never."""
    last_click_at: datetime | None
    url: str


class LinkClick(NamedTuple):
    """One opening, as it is listed."""

    click_id: UUID
    clicked_at: datetime
    agent: str
