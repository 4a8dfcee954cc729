"""What channels told, noted: each kind in one transaction, in the order of keys."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.feeds.gateway_records import pack_record
from libs.common.feeds.records import SHARDS, epoch_us
from libs.common.ids import partition_of
from libs.common.moved_ids import KEPT, STEPS_MAX, Move
from services.channel_gateway.domain.facts import FactKind
from services.channel_gateway.domain.heard import Preference
from services.channel_gateway.domain.hearsay import AccountPerson, ChannelPerson, PersonMoved, Reply
from services.channel_gateway.domain.model import Channel, SendState, is_test
from services.channel_gateway.domain.moved_people import Moves
from services.channel_gateway.domain.page_receipts import SentToPerson
from services.channel_gateway.domain.receipts import ReceiptKind, after, new_steps
from services.channel_gateway.domain.windows import SERVICE_WINDOW
from services.channel_gateway.store.book import QUERIES, columns
from services.channel_gateway.store.charges import note_refunds_due
from services.channel_gateway.store.facts import Written
from services.channel_gateway.store.records import RECORD_TAG, RecordRow, ranges_of_records

RECEIPT_SENDS_MAX: Final = 200
"""Newest sends to one person that a receipt is looked for among."""
NO_TRACES: Final[Mapping[UUID, bytes]] = {}
NO_FAILURES: Final[Mapping[UUID, str]] = {}
_Alike = tuple[UUID, str, int, UUID, ReceiptKind, str]
"""Journey, node, channel, account and step, and why it failed."""
_Send = tuple[UUID, UUID, UUID]
"""Customer, key of the effect, enrolment."""


class HeardStore:
    """Writes of what channels told."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def note_messages(self, team_id: UUID, last: Mapping[AccountPerson, datetime]) -> None:
        """Notes when people last wrote; never goes back."""
        rows = [(*person, at) for person, at in sorted(last.items())]
        async with transaction(self._pool, [team_id]) as connection:
            await connection.execute(QUERIES["note_messages"], team_id, *columns(rows, 3))

    async def note_sent(self, team_id: UUID, last: Mapping[AccountPerson, tuple[datetime, UUID]]) -> None:
        """Notes the last send to people, which what they write next answers; never goes back."""
        rows = [(*person, key, at) for person, (at, key) in sorted(last.items())]
        accounts, external_ids, keys, times = columns(rows, 4)
        async with transaction(self._pool, [team_id]) as connection:
            await connection.execute(
                *QUERIES.bind(
                    "note_sent",
                    team_id=team_id,
                    account_ids=accounts,
                    external_ids=external_ids,
                    effect_keys=keys,
                    times=times,
                )
            )

    async def answered(self, team_id: UUID, replies: Iterable[Reply]) -> list[tuple[UUID, UUID]]:
        """The sends that replies answer: the account, and the key of the effect."""
        accounts, external_ids, times, answered_ids = columns(sorted(replies), 4)
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(
                *QUERIES.bind(
                    "find_answered",
                    team_id=team_id,
                    account_ids=accounts,
                    external_ids=external_ids,
                    times=times,
                    answered_ids=answered_ids,
                    window=SERVICE_WINDOW,
                )
            )
        return [(row["account_id"], row["effect_key"]) for row in rows]

    async def note_preferences(self, team_id: UUID, heard: Mapping[ChannelPerson, Preference]) -> None:
        """Notes who wants messages no more, or again; what is older than what is known changes nothing."""
        rows = [
            (*person, not preference.wanted, preference.source, preference.at)
            for person, preference in sorted(heard.items())
        ]
        async with transaction(self._pool, [team_id]) as connection:
            await connection.execute(QUERIES["note_preferences"], team_id, *columns(rows, 5))

    async def moves_of(self, team_id: UUID, people: Collection[AccountPerson]) -> Moves:
        """By which ids people are known since when who were known by others, one change after the other."""
        found: dict[AccountPerson, list[Move]] = {}
        asked, looked_at = set(people), set[AccountPerson]()
        async with transaction(self._pool, [team_id]) as connection:
            for _ in range(STEPS_MAX):
                if not (asked := asked - looked_at):
                    break
                looked_at |= asked
                account_ids, external_ids = columns(sorted(asked), 2)
                query = QUERIES.bind(
                    "find_moves", team_id=team_id, account_ids=account_ids, external_ids=external_ids
                )
                asked = set()
                for row in await connection.fetch(*query):
                    move = Move(row["moved_at"], row["moved_to"])
                    found.setdefault((row["account_id"], row["old_id"]), []).append(move)
                    asked.add((row["account_id"], move.moved_to))
        return found

    async def note_moved(self, team_id: UUID, person: PersonMoved, now: datetime) -> None:
        """What is known of a person under one id is known under another: when they last wrote, what they want, whether
        they get marketing. Of two times the later counts; told again, nothing changes."""
        channel, account_id, moved = person
        ids = {"team_id": team_id, "old_id": moved.external_id, "new_id": moved.moved_to, "at": moved.at}
        async with transaction(self._pool, [team_id]) as connection:
            await connection.execute(*QUERIES.bind("move_inbound", account_id=account_id, **ids))
            await connection.execute(
                *QUERIES.bind("remember_move", account_id=account_id, forgotten_before=now - KEPT, **ids)
            )
            await connection.execute(*QUERIES.bind("follow_preference", channel=channel, **ids))
            await connection.execute(*QUERIES.bind("follow_limit", channel=channel, **ids))

    async def sends_to(
        self, team_id: UUID, people: Iterable[AccountPerson]
    ) -> dict[AccountPerson, list[SentToPerson]]:
        """The newest sends to people of pages and Instagram accounts of which not all may have been told."""
        found: dict[AccountPerson, list[SentToPerson]] = {}
        account_ids, external_ids = columns(sorted(people), 2)
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(
                *QUERIES.bind(
                    "find_sends_to",
                    team_id=team_id,
                    account_ids=account_ids,
                    external_ids=external_ids,
                    read=ReceiptKind.READ,
                    most=RECEIPT_SENDS_MAX,
                )
            )
        for row in rows:
            send = SentToPerson(
                row["effect_key"],
                SendState(row["state"]),
                tuple(row["message_ids"]),
                row["created_at"],
            )
            found.setdefault((row["account_id"], row["recipient"]), []).append(send)
        return found

    async def note_receipts(
        self,
        team_id: UUID,
        heard: Mapping[UUID, tuple[UUID, Sequence[ReceiptKind]]],
        now: datetime,
        traces: Mapping[UUID, bytes] = NO_TRACES,
        *,
        failures: Mapping[UUID, str] = NO_FAILURES,
    ) -> Written:
        """Notes how far sends came, and records each step that is new. What is of no send of that account is
        passed over. By the keys of their effects, `traces` are those that the sends are on, and `failures` is why those
        failed that did, where it is known."""
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(
                *QUERIES.bind("hold_receipts", team_id=team_id, effect_keys=list(heard))
            )
            steps = [(row, _steps(row, heard[row["effect_key"]][1])) for row in rows]
            new = [
                (row, own) for row, own in steps if own and row["account_id"] == heard[row["effect_key"]][0]
            ]
            if not new:
                return Written([], {})
            return await _write(connection, team_id, new, now, traces, failures=failures)


def _steps(row: Any, kinds: Sequence[ReceiptKind]) -> list[ReceiptKind]:
    steps: list[ReceiptKind] = []
    for kind in kinds:
        steps += new_steps(after(row["receipt"], steps), kind, several=row["messages"] > 1)
    return steps


async def _write(
    connection: Connection,
    team_id: UUID,
    new: Sequence[tuple[Any, Sequence[ReceiptKind]]],
    now: datetime,
    traces: Mapping[UUID, bytes],
    *,
    failures: Mapping[UUID, str],
) -> Written:
    places, receipts = columns([(row["place"], after(row["receipt"], steps)) for row, steps in new], 2)
    await connection.execute(*QUERIES.bind("note_receipts", places=places, receipts=receipts))
    failed = [row["effect_key"] for row, steps in new if steps[-1] is ReceiptKind.FAILED and _is_prepaid(row)]
    if failed:
        await note_refunds_due(connection, team_id, failed, now)
    shown = [(row, steps) for row, steps in new if not is_test(row["journey_id"], row["node_id"])]
    records = _records(team_id, shown, now, traces, failures=failures)
    if not records:
        return Written([], {})
    positions = await connection.fetchval(*QUERIES.bind("append_records", records=records))
    return Written([], ranges_of_records(zip((row[0] for row in records), positions, strict=True)))


def _is_prepaid(row: Any) -> bool:
    return bool(row["channel"] == Channel.WHATSAPP and row["price_micros"])


def _records(
    team_id: UUID,
    new: Sequence[tuple[Any, Sequence[ReceiptKind]]],
    now: datetime,
    traces: Mapping[UUID, bytes],
    *,
    failures: Mapping[UUID, str],
) -> list[RecordRow]:
    """A record for each shard, with no mail: nobody waits for receipts."""
    shards: dict[int, dict[_Alike, list[_Send]]] = {}
    for row, steps in new:
        send = (row["customer_id"], row["effect_key"], row["enrolment_id"])
        shard = partition_of(team_id, row["customer_id"]) % SHARDS
        for step in steps:
            why = failures.get(row["effect_key"], "") if step is ReceiptKind.FAILED else ""
            alike = (row["journey_id"], row["node_id"], row["channel"], row["account_id"], step, why)
            shards.setdefault(shard, {}).setdefault(alike, []).append(send)
    return [
        (
            shard,
            team_id,
            [customer for sends in facts.values() for customer, _, _ in sends],
            False,
            pack_record(
                (
                    RECORD_TAG,
                    epoch_us(now),
                    [_fact(*each) for each in facts.items()],
                    *_traces_of(facts, traces),
                )
            ),
        )
        for shard, facts in sorted(shards.items())
    ]


def _traces_of(facts: Mapping[_Alike, Sequence[_Send]], traces: Mapping[UUID, bytes]) -> list[list[bytes]]:
    """What a record says of traces: nothing where there are none."""
    keys = dict.fromkeys(key for sends in facts.values() for _, key, _ in sends) if traces else {}
    on = [traces[key] for key in keys if key in traces]
    return [on] if on else []


def _fact(alike: _Alike, sends: Sequence[_Send]) -> tuple[Any, ...]:
    *what, why = alike
    packed = b"".join(key.bytes + enrolment.bytes for _, key, enrolment in sends)
    return (FactKind.RECEIPT, *what, packed, *([why] if why else []))
