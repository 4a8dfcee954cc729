"""Configuration of points."""

from __future__ import annotations

from typing import ClassVar

from libs.common.config import ServiceSettings, peer_target


class Settings(ServiceSettings):
    """Read from `OMNIJOURNEY_*`; see `ServiceSettings` for what all services have."""

    service: ClassVar[str] = "points"

    segment_target: str = peer_target("segment")
    journey_target: str = peer_target("journey")
    """Asked who uses a coupon that is about to be archived."""
    """Where segment listens, `host:port`: names of customers, zones of teams, whom the rows of an import name."""
