"""What segment is configured by; the only reader of the environment."""

from __future__ import annotations

from typing import ClassVar

from libs.common.config import MailSourceSettings, peer_target


class Settings(MailSourceSettings):
    """See the base class for what all services share."""

    service: ClassVar[str] = "segment"

    channel_gateway_target: str = peer_target("channel_gateway")
    """`host:port` of the gateway, whose history says when the team last marketed."""
    points_target: str = peer_target("points")
    """`host:port` of the points service, asked when an audience names points."""
