"""Configuration of points: nothing beyond what all services have."""

from __future__ import annotations

from typing import ClassVar

from libs.common.config import ServiceSettings


class Settings(ServiceSettings):
    """Read from `OMNIJOURNEY_*`; see `ServiceSettings` for each variable."""

    service: ClassVar[str] = "points"
