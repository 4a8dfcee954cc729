"""Configuration of stats."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from libs.common.config import ServiceSettings, peer_target


class Settings(ServiceSettings):
    """Read from `OMNIJOURNEY_*`; see `ServiceSettings` for what all services have."""

    service: ClassVar[str] = "stats"

    click_retention_days: int = Field(default=730, ge=1, le=36_500)
    """Days of domain time for which clicks are kept to count orders by; never less than 90, the longest window of a
    team. Those that an order is counted by stay, and so do figures."""
    hourly_figures_retention_days: int | None = Field(default=None, ge=400, le=36_500)
    """Days of domain time for which figures are kept by quarter of an hour; earlier ones are kept by day of the team's
    zone, for ever. Not set: quarters of an hour, too. A team may say otherwise (`UpdateRetention`)."""
    journey_target: str = peer_target("journey")
    """Where journey listens, `host:port`."""
    points_target: str = peer_target("points")
    """Where points listens, `host:port`."""
    channel_gateway_target: str = peer_target("channel_gateway")
    """Where the gateway listens, `host:port`."""
    segment_target: str = peer_target("segment")
    """Where segment listens, `host:port`."""
    opens_poll_seconds: float = Field(default=300.0, gt=0, le=3_600)
    """How often it is looked which nodes' opens have not been asked for lately, real seconds. LINE is asked about each
    once an hour of domain time."""
