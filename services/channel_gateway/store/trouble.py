"""What channels say of accounts and templates while sending."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from libs.common.clock import Clock
from libs.common.db.pool import Pool, transaction
from services.channel_gateway.domain.facts import GoneKind, gone
from services.channel_gateway.domain.model import Account, AccountState, TemplateState
from services.channel_gateway.store.book import QUERIES
from services.channel_gateway.store.facts import Written, write_facts

GONE_AT_CHANNEL: Final = "GONE_AT_CHANNEL"


class TroubleStore:
    """Records what channels say of accounts and templates while sending."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        """`pool` of the service's own role."""
        self._pool = pool
        self._clock = clock

    async def account_unusable(self, account: Account, reason: str) -> Written:
        """An active account becomes unusable until somebody renews it."""
        async with transaction(self._pool, [account.team_id]) as connection:
            await connection.execute(
                *QUERIES.bind(
                    "set_account_state",
                    team_id=account.team_id,
                    account_id=account.account_id,
                    state=AccountState.UNUSABLE,
                    reason=reason[:500],
                    now=self._clock.now(),
                    usable_state=AccountState.ACTIVE,
                ),
            )
        return Written([], {})

    async def template_gone(self, team_id: UUID, template_id: UUID) -> Written:
        """A template is disabled, and a fact says so, once."""
        now = self._clock.now()
        async with transaction(self._pool, [team_id]) as connection:
            changed = await connection.fetchval(
                *QUERIES.bind(
                    "set_template_state",
                    team_id=team_id,
                    template_id=template_id,
                    state=TemplateState.DISABLED,
                    now=now,
                )
            )
            facts = [gone(team_id, GoneKind.TEMPLATE, template_id, GONE_AT_CHANNEL, now)] if changed else []
            return await write_facts(connection, facts)
