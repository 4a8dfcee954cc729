# ruff: noqa: N802 - the generated base names the methods
"""gRPC edge: channel accounts."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.db.pool import Connection
from libs.common.db.requests import answer_once
from libs.common.ids import epoch_ms, new_id
from libs.common.paging import page_key, page_size
from libs.common.rpc.fields import FieldCheck
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from services.channel_gateway.convert import content as convert
from services.channel_gateway.convert.deliveries import channel_of
from services.channel_gateway.domain.errors import ChannelUnsupported
from services.channel_gateway.domain.model import (
    CONCURRENCY_DEFAULT,
    RATE_DEFAULTS,
    Account,
    AccountState,
    Channel,
    ConnectionKind,
)
from services.channel_gateway.domain.model import (
    Connection as ChannelConnection,
)
from services.channel_gateway.servicer.base import (
    KIND_OF,
    Edge,
    check_etag,
    fields_of,
    ids_of,
    next_token,
    team_of,
)
from services.channel_gateway.store import content as store
from services.channel_gateway.store.facts import Written

_NIL: Final = UUID(int=0)


_FIELDS: Final = ("display_name", "state", "connection", "rate_per_second", "concurrency_max")


class AccountRpcs(Edge):
    """Accounts."""

    async def CreateChannelAccount(
        self, request: pb.CreateChannelAccountRequest, context: Any
    ) -> pb.CreateChannelAccountResponse:
        """Creates an account."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        account = self._new_account(check, team_id, request)
        check.done()

        async def work(connection: Connection) -> pb.CreateChannelAccountResponse:
            created = await store.create_account(connection, account)
            return pb.CreateChannelAccountResponse(account=convert.account_message(created))

        return await answer_once(self._pool, team_id, request, pb.CreateChannelAccountResponse, work)

    def _new_account(
        self, check: FieldCheck, team_id: UUID, request: pb.CreateChannelAccountRequest
    ) -> Account:
        message = request.account
        channel = channel_of(check, "account.channel", message.channel)
        connection = convert.connection_of(check, "account", message)
        if connection.kind not in {ConnectionKind.SINK, KIND_OF[channel]}:
            check.fault("account.connection", f"does not fit {channel.name}")
        if connection.kind in {ConnectionKind.LINE, ConnectionKind.WHATSAPP} and not connection.access_token:
            check.fault(f"account.{connection.kind.value}.access_token", "is required")
        check.done()
        if connection.kind not in self._parts.adapters:
            raise ChannelUnsupported(channel)
        now = self._clock.now()
        return Account(
            team_id,
            new_id(epoch_ms(now)),
            channel,
            check.text("account.display_name", message.display_name, length_max=convert.NAME_MAX),
            AccountState.ACTIVE,
            "",
            connection,
            _rate(check, message.rate_per_second, channel),
            _concurrency(check, message.concurrency_max),
            now,
            now,
            1,
        )

    async def GetChannelAccount(
        self, request: pb.GetChannelAccountRequest, context: Any
    ) -> pb.GetChannelAccountResponse:
        """Reads an account."""
        team_id, account_id = ids_of(request.team_id, "account_id", request.account_id)
        account = await self._parts.content.account(team_id, account_id)
        return pb.GetChannelAccountResponse(account=convert.account_message(account))

    async def ListChannelAccounts(
        self, request: pb.ListChannelAccountsRequest, context: Any
    ) -> pb.ListChannelAccountsResponse:
        """Lists accounts."""
        team_id = team_of(request.team_id)
        channel = Channel(request.channel) if request.channel else None
        arguments = ("accounts", team_id, request.channel)
        size = page_size(request.page_size)
        after = page_key(request.page_token, tuple[datetime, UUID], *arguments)
        accounts = await self._parts.content.list_accounts(team_id, channel, after, size + 1)
        shown = accounts[:size]
        last = (shown[-1].created_at, shown[-1].account_id) if len(accounts) > size else None
        return pb.ListChannelAccountsResponse(
            accounts=map(convert.account_message, shown), next_page_token=next_token(last, arguments)
        )

    async def UpdateChannelAccount(
        self, request: pb.UpdateChannelAccountRequest, context: Any
    ) -> pb.UpdateChannelAccountResponse:
        """Changes an account; renewed credentials make an unusable one active again."""
        team_id, account_id = ids_of(request.team_id, "account.id", request.account.id)
        fields = fields_of(request.update_mask.paths, _FIELDS, request.account)

        async def work(connection: Connection) -> pb.UpdateChannelAccountResponse:
            account = await store.hold_account(connection, team_id, account_id)
            check_etag(request.account.etag, account.version)
            changed = _changed_account(account, request.account, fields)
            updated = await store.update_account(connection, changed, self._clock.now())
            return pb.UpdateChannelAccountResponse(account=convert.account_message(updated))

        reply = await answer_once(self._pool, team_id, request, pb.UpdateChannelAccountResponse, work)
        self._parts.sender.update_account(await self._parts.content.account(team_id, account_id))
        return reply

    async def DeleteChannelAccount(
        self, request: pb.DeleteChannelAccountRequest, context: Any
    ) -> pb.DeleteChannelAccountResponse:
        """Deletes an account with its templates."""
        team_id, account_id = ids_of(request.team_id, "account_id", request.account_id)
        gone: list[tuple[Account, Written]] = []

        async def work(connection: Connection) -> pb.DeleteChannelAccountResponse:
            account = await store.hold_account(connection, team_id, account_id)
            gone.append(
                (account, await store.delete_account(connection, team_id, account_id, self._clock.now()))
            )
            return pb.DeleteChannelAccountResponse()

        reply = await answer_once(self._pool, team_id, request, pb.DeleteChannelAccountResponse, work)
        for account, written in gone:
            self._parts.sender.update_account(msgspec.structs.replace(account, state=AccountState.DISABLED))
            self._parts.outbox.publish(written)
        return reply

    async def CheckChannelAccount(
        self, request: pb.CheckChannelAccountRequest, context: Any
    ) -> pb.CheckChannelAccountResponse:
        """Asks the channel."""
        team_id, account_id = ids_of(request.team_id, "account_id", request.account_id)
        account = await self._parts.content.account(team_id, account_id)
        usable, detail = await self._parts.adapters[account.connection.kind].check(account)
        return pb.CheckChannelAccountResponse(usable=usable, detail=detail)


def _changed_account(account: Account, message: Any, fields: frozenset[str]) -> Account:
    check = FieldCheck()
    if "display_name" in fields:
        name = check.text("account.display_name", message.display_name, length_max=convert.NAME_MAX)
        account = msgspec.structs.replace(account, display_name=name)
    if "rate_per_second" in fields:
        rate = _rate(check, message.rate_per_second, account.channel)
        account = msgspec.structs.replace(account, rate_per_second=rate)
    if "concurrency_max" in fields:
        account = msgspec.structs.replace(
            account, concurrency_max=_concurrency(check, message.concurrency_max)
        )
    if "state" in fields:
        if message.state not in {AccountState.ACTIVE, AccountState.DISABLED}:
            check.fault("account.state", "must be ACTIVE or DISABLED")
        else:
            account = msgspec.structs.replace(account, state=AccountState(message.state), state_reason="")
    if "connection" in fields and message.WhichOneof("connection"):
        account = _renewed(check, account, convert.connection_of(check, "account", message))
    check.done()
    return account


def _renewed(check: FieldCheck, account: Account, given: ChannelConnection) -> Account:
    """The account with a connection as given; secrets that were left empty stay."""
    kept = account.connection
    if given.kind is not kept.kind:
        check.fault("account.connection", f"is of the kind {kept.kind.value} and stays so")
        return account
    connection = msgspec.structs.replace(
        given,
        access_token=given.access_token or kept.access_token,
        secrets=given.secrets or kept.secrets,
        verify_token=given.verify_token or kept.verify_token,
    )
    usable = AccountState.ACTIVE if account.state is AccountState.UNUSABLE else account.state
    return msgspec.structs.replace(account, connection=connection, state=usable, state_reason="")


def _rate(check: FieldCheck, given: int, channel: Channel) -> int:
    return check.whole("account.rate_per_second", given or RATE_DEFAULTS[channel], least=1, most=10_000)


def _concurrency(check: FieldCheck, given: int) -> int:
    return check.whole("account.concurrency_max", given or CONCURRENCY_DEFAULT, least=1, most=256)
