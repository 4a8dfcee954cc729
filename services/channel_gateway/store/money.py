"""Wallets, plan quotas and prices: what people see and set of the limits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from libs.common.db.pool import Connection, Pool, replanned, transaction
from services.channel_gateway.domain.errors import (
    WalletBalanceTooHigh,
    WalletBalanceTooLow,
    WalletCurrencyMismatch,
)
from services.channel_gateway.domain.model import DEFAULT_PRICES, WALLET_MICROS_MAX, Channel, Price
from services.channel_gateway.domain.views import PlanQuota, TeamPrice, WalletEntry, WalletView
from services.channel_gateway.store.book import QUERIES


async def read_wallet(connection: Connection, team_id: UUID) -> WalletView:
    """The wallet; empty in the default currency when there was never any money."""
    row = await connection.fetchrow(*QUERIES.bind("get_wallet", team_id=team_id))
    if row is None:
        return WalletView(DEFAULT_PRICES[Channel.WHATSAPP].currency, 0, 0, None)
    reserved = await connection.fetchval(*QUERIES.bind("get_reserved", team_id=team_id))
    return WalletView(row["currency"], row["balance_micros"], reserved, row["updated_at"])


async def prepaid_price(connection: Connection, team_id: UUID) -> Price:
    """What a prepaid message costs the team."""
    prices = await read_prices(connection, team_id)
    return next(each.price for each in prices if each.channel is Channel.WHATSAPP)


async def _hold_wallet(connection: Connection, team_id: UUID, currency: str, now: datetime) -> Any:
    """The wallet, locked until the commit; one that was never there holds nothing of `currency`."""
    await connection.execute(*QUERIES.bind("make_wallet", team_id=team_id, currency=currency, now=now))
    row = await connection.fetchrow(*QUERIES.bind("hold_wallet", team_id=team_id))
    assert row is not None, "it was made just now"
    return row


async def hold_currency(connection: Connection, team_id: UUID, currency: str, now: datetime) -> None:
    """Has the wallet hold this currency until the commit, and from then on.

    Raises WalletCurrencyMismatch while there is money of another, or a team is warned of another.
    """
    row = await _hold_wallet(connection, team_id, currency, now)
    if row["currency"] != currency:
        await _change_currency(connection, team_id, row, currency, now)


async def _change_currency(
    connection: Connection, team_id: UUID, row: Any, currency: str, now: datetime
) -> None:
    alert = await connection.fetchrow(*QUERIES.bind("get_balance_alert", team_id=team_id))
    reserved = await connection.fetchval(*QUERIES.bind("get_reserved", team_id=team_id))
    if row["balance_micros"] or reserved or (alert and alert["threshold_micros"] is not None):
        raise WalletCurrencyMismatch(row["currency"])
    await connection.execute(
        *QUERIES.bind("keep_entries_currency", team_id=team_id, currency=row["currency"])
    )
    await connection.execute(
        *QUERIES.bind("change_wallet_currency", team_id=team_id, currency=currency, now=now)
    )


async def adjust_wallet(
    connection: Connection, team_id: UUID, amount: Price, note: str, now: datetime
) -> WalletEntry:
    """Adds to the balance, or takes from it.

    Raises WalletCurrencyMismatch, WalletBalanceTooLow or WalletBalanceTooHigh.
    """
    price = await prepaid_price(connection, team_id)
    row = await _hold_wallet(connection, team_id, amount.currency, now)
    if price.micros and price.currency != amount.currency and amount.micros > 0:
        raise WalletCurrencyMismatch(price.currency)
    if row["currency"] != amount.currency:
        await _change_currency(connection, team_id, row, amount.currency, now)
    balance = row["balance_micros"] + amount.micros
    if balance < 0:
        raise WalletBalanceTooLow(row["balance_micros"])
    if balance > max(WALLET_MICROS_MAX, row["balance_micros"]):
        raise WalletBalanceTooHigh
    sequence = row["last_sequence"] + 1
    await connection.execute(
        *QUERIES.bind("change_wallet", team_id=team_id, balance_micros=balance, sequence=sequence, now=now)
    )
    await connection.execute(
        *QUERIES.bind(
            "create_wallet_entry",
            team_id=team_id,
            sequence=sequence,
            amount_micros=amount.micros,
            balance_micros=balance,
            note=note,
            now=now,
            currency=amount.currency,
        )
    )
    return WalletEntry(sequence, amount.currency, amount.micros, balance, note, now)


async def read_quota(connection: Connection, team_id: UUID, account_id: UUID, month: date) -> PlanQuota:
    """The quota of a month."""
    row = await connection.fetchrow(
        *QUERIES.bind("get_plan_quota", team_id=team_id, account_id=account_id, month=month)
    )
    assert row is not None, "the query has one row always"
    return PlanQuota(account_id, month, row["message_limit"], row["used"], row["updated_at"])


async def set_quota(
    connection: Connection, team_id: UUID, account_id: UUID, message_limit: int | None, now: datetime
) -> None:
    """Sets the plan's messages a month; None: no limit."""
    await connection.execute(
        *QUERIES.bind(
            "set_plan_quota", team_id=team_id, account_id=account_id, message_limit=message_limit, now=now
        )
    )


async def hold_channels(
    connection: Connection, team_id: UUID, account_ids: Collection[UUID]
) -> dict[UUID, Channel]:
    """The channels of accounts, which are held until the commit; deleted ones are absent."""
    rows = await connection.fetch(
        *QUERIES.bind("hold_channels", team_id=team_id, account_ids=list(account_ids))
    )
    return {row["account_id"]: Channel(row["channel"]) for row in rows}


async def set_quotas(
    connection: Connection, team_id: UUID, limits: Mapping[UUID, int | None], now: datetime
) -> None:
    """Sets the plans' messages a month by account; None: no limit."""
    await connection.execute(
        *QUERIES.bind(
            "set_plan_quotas",
            team_id=team_id,
            account_ids=list(limits),
            message_limits=list(limits.values()),
            now=now,
        )
    )


async def raise_usage(
    connection: Connection, team_id: UUID, account_id: UUID, month: date, used: int
) -> None:
    """Takes over the channel's count where it is higher: others may send through the account, too."""
    await connection.execute(
        *QUERIES.bind("raise_plan_usage", team_id=team_id, account_id=account_id, month=month, used=used)
    )


async def read_prices(connection: Connection, team_id: UUID) -> list[TeamPrice]:
    """The price of every channel."""
    rows = await connection.fetch(*QUERIES.bind("get_prices", team_id=team_id))
    own = {Channel(row["channel"]): Price(row["currency"], row["micros"]) for row in rows}
    return [
        TeamPrice(channel, own.get(channel, default), channel in own)
        for channel, default in DEFAULT_PRICES.items()
    ]


async def set_price(connection: Connection, team_id: UUID, channel: Channel, price: Price | None) -> None:
    """Sets a team's price; None: the default again."""
    if price is None:
        await connection.execute(*QUERIES.bind("drop_price", team_id=team_id, channel=channel))
    else:
        await connection.execute(
            *QUERIES.bind(
                "set_price", team_id=team_id, channel=channel, currency=price.currency, micros=price.micros
            )
        )


class MoneyStore:
    """Reads outside of writes."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def wallet(self, team_id: UUID) -> WalletView:
        """A team's wallet."""
        async with transaction(self._pool, [team_id]) as connection:
            return await read_wallet(connection, team_id)

    async def entries(self, team_id: UUID, before: int | None, limit: int) -> list[WalletEntry]:
        """A page of changes by people, newest first."""
        async with transaction(self._pool, [team_id]) as connection:
            await replanned(connection)
            rows = await connection.fetch(
                *QUERIES.bind("list_wallet_entries", team_id=team_id, before_sequence=before, most=limit)
            )
        return [
            WalletEntry(
                row["sequence"],
                row["currency"],
                row["amount_micros"],
                row["balance_after_micros"],
                row["note"],
                row["created_at"],
            )
            for row in rows
        ]

    async def quota(self, team_id: UUID, account_id: UUID, month: date) -> PlanQuota:
        """A LINE account's quota of a month."""
        async with transaction(self._pool, [team_id]) as connection:
            return await read_quota(connection, team_id, account_id, month)

    async def prices(self, team_id: UUID) -> list[TeamPrice]:
        """The price of every channel."""
        async with transaction(self._pool, [team_id]) as connection:
            return await read_prices(connection, team_id)
