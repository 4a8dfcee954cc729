# ruff: noqa: N802 - the generated base names the methods
"""gRPC edge: channel accounts."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.ids import epoch_ms, new_id
from libs.common.paging import page_key, page_of, page_size
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import changed_fields, ids_of, team_of
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from services.channel_gateway.convert import accounts as convert
from services.channel_gateway.convert.deliveries import channel_of
from services.channel_gateway.domain.errors import ChannelUnsupported
from services.channel_gateway.domain.model import (
    CONCURRENCY_DEFAULT,
    KIND_OF,
    RATE_DEFAULTS,
    Account,
    AccountState,
    Channel,
    Connection,
    ConnectionKind,
)
from services.channel_gateway.servicer.base import Part
from services.channel_gateway.usecases.call import Call

_KNOWS_PEOPLE_BY: Final = {ConnectionKind.MESSENGER: "page_id", ConnectionKind.INSTAGRAM: "instagram_id"}
"""Whose ids of people are worth nothing with another of these. A number on WhatsApp and a channel of LINE may be
renewed: people are known by their own number, and by the provider of the channel."""
_FIELDS: Final = ("display_name", "state", "connection", "rate_per_second", "concurrency_max")


class AccountRpcs(Part):
    """Accounts."""

    async def CreateChannelAccount(
        self, request: pb.CreateChannelAccountRequest, context: Any
    ) -> pb.CreateChannelAccountResponse:
        """Creates an account."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        account = self._new_account(check, team_id, request)
        check.done()

        def reply(created: Account) -> pb.CreateChannelAccountResponse:
            return pb.CreateChannelAccountResponse(account=convert.account_message(created))

        call = Call(team_id, request, pb.CreateChannelAccountResponse, reply)
        return await self._deps.accounts.create(call, account)

    def _new_account(
        self, check: FieldCheck, team_id: UUID, request: pb.CreateChannelAccountRequest
    ) -> Account:
        message = request.account
        channel = channel_of(check, "account.channel", message.channel)
        connection = convert.connection_of(check, "account", message, is_new=True)
        if connection.kind not in {ConnectionKind.SINK, KIND_OF[channel]}:
            check.fault("account.connection", f"does not fit {channel.name}")
        if connection.kind is not ConnectionKind.SINK and not connection.access_token:
            check.fault(f"account.{connection.kind.value}.access_token", "is required")
        check.done()
        now = self._clock.now()
        return Account(
            team_id,
            new_id(epoch_ms(now)),
            channel,
            check.name("account.display_name", message.display_name, length_max=convert.NAME_MAX),
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
        team_id, account_id = ids_of(request.team_id, "channel_account_id", request.channel_account_id)
        account = await self._deps.account_store.account(team_id, account_id)
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
        accounts = await self._deps.account_store.list_accounts(team_id, channel, after, size + 1)
        page = page_of(accounts, size, lambda last: (last.created_at, last.account_id), *arguments)
        return pb.ListChannelAccountsResponse(
            accounts=map(convert.account_message, page.rows), next_page_token=page.next_token
        )

    async def UpdateChannelAccount(
        self, request: pb.UpdateChannelAccountRequest, context: Any
    ) -> pb.UpdateChannelAccountResponse:
        """Changes an account; renewed credentials make an unusable one active again."""
        team_id, account_id = ids_of(
            request.team_id, "account.channel_account_id", request.account.channel_account_id
        )
        check = FieldCheck()
        fields = changed_fields(check, request.update_mask.paths, _FIELDS, request.account)
        check.done()

        def change(account: Account) -> Account:
            return _changed_account(account, request.account, fields)

        def reply(updated: Account) -> pb.UpdateChannelAccountResponse:
            return pb.UpdateChannelAccountResponse(account=convert.account_message(updated))

        call = Call(team_id, request, pb.UpdateChannelAccountResponse, reply)
        return await self._deps.accounts.update(call, account_id, request.etag, change)

    async def DeleteChannelAccount(
        self, request: pb.DeleteChannelAccountRequest, context: Any
    ) -> pb.DeleteChannelAccountResponse:
        """Deletes an account with its templates."""
        team_id, account_id = ids_of(request.team_id, "channel_account_id", request.channel_account_id)
        uses = await self._deps.journeys.before_it_goes(
            team_id, "the account", unless_used=request.unless_used, channel_account_id=str(account_id)
        )
        call: Call[None, pb.DeleteChannelAccountResponse] = Call(
            team_id,
            request,
            pb.DeleteChannelAccountResponse,
            lambda _: pb.DeleteChannelAccountResponse(journeys=uses.messages),
            convert.account_message,
        )
        return await self._deps.accounts.delete(call, account_id, uses)

    async def CheckChannelAccount(
        self, request: pb.CheckChannelAccountRequest, context: Any
    ) -> pb.CheckChannelAccountResponse:
        """Asks the channel."""
        team_id, account_id = ids_of(request.team_id, "channel_account_id", request.channel_account_id)
        account = await self._deps.account_store.account(team_id, account_id)
        adapter = self._deps.adapters.get(account.connection.kind)
        if adapter is None:
            raise ChannelUnsupported(account.channel)
        usable, detail = await adapter.check(account)
        return pb.CheckChannelAccountResponse(usable=usable, detail=detail)


def _changed_account(account: Account, message: Any, fields: frozenset[str]) -> Account:
    check = FieldCheck()
    if "display_name" in fields:
        name = check.name("account.display_name", message.display_name, length_max=convert.NAME_MAX)
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
        given = convert.connection_of(check, "account", message, is_new=False)
        account = _renewed(check, account, given)
    check.done()
    return account


def _renewed(check: FieldCheck, account: Account, given: Connection) -> Account:
    """The account with a connection as given; what was left empty stays."""
    kept = account.connection
    if given.kind is not kept.kind:
        check.fault("account.connection", f"is of the kind {kept.kind.value} and stays so")
        return account
    if given.sender_id not in {"", kept.sender_id} and given.kind in _KNOWS_PEOPLE_BY:
        check.fault(
            f"account.{given.kind.value}.{_KNOWS_PEOPLE_BY[given.kind]}",
            "stays as it is: people have other ids on another page. Create an account for that one",
        )
    connection = msgspec.structs.replace(
        given,
        sender_id=given.sender_id or kept.sender_id,
        owner_id=given.owner_id or kept.owner_id,
        bot_user_id=given.bot_user_id or kept.bot_user_id,
        access_token=given.access_token or kept.access_token,
        secrets=given.secrets or kept.secrets,
        verify_token=given.verify_token or kept.verify_token,
    )
    if account.secrets_shut and not given.access_token:
        check.fault(
            f"account.{given.kind.value}.access_token", "is required: the one stored cannot be opened"
        )
    usable = AccountState.ACTIVE if account.state is AccountState.UNUSABLE else account.state
    return msgspec.structs.replace(
        account, connection=connection, state=usable, state_reason="", secrets_shut=False
    )


def _rate(check: FieldCheck, given: int, channel: Channel) -> int:
    return check.whole("account.rate_per_second", given or RATE_DEFAULTS[channel], least=1, most=10_000)


def _concurrency(check: FieldCheck, given: int) -> int:
    return check.whole("account.concurrency_max", given or CONCURRENCY_DEFAULT, least=1, most=256)
