"""Wallets, plan quotas and prices: each write is one transaction and answered once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool
from libs.common.errors import FieldViolation, InvalidArgument
from services.channel_gateway.domain.model import DEFAULT_PRICES, Account, Channel, Price
from services.channel_gateway.domain.reserve import quota_month
from services.channel_gateway.domain.views import (
    PlanQuota,
    QuotaResult,
    QuotaSetting,
    TeamPrice,
    WalletEntry,
    WalletView,
)
from services.channel_gateway.store import accounts as account_store
from services.channel_gateway.store import money as store
from services.channel_gateway.store.vault import Vault
from services.channel_gateway.usecases.call import Call, Reply, once


def require_line(account: Account) -> None:
    """Raises InvalidArgument for an account of another channel."""
    if account.channel is not Channel.LINE:
        raise InvalidArgument.of(FieldViolation("account_id", "is no LINE account"))


class Adjusted(NamedTuple):
    """A wallet after a change, and the change."""

    wallet: WalletView
    entry: WalletEntry


class Money:
    """Writes what limits and costs sends."""

    def __init__(self, pool: Pool, vault: Vault, clock: Clock) -> None:
        """`vault` opens accounts; `clock`: domain time of the changes."""
        self._pool = pool
        self._vault = vault
        self._clock = clock

    async def adjust_wallet(self, call: Call[Adjusted, Reply], amount: Price, note: str) -> Reply:
        """Adds to the balance, or takes from it. Raises WalletCurrencyMismatch or WalletBalanceTooLow."""

        async def adjust(connection: Connection) -> Adjusted:
            entry = await store.adjust_wallet(connection, call.team_id, amount, note, self._clock.now())
            wallet = await store.read_wallet(connection, call.team_id)
            call.note_before(_without(entry, wallet))
            return Adjusted(wallet, entry)

        return await once(self._pool, call, adjust)

    async def set_quota(
        self, call: Call[PlanQuota, Reply], account_id: UUID, limit: int | None, *, used: int | None = None
    ) -> Reply:
        """Sets the messages a month of a LINE account's plan, None: no limit; `used`: as the channel counts them.

        Raises NotFound, InvalidArgument for an account of another channel.
        """

        async def set_quota(connection: Connection) -> PlanQuota:
            require_line(await account_store.hold_account(connection, self._vault, call.team_id, account_id))
            now = self._clock.now()
            month = quota_month(now)
            call.note_before(await store.read_quota(connection, call.team_id, account_id, month))
            await store.set_quota(connection, call.team_id, account_id, limit, now)
            if used is not None:
                await store.raise_usage(connection, call.team_id, account_id, month, used)
            return await store.read_quota(connection, call.team_id, account_id, month)

        return await once(self._pool, call, set_quota)

    async def set_quotas(
        self, call: Call[list[QuotaResult], Reply], settings: Sequence[QuotaSetting | None]
    ) -> Reply:
        """Sets the quotas of accounts, one result each in order; None: a setting that cannot be read."""

        async def set_quotas(connection: Connection) -> list[QuotaResult]:
            named = {setting.account_id: setting.message_limit for setting in settings if setting}
            channels = await store.hold_channels(connection, call.team_id, named)
            limits = {
                account_id: limit for account_id, limit in named.items() if _is_line(channels, account_id)
            }
            await store.set_quotas(connection, call.team_id, limits, self._clock.now())
            return [_result(channels, setting) for setting in settings]

        return await once(self._pool, call, set_quotas)

    async def set_price(self, call: Call[TeamPrice, Reply], channel: Channel, price: Price | None) -> Reply:
        """Sets a team's price of a message; None: the default again. Raises WalletCurrencyMismatch."""

        async def set_price(connection: Connection) -> TeamPrice:
            call.note_before(await self._price_of(connection, call.team_id, channel))
            asked = price or DEFAULT_PRICES[channel]
            if channel is Channel.WHATSAPP and asked.micros:
                await store.hold_currency(connection, call.team_id, asked.currency, self._clock.now())
            await store.set_price(connection, call.team_id, channel, price)
            return await self._price_of(connection, call.team_id, channel)

        return await once(self._pool, call, set_price)

    async def _price_of(self, connection: Connection, team_id: UUID, channel: Channel) -> TeamPrice:
        prices = await store.read_prices(connection, team_id)
        return next(item for item in prices if item.channel is channel)


def _is_line(channels: Mapping[UUID, Channel], account_id: UUID) -> bool:
    return channels.get(account_id) is Channel.LINE


def _result(channels: Mapping[UUID, Channel], setting: QuotaSetting | None) -> QuotaResult:
    if setting is None or channels.get(setting.account_id, Channel.LINE) is not Channel.LINE:
        return QuotaResult.INVALID
    return QuotaResult.SET if setting.account_id in channels else QuotaResult.NO_ACCOUNT


def _without(entry: WalletEntry, wallet: WalletView) -> WalletView:
    """A wallet as it was before its last change, which holds it until the commit."""
    balance = wallet.balance_micros - entry.amount_micros
    return WalletView(wallet.currency, balance, wallet.reserved_micros, None)
