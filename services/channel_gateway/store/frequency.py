"""Frequency caps of teams, and what counts under them.

A batch holds the caps of its teams from before it looks at what their customers got until its commit, so batches of
such a team come one after the other, whichever process they are of (ADR 41).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.frequency import PERIOD_MAX, CountedSend, FrequencyRule
from libs.common.ids import CustomerKey
from services.channel_gateway.domain.model import Send, SendAnswer, is_test
from services.channel_gateway.domain.prepare import Prepared
from services.channel_gateway.domain.reserve import Limits, Reserved
from services.channel_gateway.domain.views import FrequencyCap
from services.channel_gateway.store.book import QUERIES, columns

UNDER_WAY_MAX: Final = timedelta(days=7)
"""A send is settled so soon after its reservation, whatever its channel does."""
OLD_USES_MAX: Final = 1_000
"""Uses that count no more, of which a batch clears so many away."""

_RULES: Final = msgspec.json.Decoder(tuple[FrequencyRule, ...])


def rules_text(rules: Iterable[FrequencyRule]) -> str:
    """The JSON that rules are stored as."""
    return msgspec.json.encode(tuple(rules)).decode()


def read_rules(text: str) -> tuple[FrequencyRule, ...]:
    """The rules stored as this JSON."""
    return _RULES.decode(text)


class FrequencyStore:
    """Reads outside of writes."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def cap(self, team_id: UUID) -> FrequencyCap:
        """A team's cap."""
        async with transaction(self._pool, [team_id]) as connection:
            row = await connection.fetchrow(*QUERIES.bind("get_frequency_cap", team_id=team_id))
        return FrequencyCap((), 0) if row is None else FrequencyCap(read_rules(row["rules"]), row["version"])


async def hold_cap(connection: Connection, team_id: UUID, now: datetime) -> FrequencyCap:
    """Locks a team's cap, which is made where there was none."""
    await connection.execute(*QUERIES.bind("make_frequency_cap", team_id=team_id, now=now))
    row = await connection.fetchrow(*QUERIES.bind("hold_frequency_cap", team_id=team_id))
    assert row is not None, "it was made just now"
    return FrequencyCap(read_rules(row["rules"]), row["version"])


async def set_cap(
    connection: Connection, team_id: UUID, rules: Sequence[FrequencyRule], now: datetime
) -> FrequencyCap:
    """Sets the rules of a cap that is held; every batch that begins after the commit goes by them."""
    text = rules_text(rules)
    row = await connection.fetchrow(*QUERIES.bind("set_frequency_cap", team_id=team_id, rules=text, now=now))
    assert row is not None, "it is held"
    await connection.execute(*QUERIES.bind("outdate_catalogue", team_id=team_id))
    if not rules:
        await connection.execute(*QUERIES.bind("drop_frequency_uses", team_id=team_id))
    return FrequencyCap(read_rules(row["rules"]), row["version"])


async def hold_frequency(
    connection: Connection,
    limits: Limits,
    sends: Sequence[tuple[Send, Prepared | SendAnswer]],
    capped: Collection[UUID],
    now: datetime,
) -> None:
    """Locks the caps of those of the teams `capped` that have one, and reads what the customers of a batch got."""
    teams = sorted({send.team_id for send, _ in sends} & set(capped))
    if not teams:
        return
    rows = await connection.fetch(*QUERIES.bind("hold_frequency_caps", teams=teams))
    limits.frequency = {row["team_id"]: read_rules(row["rules"]) for row in rows}
    customers = {
        (send.team_id, send.customer_id)
        for send, prepared in sends
        if isinstance(prepared, Prepared) and send.team_id in limits.frequency
    }
    if not customers:
        return
    team_ids, customer_ids = columns(sorted(customers), 2)
    found = await connection.fetch(
        *QUERIES.bind(
            "find_frequency_uses",
            teams=team_ids,
            customer_ids=customer_ids,
            since=now - PERIOD_MAX - UNDER_WAY_MAX,
        )
    )
    counted: dict[CustomerKey, list[CountedSend]] = {}
    for row in found:
        got = CountedSend(row["channel"], row["messages"], row["settled_at"])
        counted.setdefault((row["team_id"], row["customer_id"]), []).append(got)
    limits.counted = counted


async def note_uses(
    connection: Connection,
    limits: Limits,
    sends: Sequence[Send],
    decisions: Sequence[Reserved | SendAnswer],
    now: datetime,
) -> None:
    """Notes the sends that were accepted under a cap, and clears away some that count no more."""
    accepted = [
        (send.team_id, send.customer_id, send.effect_key)
        for send, decision in zip(sends, decisions, strict=True)
        if isinstance(decision, Reserved)
        and send.team_id in limits.frequency
        and not is_test(send.journey_id, send.node_id)
    ]
    if not accepted:
        return
    teams, customer_ids, effect_keys = columns(accepted, 3)
    await connection.execute(
        *QUERIES.bind(
            "note_frequency_uses", teams=teams, customer_ids=customer_ids, effect_keys=effect_keys, now=now
        )
    )
    until = now - PERIOD_MAX - UNDER_WAY_MAX
    await connection.execute(
        *QUERIES.bind("drop_old_frequency_uses", teams=list(limits.frequency), until=until, most=OLD_USES_MAX)
    )
