"""Reservations: which prepared sends get places under the limits, and what they take.

Pure. The limits are read under row locks, so that the decision holds until its commit. A batch is decided send by send
in the order given; the messages of one send are taken together or not at all.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from libs.common.frequency import CountedSend, FrequencyRule, room_at
from libs.common.ids import CustomerKey
from services.channel_gateway.domain.content import TemplateContent, TextContent
from services.channel_gateway.domain.model import (
    CAP_REASONS,
    Channel,
    Price,
    Reason,
    Send,
    SendAnswer,
    SendState,
    is_test,
)
from services.channel_gateway.domain.prepare import Catalogue, Prepared

LINE_MONTH_ZONE: Final = timezone(timedelta(hours=9))
"""LINE counts months in this zone."""

CAP_SEEN_AGAIN: Final = timedelta(days=1)
"""Who waits for room asks again so soon at the latest: the cap may have changed."""

UsageKey = tuple[UUID, UUID, int]
"""Team, journey, channel."""
QuotaKey = tuple[UUID, UUID]
"""Team, account."""
WalletKey = UUID
"""Team."""


def quota_month(now: datetime) -> date:
    """First day of the month that a LINE message sent now counts in."""
    return now.astimezone(LINE_MONTH_ZONE).date().replace(day=1)


class Quota(msgspec.Struct):
    """A LINE account's plan in one month. `limit` None: none known."""

    limit: int | None
    used: int


class Wallet(msgspec.Struct):
    """A team's prepaid balance."""

    currency: str
    balance_micros: int


class Limits(msgspec.Struct):
    """What is there for the sends of a batch. `decide` takes from it."""

    usage: dict[UsageKey, int] = msgspec.field(default_factory=dict)
    quotas: dict[QuotaKey, Quota] = msgspec.field(default_factory=dict)
    wallets: dict[WalletKey, Wallet] = msgspec.field(default_factory=dict)
    prices: dict[tuple[UUID, int], Price] = msgspec.field(default_factory=dict)
    stops: dict[tuple[UUID, UUID], int] = msgspec.field(default_factory=dict)
    """By team and journey: sends decided in a lower epoch are cancelled."""
    frequency: dict[UUID, tuple[FrequencyRule, ...]] = msgspec.field(default_factory=dict)
    """Of the teams that have a frequency cap."""
    counted: dict[CustomerKey, list[CountedSend]] = msgspec.field(default_factory=dict)
    """What their customers got, as far as it may count."""
    opted_out: set[tuple[UUID, int, str, UUID]] = msgspec.field(default_factory=set)
    """By team, channel, the person's id and the customer: who wants no messages."""
    limited: set[tuple[UUID, int, str, UUID]] = msgspec.field(default_factory=set)
    """By team, channel, the person's id and the template: marketing that the channel would not deliver now."""


class Reserved(msgspec.Struct, frozen=True):
    """A send that has its places."""

    prepared: Prepared
    price: Price
    cap: int | None
    """The journey's cap that it holds places of; None: none."""
    quota_month: date | None


class ReservationTotals(NamedTuple):
    """What a group of sends takes from the limits."""

    usage: dict[UsageKey, int]
    caps: dict[UsageKey, int]
    """The lowest cap of those that take places of one."""
    quotas: dict[tuple[UUID, UUID, date], int]
    wallets: dict[tuple[UUID, str], int]
    """Micros by team and currency."""


def decide(
    sends: Iterable[tuple[Send, Prepared | SendAnswer]], limits: Limits, now: datetime
) -> list[Reserved | SendAnswer]:
    """Reserve or refuse each send, in order."""
    month = quota_month(now)
    return [_decide_one(send, prepared, limits, now, month) for send, prepared in sends]


def reserve_optimistically(
    sends: Iterable[tuple[Send, Prepared | SendAnswer]], catalogue: Catalogue, now: datetime
) -> list[Reserved | SendAnswer]:
    """What `decide` answers where no journey of them was stopped and the limits hold all: the usual case, which the
    database can check by itself."""
    month = quota_month(now)
    return [_reserve_one(send, prepared, catalogue, now, month) for send, prepared in sends]


def _reserve_one(
    send: Send, prepared: Prepared | SendAnswer, catalogue: Catalogue, now: datetime, month: date
) -> Reserved | SendAnswer:
    if send.not_after is not None and now >= send.not_after:
        return SendAnswer(SendState.DEFERRED, Reason.DO_NOT_DISTURB)
    if isinstance(prepared, SendAnswer):
        return prepared
    price = catalogue.price_of(send.team_id, send.channel)
    return Reserved(prepared, price, send.cap, month if send.channel is Channel.LINE else None)


def refuse_early(send: Send, limits: Limits, now: datetime) -> SendAnswer | None:
    """Whether a send may not be taken up at all: its journey stopped, or its do-not-disturb window has begun."""
    if send.stop_epoch < limits.stops.get((send.team_id, send.journey_id), 0):
        return SendAnswer(SendState.CANCELLED, Reason.JOURNEY_STOPPED)
    if send.not_after is not None and now >= send.not_after:
        return SendAnswer(SendState.DEFERRED, Reason.DO_NOT_DISTURB)
    return None


def _decide_one(
    send: Send, prepared: Prepared | SendAnswer, limits: Limits, now: datetime, month: date
) -> Reserved | SendAnswer:
    early = refuse_early(send, limits, now)
    if early or isinstance(prepared, SendAnswer):
        return early or prepared  # type: ignore[return-value]  # one of them is an SendAnswer here
    if (send.team_id, int(send.channel), prepared.recipient, send.customer_id) in limits.opted_out:
        return SendAnswer(SendState.SKIPPED, Reason.OPTED_OUT)
    if limits.limited and _is_limited(send, prepared, limits):
        return SendAnswer(SendState.FAILED, Reason.META_LIMITED)
    exhausted = _cap(send, prepared, limits)
    if exhausted is None and (capped := _frequency_cap(send, prepared, limits, now)):
        return capped
    price = prepared.begun.price if prepared.begun else limits.prices[send.team_id, send.channel]
    exhausted = exhausted or _quota(send, prepared, limits)
    if exhausted:
        return SendAnswer(SendState.EXHAUSTED, exhausted)
    unpaid = _unpaid(send, prepared, price, limits)
    if unpaid:
        return unpaid
    _take(send, prepared, price, limits)
    on_plan = send.channel is Channel.LINE
    return Reserved(prepared, price, send.cap, month if on_plan else None)


def _is_limited(send: Send, prepared: Prepared, limits: Limits) -> bool:
    if not isinstance(send.content, TemplateContent):
        return False
    return (send.team_id, int(send.channel), prepared.recipient, send.content.template_id) in limits.limited


def _frequency_cap(send: Send, prepared: Prepared, limits: Limits, now: datetime) -> SendAnswer | None:
    rules = limits.frequency.get(send.team_id)
    # Who asked for something is not kept waiting for it, nor who tests what others will get.
    if not rules or isinstance(send.content, TextContent) or is_test(send.journey_id, send.node_id):
        return None
    counted = limits.counted.get((send.team_id, send.customer_id), ())
    opens = room_at(rules, counted, send.channel, prepared.messages, now)
    if opens is None or (opens > now and not send.waits_for_room):
        return SendAnswer(SendState.SKIPPED, Reason.FREQUENCY_CAP_REACHED)
    if opens <= now:
        return None
    again = min(opens, now + CAP_SEEN_AGAIN)
    return SendAnswer(SendState.DEFERRED, Reason.FREQUENCY_CAP_REACHED, room_at=again)


def _cap(send: Send, prepared: Prepared, limits: Limits) -> Reason | None:
    if send.cap is None:
        return None
    used = limits.usage[send.team_id, send.journey_id, send.channel]
    return CAP_REASONS[send.channel] if used + prepared.messages > send.cap else None


def _quota(send: Send, prepared: Prepared, limits: Limits) -> Reason | None:
    if send.channel is not Channel.LINE:
        return None
    quota = limits.quotas[send.team_id, prepared.account.account_id]
    if quota.limit is None or quota.used + prepared.messages <= quota.limit:
        return None
    return Reason.LINE_QUOTA_EXHAUSTED


def _unpaid(send: Send, prepared: Prepared, price: Price, limits: Limits) -> SendAnswer | None:
    if send.channel is not Channel.WHATSAPP or price.micros == 0:
        return None
    wallet = limits.wallets[send.team_id]
    if wallet.balance_micros and wallet.currency != price.currency:
        # Set so by a release that did not look; there is money, so no journey stops for the lack of it.
        return SendAnswer(SendState.FAILED, Reason.WALLET_CURRENCY_MISMATCH)
    if wallet.balance_micros < price.micros * prepared.messages:
        return SendAnswer(SendState.EXHAUSTED, Reason.WHATSAPP_BALANCE_EXHAUSTED)
    return None


def _take(send: Send, prepared: Prepared, price: Price, limits: Limits) -> None:
    messages = prepared.messages
    if send.team_id in limits.frequency and not is_test(send.journey_id, send.node_id):
        under_way = CountedSend(send.channel, messages, None)
        limits.counted.setdefault((send.team_id, send.customer_id), []).append(under_way)
    if send.cap is not None:
        limits.usage[send.team_id, send.journey_id, send.channel] += messages
    if send.channel is Channel.LINE:
        limits.quotas[send.team_id, prepared.account.account_id].used += messages
    if send.channel is Channel.WHATSAPP:
        limits.wallets[send.team_id].balance_micros -= price.micros * messages


class HeldPlaces(NamedTuple):
    """What sends of one kind hold together."""

    team_id: UUID
    journey_id: UUID
    channel: int
    account_id: UUID
    price: Price
    cap: int | None
    """The journey's cap that they were decided under; None: none."""
    quota_month: date | None
    messages: int


def add_up(places: Iterable[HeldPlaces]) -> ReservationTotals:
    """The sum of places per limit."""
    taken = ReservationTotals({}, {}, {}, {})
    for place in places:
        if place.cap is not None:
            usage_key = (place.team_id, place.journey_id, place.channel)
            taken.usage[usage_key] = taken.usage.get(usage_key, 0) + place.messages
            taken.caps[usage_key] = min(place.cap, taken.caps.get(usage_key, place.cap))
        if place.quota_month is not None:
            quota_key = (place.team_id, place.account_id, place.quota_month)
            taken.quotas[quota_key] = taken.quotas.get(quota_key, 0) + place.messages
        if place.channel == Channel.WHATSAPP and place.price.micros:
            micros = place.price.micros * place.messages
            payer = (place.team_id, place.price.currency)
            taken.wallets[payer] = taken.wallets.get(payer, 0) + micros
    return taken
