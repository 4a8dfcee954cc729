"""Sends whose answer was lost and whose channel says itself that it has their messages: they are sent after all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.common.db.pool import Pool, transaction
from libs.common.feeds.gateway_records import pack_record
from libs.common.feeds.records import SHARDS, epoch_us
from libs.common.ids import partition_of
from services.channel_gateway.domain.facts import FactKind
from services.channel_gateway.domain.hearsay import MessageKey
from services.channel_gateway.domain.model import SendState, is_test
from services.channel_gateway.store.book import QUERIES, columns
from services.channel_gateway.store.facts import Written
from services.channel_gateway.store.records import RECORD_TAG, RecordRow, ranges_of_records

PAGE_MAX: Final = 500
"""Sends of one look."""
_Alike = tuple[UUID, str, int, UUID, SendState, SendState, int, int]
"""Journey, node, channel, account, state before and now, when it was settled, messages."""
_Send = tuple[UUID, UUID, UUID]
"""Customer, key of the effect, enrolment."""


class TakenStore:
    """Keeps what channels say that they have until the send is settled, and goes by it then."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def note(
        self, team_id: UUID, taken: Mapping[MessageKey, tuple[UUID, str]], now: datetime
    ) -> list[UUID]:
        """Notes what is news of the account's sends; the keys of those of them whose answer was lost."""
        keys, accounts = columns(sorted(taken), 2), columns((taken[key] for key in sorted(taken)), 2)
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(
                *QUERIES.bind(
                    "note_taken",
                    team_id=team_id,
                    effect_keys=keys[0],
                    numbers=keys[1],
                    account_ids=accounts[0],
                    message_ids=accounts[1],
                    now=now,
                )
            )
        return [row["effect_key"] for row in rows]

    async def due(self) -> dict[UUID, list[UUID]]:
        """Settled sends of which something is noted, by team."""
        due: dict[UUID, list[UUID]] = {}
        for row in await self._pool.fetch(*QUERIES.bind("find_taken_due", most=PAGE_MAX)):
            due.setdefault(row["team_id"], []).append(row["effect_key"])
        return due

    async def resolve(self, team_id: UUID, effect_keys: Iterable[UUID], now: datetime) -> tuple[int, Written]:
        """Settles anew those of the sends that are unknown and of which the last message is noted: nothing is in doubt
        then, since each message leaves when the one before has its answer. What is noted of the others is dropped.
        How many, and what is written of them."""
        keys = {"team_id": team_id, "effect_keys": sorted(effect_keys)}
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(*QUERIES.bind("hold_unknown", **keys))
            keys["effect_keys"] = [row["effect_key"] for row in rows]
            reports = await connection.fetch(*QUERIES.bind("take_taken", **keys))
            ids = {(row["effect_key"], row["number"]): row["message_id"] for row in reports}
            found = [
                (row, message_id)
                for row in rows
                if (message_id := ids.get((row["effect_key"], row["messages"] - 1))) is not None
                and row["state"] == SendState.UNKNOWN
            ]
            if not found:
                return 0, Written([], {})
            places, message_ids = columns(((row["place"], message_id) for row, message_id in found), 2)
            await connection.execute(*QUERIES.bind("resolve_sends", places=places, message_ids=message_ids))
            records = _records(team_id, [row for row, _ in found], now)
            if not records:
                return len(found), Written([], {})
            positions = await connection.fetchval(*QUERIES.bind("append_records", records=records))
        ranges = ranges_of_records(zip((row[0] for row in records), positions, strict=True))
        return len(found), Written([], ranges)


def _records(team_id: UUID, rows: Sequence[Any], now: datetime) -> list[RecordRow]:
    """A record for each shard, with no mail: journeys went on when the send was unknown."""
    shards: dict[int, dict[_Alike, list[_Send]]] = {}
    for row in rows:
        if is_test(row["journey_id"], row["node_id"]):
            continue
        alike = (
            *(row["journey_id"], row["node_id"], row["channel"], row["account_id"]),
            *(SendState.UNKNOWN, SendState.SENT, epoch_us(row["settled_at"])),
            row["messages"] - row["messages_reported"],
        )
        send = (row["customer_id"], row["effect_key"], row["enrolment_id"])
        shard = partition_of(team_id, row["customer_id"]) % SHARDS
        shards.setdefault(shard, {}).setdefault(alike, []).append(send)
    return [
        (
            shard,
            team_id,
            [customer for sends in facts.values() for customer, _, _ in sends],
            False,
            pack_record((RECORD_TAG, epoch_us(now), [_fact(*each) for each in facts.items()])),
        )
        for shard, facts in sorted(shards.items())
    ]


def _fact(alike: _Alike, sends: Sequence[_Send]) -> tuple[Any, ...]:
    return (
        FactKind.SEND_RESOLVED,
        *alike,
        b"".join(key.bytes + enrolment.bytes for _, key, enrolment in sends),
    )
