# ruff: noqa: N802 - the generated base names the methods
"""gRPC edge: wallets, plan quotas, prices."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from libs.common.db.pool import Connection
from libs.common.db.requests import answer_once
from libs.common.errors import FieldViolation, InvalidArgument, Unavailable
from libs.common.money import is_currency
from libs.common.paging import page_key, page_size
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.values import timestamp
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import quota_pb2
from omnijourney.common.v1 import money_pb2
from services.channel_gateway.clients.channels.line import LineAdapter
from services.channel_gateway.convert.deliveries import channel_of
from services.channel_gateway.domain.model import Account, Channel, ConnectionKind, Price
from services.channel_gateway.domain.reserve import quota_month
from services.channel_gateway.servicer.base import Edge, ids_of, next_token, team_of
from services.channel_gateway.store import money as store

NOTE_MAX = 500


class MoneyRpcs(Edge):
    """What limits and costs sends."""

    async def GetWallet(self, request: pb.GetWalletRequest, context: Any) -> pb.GetWalletResponse:
        """Reads the prepaid balance."""
        wallet = await self._parts.money.wallet(team_of(request.team_id))
        return pb.GetWalletResponse(wallet=_wallet_message(request.team_id, wallet))

    async def AdjustWallet(self, request: pb.AdjustWalletRequest, context: Any) -> pb.AdjustWalletResponse:
        """Adds to the prepaid balance, or takes from it."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        amount = _price(check, "amount", request.amount)
        check.text("note", request.note, length_max=NOTE_MAX, length_min=0)
        if not amount.micros:
            check.fault("amount.amount_micros", "must not be 0")
        check.done()

        async def work(connection: Connection) -> pb.AdjustWalletResponse:
            entry = await store.adjust_wallet(connection, team_id, amount, request.note, self._clock.now())
            wallet = await store.read_wallet(connection, team_id)
            return pb.AdjustWalletResponse(
                wallet=_wallet_message(request.team_id, wallet), entry=_entry_message(entry)
            )

        return await answer_once(self._pool, team_id, request, pb.AdjustWalletResponse, work)

    async def ListWalletEntries(
        self, request: pb.ListWalletEntriesRequest, context: Any
    ) -> pb.ListWalletEntriesResponse:
        """Lists changes by people."""
        team_id = team_of(request.team_id)
        arguments = ("wallet entries", team_id)
        size = page_size(request.page_size)
        before = page_key(request.page_token, int, *arguments)
        entries = await self._parts.money.entries(team_id, before, size + 1)
        shown = entries[:size]
        last = shown[-1].sequence if len(entries) > size else None
        return pb.ListWalletEntriesResponse(
            entries=map(_entry_message, shown), next_page_token=next_token(last, arguments)
        )

    async def GetPlanQuota(self, request: pb.GetPlanQuotaRequest, context: Any) -> pb.GetPlanQuotaResponse:
        """Reads a LINE account's quota."""
        team_id, account_id = ids_of(request.team_id, "account_id", request.account_id)
        await self._line_account(team_id, account_id)
        quota = await self._parts.money.quota(team_id, account_id, quota_month(self._clock.now()))
        return pb.GetPlanQuotaResponse(quota=_quota_message(quota))

    async def SetPlanQuota(self, request: pb.SetPlanQuotaRequest, context: Any) -> pb.SetPlanQuotaResponse:
        """Sets a LINE account's quota."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        account_id = check.uuid("account_id", request.account_id)
        check.whole("message_limit", request.message_limit, least=0, most=10**12)
        check.done()
        await self._line_account(team_id, account_id)
        limit = None if request.unlimited else request.message_limit

        async def work(connection: Connection) -> pb.SetPlanQuotaResponse:
            now = self._clock.now()
            await store.set_quota(connection, team_id, account_id, limit, now)
            quota = await store.read_quota(connection, team_id, account_id, quota_month(now))
            return pb.SetPlanQuotaResponse(quota=_quota_message(quota))

        return await answer_once(self._pool, team_id, request, pb.SetPlanQuotaResponse, work)

    async def RefreshPlanQuota(
        self, request: pb.RefreshPlanQuotaRequest, context: Any
    ) -> pb.RefreshPlanQuotaResponse:
        """Takes over what LINE says of the quota."""
        team_id, account_id = ids_of(request.team_id, "account_id", request.account_id)
        account = await self._line_account(team_id, account_id)
        adapter = self._parts.adapters[account.connection.kind]
        if not isinstance(adapter, LineAdapter):
            raise InvalidArgument.of(FieldViolation("account_id", "has no LINE service behind it"))
        told = await adapter.quota(account)
        if told is None:
            raise Unavailable.dependency("LINE")
        limit, used = told

        async def work(connection: Connection) -> pb.RefreshPlanQuotaResponse:
            now = self._clock.now()
            month = quota_month(now)
            await store.set_quota(connection, team_id, account_id, limit, now)
            await store.raise_usage(connection, team_id, account_id, month, used)
            quota = await store.read_quota(connection, team_id, account_id, month)
            return pb.RefreshPlanQuotaResponse(quota=_quota_message(quota))

        return await answer_once(self._pool, team_id, request, pb.RefreshPlanQuotaResponse, work)

    async def _line_account(self, team_id: UUID, account_id: UUID) -> Account:
        account = await self._parts.content.account(team_id, account_id)
        if account.channel is not Channel.LINE:
            raise InvalidArgument.of(FieldViolation("account_id", "is no LINE account"))
        assert account.connection.kind in {ConnectionKind.LINE, ConnectionKind.SINK}
        return account

    async def ListMessagePrices(
        self, request: pb.ListMessagePricesRequest, context: Any
    ) -> pb.ListMessagePricesResponse:
        """Reads all prices."""
        prices = await self._parts.money.prices(team_of(request.team_id))
        return pb.ListMessagePricesResponse(prices=map(_price_message, prices))

    async def SetMessagePrice(
        self, request: pb.SetMessagePriceRequest, context: Any
    ) -> pb.SetMessagePriceResponse:
        """Sets a price."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        channel = channel_of(check, "channel", request.channel)
        price = _price(check, "price", request.price) if request.HasField("price") else None
        if price is not None and price.micros < 0:
            check.fault("price.amount_micros", "must not be negative")
        check.done()

        async def work(connection: Connection) -> pb.SetMessagePriceResponse:
            await store.set_price(connection, team_id, channel, price)
            prices = await store.read_prices(connection, team_id)
            return pb.SetMessagePriceResponse(
                price=next(_price_message(item) for item in prices if item.channel is channel)
            )

        return await answer_once(self._pool, team_id, request, pb.SetMessagePriceResponse, work)


def _price(check: FieldCheck, field: str, message: money_pb2.Money) -> Price:
    if not is_currency(message.currency_code):
        check.fault(f"{field}.currency_code", "must be three capitals of ISO 4217")
    return Price(message.currency_code, message.amount_micros)


def _money(currency: str, micros: int) -> money_pb2.Money:
    return money_pb2.Money(currency_code=currency, amount_micros=micros)


def _wallet_message(team_id: str, wallet: store.Wallet) -> quota_pb2.Wallet:
    return quota_pb2.Wallet(
        team_id=team_id,
        balance=_money(wallet.currency, wallet.balance_micros),
        reserved=_money(wallet.currency, wallet.reserved_micros),
        update_time=timestamp(wallet.updated_at) if wallet.updated_at else None,
    )


def _entry_message(entry: store.WalletEntry) -> quota_pb2.WalletEntry:
    return quota_pb2.WalletEntry(
        sequence=entry.sequence,
        amount=_money(entry.currency, entry.amount_micros),
        balance_after=_money(entry.currency, entry.balance_after_micros),
        note=entry.note,
        create_time=timestamp(entry.created_at),
    )


def _quota_message(quota: store.PlanQuota) -> quota_pb2.PlanQuota:
    return quota_pb2.PlanQuota(
        account_id=str(quota.account_id),
        month=quota.month.isoformat(),
        unlimited=quota.message_limit is None,
        message_limit=quota.message_limit or 0,
        used=quota.used,
        update_time=timestamp(quota.updated_at) if quota.updated_at else None,
    )


def _price_message(price: store.TeamPrice) -> quota_pb2.MessagePrice:
    return quota_pb2.MessagePrice(
        channel=int(price.channel),  # type: ignore[arg-type]  # the enums have the same numbers
        price=_money(price.price.currency, price.price.micros),
        custom=price.custom,
    )
