"""Proto ⇄ domain for wallets, plan quotas and prices. Pure."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from libs.common.money import is_known_currency
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.values import timestamp
from omnijourney.channel_gateway.v1 import limits_pb2, quota_pb2
from omnijourney.common.v1 import error_reason_pb2, money_pb2
from services.channel_gateway.domain.model import Price
from services.channel_gateway.domain.views import (
    BalanceAlert,
    Charge,
    PlanQuota,
    QuotaResult,
    TeamPrice,
    WalletEntry,
    WalletView,
)


def _money(currency: str, micros: int) -> money_pb2.Money:
    return money_pb2.Money(currency_code=currency, amount_micros=micros)


def wallet_message(team_id: UUID, wallet: WalletView) -> quota_pb2.Wallet:
    """A team's wallet."""
    return quota_pb2.Wallet(
        team_id=str(team_id),
        balance=_money(wallet.currency, wallet.balance_micros),
        reserved=_money(wallet.currency, wallet.reserved_micros),
        update_time=timestamp(wallet.updated_at) if wallet.updated_at else None,
    )


def entry_message(entry: WalletEntry) -> quota_pb2.WalletEntry:
    """A change of a wallet."""
    return quota_pb2.WalletEntry(
        sequence=entry.sequence,
        amount=_money(entry.currency, entry.amount_micros),
        balance_after=_money(entry.currency, entry.balance_after_micros),
        note=entry.note,
        create_time=timestamp(entry.created_at),
    )


def quota_message(quota: PlanQuota) -> quota_pb2.PlanQuota:
    """A LINE plan in a month."""
    return quota_pb2.PlanQuota(
        account_id=str(quota.account_id),
        month=quota.month.isoformat(),
        unlimited=quota.message_limit is None,
        message_limit=quota.message_limit or 0,
        used=quota.used,
        update_time=timestamp(quota.updated_at) if quota.updated_at else None,
    )


def money_of(check: FieldCheck, field: str, message: money_pb2.Money) -> Price:
    """An amount; its size is the caller's to check."""
    if not is_known_currency(message.currency_code):
        check.fault(f"{field}.currency_code", "must be a code of ISO 4217, such as TWD")
    return Price(message.currency_code, message.amount_micros)


def charge_message(charge: Charge) -> limits_pb2.MessageCharge:
    """What a send cost, or gave back."""
    return limits_pb2.MessageCharge(
        delivery_id=str(charge.effect_key),
        channel=charge.channel,  # type: ignore[arg-type]  # the enums have the same numbers
        journey_id=str(charge.journey_id) if charge.journey_id.int else "",
        message_count=charge.messages,
        amount=_money(*charge.price),
        charge_time=timestamp(charge.charged_at),
    )


def alert_message(alert: BalanceAlert) -> limits_pb2.BalanceAlert:
    """When a team is warned."""
    threshold = _money(*alert.threshold) if alert.threshold else None
    return limits_pb2.BalanceAlert(threshold=threshold, firing=alert.firing, etag=str(alert.version))


_REASONS: Final = {
    QuotaResult.SET: error_reason_pb2.ERROR_REASON_UNSPECIFIED,
    QuotaResult.NO_ACCOUNT: error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND,
    QuotaResult.INVALID: error_reason_pb2.ERROR_REASON_INVALID_FIELDS,
}


def quota_result(account_id: str, result: QuotaResult) -> limits_pb2.PlanQuotaResult:
    """What became of a quota to set; the id as it was given."""
    return limits_pb2.PlanQuotaResult(channel_account_id=account_id, reason=_REASONS[result])


def price_message(price: TeamPrice) -> quota_pb2.MessagePrice:
    """A price of a message."""
    return quota_pb2.MessagePrice(
        channel=int(price.channel),  # type: ignore[arg-type]  # the enums have the same numbers
        price=_money(price.price.currency, price.price.micros),
        custom=price.custom,
    )
