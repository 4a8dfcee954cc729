"""Attribution windows of teams that have said nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from uuid import UUID


async def weekly(team_ids: Collection[UUID]) -> Mapping[UUID, timedelta]:
    """A week for each team."""
    return dict.fromkeys(team_ids, timedelta(days=7))
