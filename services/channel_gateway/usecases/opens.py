"""How many people opened messages, asked of the channels that tell sums."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from services.channel_gateway.clients.channels.base import Adapter
from services.channel_gateway.clients.channels.line import LineAdapter
from services.channel_gateway.domain.model import Account, AccountState, Channel, ConnectionKind
from services.channel_gateway.domain.opens import Opens, OpensQuestion, OpensState, together
from services.channel_gateway.store.accounts import AccountStore

AT_ONCE_MAX: Final = 4
"""Calls of one request that are on the wire together."""
ACCOUNTS_MAX: Final = 20
"""Accounts of a team that are asked, the oldest."""


class OpensReader:
    """Asks LINE."""

    def __init__(self, accounts: AccountStore, adapters: Mapping[ConnectionKind, Adapter]) -> None:
        """`accounts` of all teams."""
        self._accounts = accounts
        self._adapters = adapters

    async def read(self, team_id: UUID, questions: Sequence[OpensQuestion]) -> list[Opens]:
        """The answer to each question, over all accounts of the team on LINE."""
        accounts = await self._accounts.list_accounts(team_id, Channel.LINE, None, ACCOUNTS_MAX)
        room = asyncio.Semaphore(AT_ONCE_MAX)

        async def ask(account: Account, question: OpensQuestion) -> Opens:
            adapter = self._adapters.get(account.connection.kind)
            if not isinstance(adapter, LineAdapter) or account.state is AccountState.UNUSABLE:
                return Opens(OpensState.REFUSED)
            async with room:
                return await adapter.opens(account, question)

        return [
            together(await asyncio.gather(*(ask(account, question) for account in accounts)))
            for question in questions
        ]
