"""Channel accounts: each write is one transaction and answered once; the sender takes changes over at once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from uuid import UUID

import msgspec

from libs.common.clients.using_journeys import Uses
from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool
from libs.common.errors import NotFound
from libs.common.feeds.publisher import CommitPublisher
from libs.common.rpc.servicing import check_etag
from services.channel_gateway.domain.model import Account, AccountState
from services.channel_gateway.store import accounts as store
from services.channel_gateway.store.accounts import AccountStore
from services.channel_gateway.store.facts import Written
from services.channel_gateway.usecases.call import Call, Reply, once
from services.channel_gateway.worker.heard_accounts import HeardAccounts
from services.channel_gateway.worker.sender import Sender


class Accounts:
    """Writes accounts. All raise NotFound, and Aborted `ETAG_MISMATCH` where an etag is given."""

    def __init__(
        self,
        *,
        pool: Pool,
        accounts: AccountStore,
        sender: Sender,
        heard: HeardAccounts,
        publisher: CommitPublisher,
        clock: Clock,
    ) -> None:
        """`sender` sends by what accounts are now, `heard` forgets what has changed, `publisher` publishes that content
        is gone."""
        self._pool = pool
        self._vault = accounts.vault
        self._accounts = accounts
        self._sender = sender
        self._heard = heard
        self._publisher = publisher
        self._clock = clock

    async def create(self, call: Call[Account, Reply], account: Account) -> Reply:
        """Stores an account. Raises AlreadyExists `DUPLICATE_VALUE` for an id that another account of the team has."""

        async def create(connection: Connection) -> Account:
            await store.hold_ids(connection, account, None)
            return await store.create_account(connection, self._vault, account)

        reply = await once(self._pool, call, create)
        self._heard.forget(call.team_id)
        return reply

    async def update(
        self, call: Call[Account, Reply], account_id: UUID, etag: str, change: Callable[[Account], Account]
    ) -> Reply:
        """Stores what `change` makes of an account. Raises what it raises, and AlreadyExists `DUPLICATE_VALUE` for an
        id that another account of the team has."""

        async def update(connection: Connection) -> Account:
            account = await store.hold_account(connection, self._vault, call.team_id, account_id)
            check_etag(etag, account.version)
            call.note_before(account)
            changed = change(account)
            await store.hold_ids(connection, changed, account)
            return await store.update_account(connection, self._vault, changed, self._clock.now())

        reply = await once(self._pool, call, update)
        self._heard.forget(call.team_id)
        # A repeated call is answered also where the account has been deleted since.
        with contextlib.suppress(NotFound):
            self._sender.update_account(await self._accounts.account(call.team_id, account_id))
        return reply

    async def delete(self, call: Call[None, Reply], account_id: UUID, uses: Uses) -> Reply:
        """Deletes an account with its templates; its waiting sends fail. Raises the refusal of `uses`."""
        deleted: list[tuple[Account, Written]] = []

        async def delete(connection: Connection) -> None:
            account = await store.hold_account(connection, self._vault, call.team_id, account_id)
            call.note_before(account)
            uses.check()
            written = await store.delete_account(connection, call.team_id, account_id, self._clock.now())
            deleted.append((account, written))

        reply = await once(self._pool, call, delete)
        self._heard.forget(call.team_id)
        for account, written in deleted:
            self._sender.update_account(msgspec.structs.replace(account, state=AccountState.DISABLED))
            self._publisher.publish(*written)
        return reply
