"""What is left of quotas, balances and accounts, for those who watch the installation."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from libs.common.clock import Clock
from libs.common.db.pool import Pool
from services.channel_gateway import metrics
from services.channel_gateway.domain.content import TemplateState
from services.channel_gateway.domain.model import AccountState, Channel
from services.channel_gateway.store.book import QUERIES

_OF_TEAMS: Final = 0
_ZONES: Final = timedelta(hours=14)
"""How far the clocks of zones are apart from UTC, at most."""


async def measure_rest(pool: Pool, clock: Clock) -> None:
    """Shows the least rest of any account by channel, the teams whose balance is below their alert, the accounts that
    their channels refuse, and the templates that are paused. Raises the driver's errors."""
    month = (clock.now() - _ZONES).date().replace(day=1)
    for row in await pool.fetch(*QUERIES.bind("least_rest", month=month)):
        if row["channel"] == _OF_TEAMS:
            metrics.LOW_BALANCES.set(row["rest"])
        elif row["rest"] is not None:
            metrics.QUOTA_LEFT.labels(Channel(row["channel"]).name).set(row["rest"])
    query = QUERIES.bind("unusable_accounts", unusable=AccountState.UNUSABLE)
    refused = {row["channel"]: row["accounts"] for row in await pool.fetch(*query)}
    for channel in Channel:
        metrics.UNUSABLE_ACCOUNTS.labels(channel.name).set(refused.get(channel, 0))
    paused = await pool.fetchval(*QUERIES.bind("paused_templates", paused=TemplateState.PAUSED))
    metrics.PAUSED_TEMPLATES.set(paused)
