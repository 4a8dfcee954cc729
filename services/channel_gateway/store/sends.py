"""Storing sends: what is stored under their keys already, and the reservation in one transaction."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from libs.common.db.pool import Connection, Pool, fetch_alone, transaction
from services.channel_gateway.domain.model import (
    DEFAULT_PRICES,
    Account,
    BegunSend,
    Channel,
    Job,
    Price,
    Reason,
    Send,
    SendAnswer,
    SendState,
)
from services.channel_gateway.domain.prepare import Catalogue, Prepared
from services.channel_gateway.domain.reserve import (
    Limits,
    Quota,
    Reserved,
    Wallet,
    decide,
    quota_month,
)
from services.channel_gateway.store.book import QUERIES, columns
from services.channel_gateway.store.catalogue import CatalogueStore
from services.channel_gateway.store.errors import reservation_conflicts
from services.channel_gateway.store.facts import Written
from services.channel_gateway.store.frequency import hold_frequency, note_uses
from services.channel_gateway.store.limited import find_limited
from services.channel_gateway.store.rows import parts_of
from services.channel_gateway.store.send_groups import SendBatch, template_of
from services.channel_gateway.store.vault import Vault

SendKey = tuple[UUID, UUID]
"""Team, effect key."""
_ANY_EPOCH: Final = 2**63 - 1
"""No stop is in the way of it: the epochs are read after they are locked."""


class StoredSends(NamedTuple):
    """What the database knows of a batch."""

    answers: dict[SendKey, SendAnswer]
    re_reserve: set[UUID]
    """Effect keys of sends that were put off or refused, and are asked again otherwise."""
    begun: dict[UUID, BegunSend]
    """Of those, by their effect keys, the ones of which some messages have left."""
    catalogue: Catalogue
    """For the sends that have no answer."""


class Stored(NamedTuple):
    """What a reservation left behind."""

    decisions: list[Reserved | SendAnswer]
    jobs: list[Job]
    """The accepted ones, for the sender."""
    written: Written


class SendStore:
    """Reads for, and writes of, `SendMessages`."""

    def __init__(self, pool: Pool, vault: Vault) -> None:
        """`pool` of the service's own role; `vault` opens the accounts' secrets."""
        self._pool = pool
        self.catalogue = CatalogueStore(pool, vault)

    async def find_stored(self, sends: Sequence[Send]) -> StoredSends:
        """First answers of the keys that are stored already, and the catalogue for the others, as it is now."""
        async with transaction(self._pool, {send.team_id for send in sends}) as connection:
            rows = await connection.fetch(
                *QUERIES.bind(
                    "find_sends", teams=[s.team_id for s in sends], effect_keys=[s.effect_key for s in sends]
                )
            )
            stored = {(row["team_id"], row["effect_key"]): row for row in rows}
            answers: dict[SendKey, SendAnswer] = {}
            re_reserve: set[UUID] = set()
            begun: dict[UUID, BegunSend] = {}
            for send in sends:
                row = stored.get((send.team_id, send.effect_key))
                if row is not None and _is_to_re_reserve(send, row):
                    re_reserve.add(send.effect_key)
                    if row["parts_sent"] or row["doubtful"]:
                        begun[send.effect_key] = _begun_of(row)
                elif row is not None:
                    answers[send.team_id, send.effect_key] = _first_answer(send, row)
            unknown = [s for s in sends if (s.team_id, s.effect_key) not in answers]
            return StoredSends(answers, re_reserve, begun, await self.catalogue.read(connection, unknown))

    async def last_inbound(self, keys: Sequence[tuple[UUID, UUID, str]]) -> dict[tuple[UUID, str], datetime]:
        """When the people (team, account, external id) last wrote, where we know."""
        if not keys:
            return {}
        async with transaction(self._pool, {key[0] for key in keys}) as connection:
            rows = await connection.fetch(QUERIES["find_inbound"], *columns(keys, 3))
        return {(row["account_id"], row["external_id"]): row["last_at"] for row in rows}

    async def store(self, batch: SendBatch, catalogue: Catalogue, sender: UUID, stint: UUID) -> Written:
        """Stores sends that are taken to fit, in one round trip: places, deliveries, facts, or nothing.

        Raises ReservationConflictError when a key is stored already, a limit or a stop is in the way, or the catalogue
        is old.
        """
        with reservation_conflicts():
            rows = await fetch_alone(
                self._pool, *QUERIES.bind("reserve_sends", **batch.arguments(catalogue, sender, stint))
            )
        return Written([], batch.refused.ranges(rows[0][0]))

    async def decide(
        self,
        sends: Sequence[Send],
        prepared: Sequence[Prepared | SendAnswer],
        stored: StoredSends,
        now: datetime,
        *,
        capped: Collection[UUID],
        sender: UUID,
        stint: UUID,
    ) -> Stored:
        """Decides send by send under the limits' locks, and stores. All keys must be different; `stored` is what the
        database knows of them. `capped` are the teams
        with a frequency cap.

        Raises KeyTakenError when a key was stored meanwhile; nothing is stored then.
        """
        async with transaction(self._pool, {send.team_id for send in sends}) as connection:
            limits = await _hold_limits(connection, sends, prepared, capped, now)
            decisions = [
                _unknown(decision) if _is_in_doubt(stored.begun.get(send.effect_key), decision) else decision
                for send, decision in zip(
                    sends, decide(zip(sends, prepared, strict=True), limits, now), strict=True
                )
            ]
            jobs = jobs_of(sends, decisions)
            batch = SendBatch(*_stored_of(sends, decisions), [SendState.ACCEPTED] * len(jobs), now)
            if not batch.groups:
                return Stored(decisions, [], Written([], {}))
            with reservation_conflicts():
                positions = await connection.fetchval(
                    *QUERIES.bind(
                        "reserve_sends", **batch.decided_arguments(sender, stint, stored.re_reserve)
                    )
                )
            await note_uses(connection, limits, sends, decisions, now)
        return Stored(decisions, jobs, Written([], batch.refused.ranges(positions)))


def _is_in_doubt(begun: BegunSend | None, decision: Reserved | SendAnswer) -> bool:
    """Whether a send ends here of which a message may have left."""
    ends = isinstance(decision, SendAnswer) and decision.state is not SendState.DEFERRED
    return begun is not None and begun.doubtful and ends


def _unknown(decision: Reserved | SendAnswer) -> SendAnswer:
    return SendAnswer(SendState.UNKNOWN, decision.reason if isinstance(decision, SendAnswer) else "")


def _is_to_re_reserve(send: Send, row: Any) -> bool:
    asked_otherwise = row["stop_epoch"] < send.stop_epoch
    if row["state"] == SendState.DEFERRED:
        asked_otherwise = asked_otherwise or row["not_after"] != send.not_after
    return asked_otherwise and row["state"] in _PUT_OFF and _same_effect(send, row)


def _begun_of(row: Any) -> BegunSend:
    return BegunSend(
        row["account_id"],
        row["recipient"],
        parts_of(row) if row["parts"] is not None else [],
        row["parts_sent"],
        list(row["message_ids"]),
        Price(row["currency"], row["price_micros"]),
        row["doubtful"],
        row["age_s"] or 0.0,
    )


def _same_effect(send: Send, row: Any) -> bool:
    return bool(
        row["customer_id"] == send.customer_id
        and row["enrolment_id"] == send.enrolment_id
        and row["journey_id"] == send.journey_id
        and row["node_id"] == send.node_id
    )


_PUT_OFF: Final = frozenset({SendState.DEFERRED, SendState.CANCELLED})
_UNSETTLED: Final = frozenset({SendState.ACCEPTED, SendState.IN_FLIGHT})


def _first_answer(send: Send, row: Any) -> SendAnswer:
    if not _same_effect(send, row):
        return SendAnswer(SendState.FAILED, Reason.KEY_REUSED)
    # The mail of an outcome may have reached a caller who did not remember the send yet: it is answered once more here.
    if row["state"] in _UNSETTLED:
        return SendAnswer(SendState.ACCEPTED, messages=row["messages"], replayed=True)
    state = SendState(row["state"])
    return SendAnswer(state, row["reason"], replayed=True, settled_at=row["settled_at"])


def _stored_of(
    sends: Sequence[Send], decisions: Sequence[Reserved | SendAnswer]
) -> tuple[list[Send], list[Reserved | SendAnswer]]:
    """Sends that are stored, with what was decided: all but those that wait for room, of which nothing came yet."""
    kept = [
        (send, decision)
        for send, decision in zip(sends, decisions, strict=True)
        if isinstance(decision, Reserved) or decision.room_at is None
    ]
    return [send for send, _ in kept], [decision for _, decision in kept]


async def _hold_limits(
    connection: Connection,
    sends: Sequence[Send],
    prepared: Sequence[Prepared | SendAnswer],
    capped: Collection[UUID],
    now: datetime,
) -> Limits:
    """Locks and reads all limits that the batch may touch, in the one order of locking."""
    limits = Limits()
    journeys = sorted({(s.team_id, s.journey_id) for s in sends})
    held = columns(journeys, 2)
    stops = [(*journey, _ANY_EPOCH) for journey in journeys]
    await connection.execute(*QUERIES.bind("hold_stops", stops=stops))
    rows = await connection.fetch(QUERIES["find_stops"], *held)
    limits.stops = {(row["team_id"], row["journey_id"]): row["epoch"] for row in rows}
    live = [(s, p) for s, p in zip(sends, prepared, strict=True) if isinstance(p, Prepared)]
    if not live:
        return limits
    await _look_for_opt_outs(connection, limits, live)
    limits.limited = await find_limited(connection, live, now)
    await hold_frequency(connection, limits, live, capped, now)
    await _hold_usage(connection, limits, [s for s, _ in live if s.cap is not None])
    await _hold_quotas(connection, limits, [p.account for s, p in live if s.channel is Channel.LINE], now)
    await _hold_money(connection, limits, [s for s, _ in live])
    return limits


async def _look_for_opt_outs(
    connection: Connection, limits: Limits, live: Sequence[tuple[Send, Prepared]]
) -> None:
    people = sorted({(s.team_id, int(s.channel), p.recipient, s.customer_id) for s, p in live})
    teams, channels, external_ids, customer_ids = columns(people, 4)
    query = QUERIES.bind(
        "find_opt_outs",
        teams=teams,
        channels=channels,
        external_ids=external_ids,
        customer_ids=customer_ids,
        bound=list(set(teams)),
    )
    limits.opted_out = {tuple(row) for row in await connection.fetch(*query)}


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
        teams, account_ids = columns(keys, 2)
        rows = await connection.fetch(
            *QUERIES.bind("hold_plan_usage", teams=teams, account_ids=account_ids, month=quota_month(now))
        )
        limits.quotas = {
            (row["team_id"], row["account_id"]): Quota(row["message_limit"], row["used"]) for row in rows
        }


async def _hold_money(connection: Connection, limits: Limits, sends: Sequence[Send]) -> None:
    teams = sorted({s.team_id for s in sends})
    limits.prices = {(team, channel): price for team in teams for channel, price in DEFAULT_PRICES.items()}
    for row in await connection.fetch(*QUERIES.bind("find_prices", teams=teams)):
        limits.prices[row["team_id"], row["channel"]] = Price(row["currency"], row["micros"])
    payers = sorted({s.team_id for s in sends if s.channel is Channel.WHATSAPP})
    if payers:
        rows = await connection.fetch(*QUERIES.bind("hold_wallets", teams=payers))
        held = {row["team_id"]: Wallet(row["currency"], row["balance_micros"]) for row in rows}
        limits.wallets = {team: held.get(team) or Wallet("", 0) for team in payers}


def jobs_of(sends: Sequence[Send], decisions: Sequence[Reserved | SendAnswer]) -> list[Job]:
    """The accepted sends, for the sender."""
    return [
        _job(send, reserved)
        for send, reserved in zip(sends, decisions, strict=True)
        if isinstance(reserved, Reserved)
    ]


def _job(send: Send, reserved: Reserved) -> Job:
    prepared = reserved.prepared
    job = Job(
        send.team_id,
        send.effect_key,
        send.customer_id,
        send.enrolment_id,
        send.journey_id,
        send.node_id,
        send.channel,
        prepared.account.account_id,
        send.depth,
        send.stop_epoch,
        send.not_after,
        prepared.recipient,
        prepared.parts,
        reserved.price,
        template_of(send),
        trace=send.trace,
    )
    if prepared.begun is not None:
        job.parts_sent = job.messages_reported = prepared.begun.parts_sent
        job.message_ids = list(prepared.begun.message_ids)
        job.doubtful = prepared.begun.doubtful
        job.began_s = time.monotonic() - prepared.begun.age_s if prepared.begun.age_s else None
    return job
