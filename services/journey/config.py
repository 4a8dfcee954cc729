"""Configuration of the journey service."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from libs.common.config import MailSourceSettings, peer_target


class Settings(MailSourceSettings):
    """Read from `OMNIJOURNEY_*`; see its bases for what all services have."""

    service: ClassVar[str] = "journey"

    segment_target: str = peer_target("segment")
    """Where segment listens, `host:port`."""
    points_target: str = peer_target("points")
    """Where points listens, `host:port`."""
    channel_gateway_target: str = peer_target("channel_gateway")
    """Where the gateway listens, `host:port`."""
    lease_seconds: float = Field(default=5.0, ge=0.5, le=300)
    """How long a partition stays with a worker that does not renew its lease, real seconds."""
    orphan_check_seconds: float = Field(default=5.0, ge=0.05, le=3_600)
    """How often a page of sends in flight is looked at for orphans, real seconds."""
    orphan_age_seconds: float = Field(default=60.0, ge=0, le=86_400)
    """How long a send must be in flight before it is looked at, real seconds."""
    content_retention_days: int = Field(default=90, ge=1, le=36_500)
    """How long the data of triggers are kept, which messages show, days of domain time; with an enrolment while it is
    live. A team may say otherwise (`UpdateRetention`)."""

    @property
    def content_retention(self) -> timedelta:
        """See `content_retention_days`."""
        return timedelta(days=self.content_retention_days)
