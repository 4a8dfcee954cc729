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

AT_ONCE_MAX: Final = 20
"""Calls of one request that are on the wire together. LINE counts them by the hour and account: who asks keeps to that
(`TEAM_CALLS_MAX` of stats), however many accounts there are."""
ACCOUNTS_MAX: Final = 20
"""Accounts of a team that are asked. Of a team with more nothing is told: a sum of some of them would look like that of
all."""
READ_S: Final = 45.0
"""How long one request asks; who asks waits a little longer. What has not answered by then is away."""


class OpensReader:
    """Asks LINE."""

    def __init__(self, accounts: AccountStore, adapters: Mapping[ConnectionKind, Adapter]) -> None:
        """`accounts` of all teams."""
        self._accounts = accounts
        self._adapters = adapters

    async def read(self, team_id: UUID, questions: Sequence[OpensQuestion]) -> list[Opens]:
        """The answer to each question, over all accounts of the team on LINE: all are asked side by side."""
        accounts = await self._accounts.list_accounts(team_id, Channel.LINE, None, ACCOUNTS_MAX + 1)
        if len(accounts) > ACCOUNTS_MAX:
            return [Opens(OpensState.REFUSED)] * len(questions)
        room, until_s = asyncio.Semaphore(AT_ONCE_MAX), asyncio.get_running_loop().time() + READ_S

        async def ask(account: Account, question: OpensQuestion) -> Opens:
            adapter = self._adapters.get(account.connection.kind)
            if not isinstance(adapter, LineAdapter) or account.state is AccountState.UNUSABLE:
                return Opens(OpensState.REFUSED)
            try:
                async with asyncio.timeout_at(until_s), room:
                    return await adapter.opens(account, question)
            except TimeoutError:
                return Opens(OpensState.AWAY)

        async def answer(question: OpensQuestion) -> Opens:
            return together(await asyncio.gather(*(ask(account, question) for account in accounts)))

        return await asyncio.gather(*map(answer, questions))
