"""What segment is configured by; the only reader of the environment."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from libs.common.config import MailSourceSettings, peer_target


class Settings(MailSourceSettings):
    """See the base class for what all services share."""

    service: ClassVar[str] = "segment"

    audit_retention_days: int = Field(default=730, ge=30, le=36_500)
    """Days of real time for which entries of the audit log of all services are kept: two years. A team may say
    otherwise (`UpdateRetention`)."""
    message_text_retention_days: int = Field(default=30, ge=1, le=36_500)
    """Days for which the history keeps what customers write on channels, which journeys may wait for. After them
    it says that they wrote, and no more what. A team may keep them for less (`UpdateRetention`)."""
    channel_gateway_target: str = peer_target("channel_gateway")
    """`host:port` of the gateway, whose history says when the team last marketed."""
    journey_target: str = peer_target("journey")
    """`host:port` of the journey service, asked which journeys name what is to be deleted, where enrolments of a person
    who is erased end, and where those of customers who are merged go on."""
    points_target: str = peer_target("points")
    """`host:port` of the points service, asked when an audience names points, and when customers are merged."""
    stats_target: str = peer_target("stats")
    """`host:port` of stats, which forgets the clicks of a person who is erased."""

    @property
    def audit_retention(self) -> timedelta:
        """See `audit_retention_days`."""
        return timedelta(days=self.audit_retention_days)

    @property
    def text_retention(self) -> timedelta:
        """See `message_text_retention_days`."""
        return timedelta(days=self.message_text_retention_days)
