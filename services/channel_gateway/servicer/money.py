# ruff: noqa: N802 - the generated base names the methods
"""gRPC edge: wallets, plan quotas, prices."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from libs.common.errors import FieldViolation, InvalidArgument, Unavailable
from libs.common.paging import page_key, page_of, page_size
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import ids_of, team_of
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import limits_pb2
from services.channel_gateway.clients.channels.line import LineAdapter
from services.channel_gateway.convert.deliveries import channel_of
from services.channel_gateway.convert.money import (
    entry_message,
    money_of,
    price_message,
    quota_message,
    quota_result,
    wallet_message,
)
from services.channel_gateway.domain.model import (
    PRICE_MICROS_MAX,
    WALLET_MICROS_MAX,
    Account,
    ConnectionKind,
)
from services.channel_gateway.domain.reserve import quota_month
from services.channel_gateway.domain.views import PlanQuota, QuotaResult, QuotaSetting, TeamPrice
from services.channel_gateway.servicer.base import Part
from services.channel_gateway.usecases.call import Call
from services.channel_gateway.usecases.money import Adjusted, require_line

NOTE_MAX = 500
QUOTA_MAX = 10**12


class MoneyRpcs(Part):
    """What limits and costs sends."""

    async def GetWallet(self, request: pb.GetWalletRequest, context: Any) -> pb.GetWalletResponse:
        """Reads the prepaid balance."""
        team_id = team_of(request.team_id)
        wallet = await self._deps.money_store.wallet(team_id)
        return pb.GetWalletResponse(wallet=wallet_message(team_id, wallet))

    async def AdjustWallet(self, request: pb.AdjustWalletRequest, context: Any) -> pb.AdjustWalletResponse:
        """Adds to the prepaid balance, or takes from it."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        amount = money_of(check, "amount", request.amount)
        check.text("note", request.note, length_max=NOTE_MAX, length_min=0)
        if not amount.micros:
            check.fault("amount.amount_micros", "must not be 0")
        check.whole("amount.amount_micros", amount.micros, least=-WALLET_MICROS_MAX, most=WALLET_MICROS_MAX)
        check.done()

        def reply(adjusted: Adjusted) -> pb.AdjustWalletResponse:
            wallet = wallet_message(team_id, adjusted.wallet)
            return pb.AdjustWalletResponse(wallet=wallet, entry=entry_message(adjusted.entry))

        call = Call(
            team_id, request, pb.AdjustWalletResponse, reply, shown=lambda held: wallet_message(team_id, held)
        )
        return await self._deps.money.adjust_wallet(call, amount, request.note)

    async def ListWalletEntries(
        self, request: pb.ListWalletEntriesRequest, context: Any
    ) -> pb.ListWalletEntriesResponse:
        """Lists changes by people."""
        team_id = team_of(request.team_id)
        arguments = ("wallet entries", team_id)
        size = page_size(request.page_size)
        before = page_key(request.page_token, int, *arguments)
        entries = await self._deps.money_store.entries(team_id, before, size + 1)
        page = page_of(entries, size, lambda last: last.sequence, *arguments)
        return pb.ListWalletEntriesResponse(
            entries=map(entry_message, page.rows), next_page_token=page.next_token
        )

    async def GetPlanQuota(self, request: pb.GetPlanQuotaRequest, context: Any) -> pb.GetPlanQuotaResponse:
        """Reads a LINE account's quota."""
        team_id, account_id = ids_of(request.team_id, "account_id", request.account_id)
        await self._line_account(team_id, account_id)
        quota = await self._deps.money_store.quota(team_id, account_id, quota_month(self._clock.now()))
        return pb.GetPlanQuotaResponse(quota=quota_message(quota))

    async def SetPlanQuota(self, request: pb.SetPlanQuotaRequest, context: Any) -> pb.SetPlanQuotaResponse:
        """Sets a LINE account's quota."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        account_id = check.uuid("account_id", request.account_id)
        check.whole("message_limit", request.message_limit, least=0, most=QUOTA_MAX)
        if request.unlimited and request.message_limit:
            check.fault("message_limit", "is of no use with unlimited: give one of the two")
        check.done()
        limit = None if request.unlimited else request.message_limit

        def reply(quota: PlanQuota) -> pb.SetPlanQuotaResponse:
            return pb.SetPlanQuotaResponse(quota=quota_message(quota))

        call = Call(team_id, request, pb.SetPlanQuotaResponse, reply)
        return await self._deps.money.set_quota(call, account_id, limit)

    async def BatchSetPlanQuotas(
        self, request: pb.BatchSetPlanQuotasRequest, context: Any
    ) -> pb.BatchSetPlanQuotasResponse:
        """Sets the quotas of LINE accounts, each by itself."""
        team_id = team_of(request.team_id)
        settings = [_setting(each) for each in request.settings]

        def reply(results: list[QuotaResult]) -> pb.BatchSetPlanQuotasResponse:
            pairs = zip(request.settings, results, strict=True)
            return pb.BatchSetPlanQuotasResponse(
                results=[quota_result(each.channel_account_id, result) for each, result in pairs]
            )

        call = Call(team_id, request, pb.BatchSetPlanQuotasResponse, reply)
        return await self._deps.money.set_quotas(call, settings)

    async def RefreshPlanQuota(
        self, request: pb.RefreshPlanQuotaRequest, context: Any
    ) -> pb.RefreshPlanQuotaResponse:
        """Takes over what LINE says of the quota."""
        team_id, account_id = ids_of(request.team_id, "account_id", request.account_id)
        account = await self._line_account(team_id, account_id)
        adapter = self._deps.adapters[account.connection.kind]
        if not isinstance(adapter, LineAdapter):
            raise InvalidArgument.of(FieldViolation("account_id", "has no LINE service behind it"))
        plan = await adapter.quota(account)
        if plan is None:
            raise Unavailable.dependency("LINE")
        limit, used = plan

        def reply(quota: PlanQuota) -> pb.RefreshPlanQuotaResponse:
            return pb.RefreshPlanQuotaResponse(quota=quota_message(quota))

        call = Call(team_id, request, pb.RefreshPlanQuotaResponse, reply)
        return await self._deps.money.set_quota(call, account_id, limit, used=used)

    async def _line_account(self, team_id: UUID, account_id: UUID) -> Account:
        account = await self._deps.account_store.account(team_id, account_id)
        require_line(account)
        assert account.connection.kind in {ConnectionKind.LINE, ConnectionKind.SINK}
        return account

    async def ListMessagePrices(
        self, request: pb.ListMessagePricesRequest, context: Any
    ) -> pb.ListMessagePricesResponse:
        """Reads all prices."""
        prices = await self._deps.money_store.prices(team_of(request.team_id))
        return pb.ListMessagePricesResponse(prices=map(price_message, prices))

    async def SetMessagePrice(
        self, request: pb.SetMessagePriceRequest, context: Any
    ) -> pb.SetMessagePriceResponse:
        """Sets a price."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        channel = channel_of(check, "channel", request.channel)
        price = money_of(check, "price", request.price) if request.HasField("price") else None
        if price is not None:
            check.whole("price.amount_micros", price.micros, least=0, most=PRICE_MICROS_MAX)
        check.done()

        def reply(stored: TeamPrice) -> pb.SetMessagePriceResponse:
            return pb.SetMessagePriceResponse(price=price_message(stored))

        call = Call(team_id, request, pb.SetMessagePriceResponse, reply)
        return await self._deps.money.set_price(call, channel, price)


def _setting(message: limits_pb2.PlanQuotaSetting) -> QuotaSetting | None:
    check = FieldCheck()
    account_id = check.uuid("channel_account_id", message.channel_account_id)
    limit = message.message_limit if message.HasField("message_limit") else None
    check.whole("message_limit", limit or 0, least=0, most=QUOTA_MAX)
    return None if check.violations else QuotaSetting(account_id, limit)
