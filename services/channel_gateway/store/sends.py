"""Storing sends: what is known beforehand, and the reservation in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from services.channel_gateway.domain.model import (
    DEFAULT_PRICES,
    Account,
    AccountState,
    Answer,
    Channel,
    Job,
    ModuleContent,
    Price,
    Reason,
    Send,
    SendState,
    TemplateContent,
)
from services.channel_gateway.domain.prepare import Catalogue, Prepared
from services.channel_gateway.domain.reserve import (
    Limits,
    Place,
    Purse,
    Quota,
    Reserved,
    Taken,
    add_up,
    decide,
    quota_month,
)
from services.channel_gateway.store.book import QUERIES, columns
from services.channel_gateway.store.facts import Fact, FactKind, Written, write_facts
from services.channel_gateway.store.rows import account_of, module_of, pack_parts, template_of

_SEND_WIDTH: Final = 22
_NO_PRICE: Final = Price("", 0)

SendKey = tuple[UUID, UUID]
"""Team, effect key."""


class KnownSendError(Exception):
    """Another call stored one of the keys at the same time; ask again for what is known."""


class Stored(NamedTuple):
    """What a reservation left behind."""

    decisions: list[Reserved | Answer]
    jobs: list[Job]
    """The accepted ones, for the sender."""
    written: Written


class SendStore:
    """Reads for, and writes of, `SendMessages`."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def known(self, sends: Sequence[Send]) -> tuple[dict[SendKey, Answer], Catalogue]:
        """First answers of the keys that are known, and the catalogue for the others. Deferred ones that are asked with
        another `not_after` count as unknown."""
        async with transaction(self._pool, {send.team_id for send in sends}) as connection:
            rows = await connection.fetch(
                QUERIES["find_known_sends"], [s.team_id for s in sends], [s.effect_key for s in sends]
            )
            stored = {(row["team_id"], row["effect_key"]): row for row in rows}
            answers = {}
            for send in sends:
                row = stored.get((send.team_id, send.effect_key))
                if row is not None and not _taken_up_anew(send, row):
                    answers[send.team_id, send.effect_key] = _first_answer(send, row)
            catalogue = await _load_catalogue(
                connection, [s for s in sends if (s.team_id, s.effect_key) not in answers]
            )
        return answers, catalogue

    async def last_inbound(self, keys: Sequence[tuple[UUID, UUID, str]]) -> dict[tuple[UUID, str], datetime]:
        """When the people (team, account, external id) last wrote, where we know."""
        if not keys:
            return {}
        async with transaction(self._pool, {key[0] for key in keys}) as connection:
            rows = await connection.fetch(QUERIES["find_inbound"], *columns(keys, 3))
        return {(row["account_id"], row["external_id"]): row["last_at"] for row in rows}

    async def reserve(
        self, sends: Sequence[Send], prepared: Sequence[Prepared | Answer], now: datetime, sender: UUID
    ) -> Stored:
        """Decides and stores new sends in one transaction: places, deliveries, facts. All keys must be different.

        Raises KnownSendError when a key was stored meanwhile; nothing is stored then.
        """
        async with transaction(self._pool, {send.team_id for send in sends}) as connection:
            limits = await _hold_limits(connection, sends, prepared, now)
            decisions = decide(zip(sends, prepared, strict=True), limits, now)
            await take(connection, add_up(_places(sends, decisions)), now, sign=1)
            await _store(connection, sends, decisions, now, sender)
            facts = [
                _refusal_fact(send, answer, now)
                for send, answer in zip(sends, decisions, strict=True)
                if isinstance(answer, Answer)
            ]
            written = await write_facts(connection, facts)
        jobs = [
            _job(send, reserved)
            for send, reserved in zip(sends, decisions, strict=True)
            if isinstance(reserved, Reserved)
        ]
        return Stored(decisions, jobs, written)


async def take(connection: Connection, taken: Taken, now: datetime, *, sign: int) -> None:
    """Takes places from the limits (`sign` 1) or gives them back (-1); rows in the one order of locking."""
    if taken.usage:
        rows = [(*key, sign * count) for key, count in sorted(taken.usage.items())]
        await connection.execute(QUERIES["add_usage"], *columns(rows, 4))
    if taken.quotas:
        quotas = [(*key, sign * count) for key, count in sorted(taken.quotas.items())]
        await connection.execute(QUERIES["add_plan_usage"], *columns(quotas, 4))
    if taken.wallets:
        wallets = [(team, -sign * micros) for team, micros in sorted(taken.wallets.items())]
        await connection.execute(QUERIES["add_balance"], *columns(wallets, 2), now)


def _taken_up_anew(send: Send, row: Any) -> bool:
    return (
        row["state"] == SendState.DEFERRED and row["not_after"] != send.not_after and _same_effect(send, row)
    )


def _same_effect(send: Send, row: Any) -> bool:
    return bool(
        row["customer_id"] == send.customer_id
        and row["enrolment_id"] == send.enrolment_id
        and row["journey_id"] == send.journey_id
        and row["node_id"] == send.node_id
    )


_UNSETTLED: Final = frozenset({SendState.ACCEPTED, SendState.SENDING})


def _first_answer(send: Send, row: Any) -> Answer:
    if not _same_effect(send, row):
        return Answer(SendState.FAILED, Reason.KEY_REUSED)
    # The mail of an outcome may have reached a caller who did not remember the send yet: it is told again here.
    if row["state"] in _UNSETTLED:
        return Answer(SendState.ACCEPTED, messages=row["messages"], replayed=True)
    return Answer(SendState(row["state"]), row["reason"], replayed=True)


async def _load_catalogue(connection: Connection, sends: Sequence[Send]) -> Catalogue:
    named = {(s.team_id, s.account_id) for s in sends if s.account_id is not None}
    open_channels = {(s.team_id, int(s.channel)) for s in sends if s.account_id is None}
    modules = {(s.team_id, s.content.bot_module_id) for s in sends if isinstance(s.content, ModuleContent)}
    templates = {
        (s.team_id, s.content.template_id) for s in sends if not isinstance(s.content, ModuleContent)
    }
    accounts: list[Account] = []
    if sends:
        arguments = (*columns(named, 2), *columns(open_channels, 2))
        accounts = [account_of(row) for row in await connection.fetch(QUERIES["find_accounts"], *arguments)]
    module_rows = await connection.fetch(QUERIES["find_modules"], *columns(modules, 2)) if modules else []
    template_rows = (
        await connection.fetch(QUERIES["find_templates"], *columns(templates, 2)) if templates else []
    )
    return Catalogue(
        accounts={(a.team_id, a.account_id): a for a in accounts},
        default_accounts=_default_accounts(accounts),
        modules={(row["team_id"], row["bot_module_id"]): module_of(row) for row in module_rows},
        templates={(row["team_id"], row["template_id"]): template_of(row) for row in template_rows},
    )


def _default_accounts(accounts: Sequence[Account]) -> dict[tuple[UUID, int], Account]:
    """The oldest active account of each channel, else the oldest. `accounts` come oldest first."""
    defaults: dict[tuple[UUID, int], Account] = {}
    for account in accounts:
        present = defaults.get((account.team_id, account.channel))
        better = present is None or (
            present.state is not AccountState.ACTIVE and account.state is AccountState.ACTIVE
        )
        if better:
            defaults[account.team_id, account.channel] = account
    return defaults


async def _hold_limits(
    connection: Connection, sends: Sequence[Send], prepared: Sequence[Prepared | Answer], now: datetime
) -> Limits:
    """Locks and reads all limits that the batch may touch, in the one order of locking."""
    limits = Limits()
    journeys = sorted({(s.team_id, s.journey_id) for s in sends})
    rows = await connection.fetch(QUERIES["hold_stops"], *columns(journeys, 2))
    if len(rows) < len(journeys):
        # Rows made by the first statement are seen, and held, by a second one only.
        rows = await connection.fetch(QUERIES["hold_stops"], *columns(journeys, 2))
    limits.stops = {(row["team_id"], row["journey_id"]): row["epoch"] for row in rows}
    live = [(s, p) for s, p in zip(sends, prepared, strict=True) if isinstance(p, Prepared)]
    if not live:
        return limits
    await _hold_usage(connection, limits, [s for s, _ in live if s.cap is not None])
    await _hold_quotas(connection, limits, [p.account for s, p in live if s.channel is Channel.LINE], now)
    await _hold_money(connection, limits, [s for s, _ in live])
    return limits


async def _hold_usage(connection: Connection, limits: Limits, capped: Sequence[Send]) -> None:
    keys = sorted({(s.team_id, s.journey_id, int(s.channel)) for s in capped})
    if keys:
        rows = await connection.fetch(QUERIES["hold_usage"], *columns(keys, 3))
        limits.usage = {(row["team_id"], row["journey_id"], row["channel"]): row["used"] for row in rows}


async def _hold_quotas(
    connection: Connection, limits: Limits, accounts: Sequence[Account], now: datetime
) -> None:
    keys = sorted({(a.team_id, a.account_id) for a in accounts})
    if keys:
        rows = await connection.fetch(QUERIES["hold_plan_usage"], *columns(keys, 2), quota_month(now))
        limits.quotas = {
            (row["team_id"], row["account_id"]): Quota(row["message_limit"], row["used"]) for row in rows
        }


async def _hold_money(connection: Connection, limits: Limits, sends: Sequence[Send]) -> None:
    teams = sorted({s.team_id for s in sends})
    limits.prices = {(team, channel): price for team in teams for channel, price in DEFAULT_PRICES.items()}
    for row in await connection.fetch(QUERIES["find_prices"], teams):
        limits.prices[row["team_id"], row["channel"]] = Price(row["currency"], row["micros"])
    payers = sorted({s.team_id for s in sends if s.channel is Channel.WHATSAPP})
    if payers:
        rows = await connection.fetch(QUERIES["hold_wallets"], payers)
        held = {row["team_id"]: Purse(row["currency"], row["balance_micros"]) for row in rows}
        limits.purses = {team: held.get(team) or Purse("", 0) for team in payers}


def _places(sends: Sequence[Send], decisions: Sequence[Reserved | Answer]) -> list[Place]:
    return [
        Place(
            send.team_id,
            send.journey_id,
            send.channel,
            reserved.prepared.account.account_id,
            reserved.price,
            reserved.capped,
            reserved.quota_month,
            len(reserved.prepared.parts),
        )
        for send, reserved in zip(sends, decisions, strict=True)
        if isinstance(reserved, Reserved)
    ]


async def _store(
    connection: Connection,
    sends: Sequence[Send],
    decisions: Sequence[Reserved | Answer],
    now: datetime,
    sender: UUID,
) -> None:
    rows = [_row(send, decision) for send, decision in zip(sends, decisions, strict=True)]
    stored = await connection.fetch(QUERIES["store_sends"], *columns(rows, _SEND_WIDTH), sender, now)
    if len(stored) != len(rows):
        raise KnownSendError


def _row(send: Send, decision: Reserved | Answer) -> tuple[Any, ...]:
    head = (
        send.team_id,
        send.effect_key,
        send.customer_id,
        send.enrolment_id,
        send.journey_id,
        send.node_id,
        send.channel,
    )
    tail = (send.stop_epoch, send.not_after, send.depth)
    if isinstance(decision, Answer):
        refused = (send.account_id, decision.state, False, str(decision.reason), 0, 0, "", False, None)
        return (*head, *refused, *tail, "", None, None)
    prepared = decision.prepared
    accepted = (
        prepared.account.account_id,
        SendState.ACCEPTED,
        True,
        "",
        len(prepared.parts),
        decision.price.micros,
        decision.price.currency,
        decision.capped,
        decision.quota_month,
    )
    return (*head, *accepted, *tail, prepared.recipient, pack_parts(prepared.parts), _template_id(send))


def _template_id(send: Send) -> UUID | None:
    return send.content.template_id if isinstance(send.content, TemplateContent) else None


def _refusal_fact(send: Send, answer: Answer, now: datetime) -> Fact:
    return Fact(
        FactKind.SEND_SETTLED,
        send.team_id,
        now,
        customer_id=send.customer_id,
        effect_key=send.effect_key,
        enrolment_id=send.enrolment_id,
        journey_id=send.journey_id,
        node_id=send.node_id,
        channel=send.channel,
        account_id=send.account_id,
        outcome=answer.state,
        reason=str(answer.reason),
        price=_NO_PRICE,
        depth=send.depth,
    )


def _job(send: Send, reserved: Reserved) -> Job:
    return Job(
        team_id=send.team_id,
        effect_key=send.effect_key,
        customer_id=send.customer_id,
        enrolment_id=send.enrolment_id,
        journey_id=send.journey_id,
        node_id=send.node_id,
        channel=send.channel,
        account_id=reserved.prepared.account.account_id,
        depth=send.depth,
        stop_epoch=send.stop_epoch,
        not_after=send.not_after,
        recipient=reserved.prepared.recipient,
        parts=reserved.prepared.parts,
        price=reserved.price,
        capped=reserved.capped,
        quota_month=reserved.quota_month,
        template_id=_template_id(send),
    )
