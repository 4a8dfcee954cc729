"""Facts of one commit as records: one row for each shard and team.

Sends that ended alike are one fact. Where their ends are mail, the database numbers it in the order of the rows.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from libs.common.feeds.gateway_records import pack_record
from libs.common.feeds.publisher import Ranges
from libs.common.feeds.records import SHARDS, epoch_us
from libs.common.ids import PARTITIONS
from services.channel_gateway.domain.facts import Fact, FactKind

RECORD_TAG: Final = 1
"""Tag of a record."""
RecordRow = tuple[int, UUID, list[UUID], bool, bytes]
"""Columns of `record_row`: shard, team, customers, whether they are mail, body."""


class SettledSends(NamedTuple):
    """What sends of one node that ended alike have in common, as `SettledFact` has it."""

    journey_id: UUID
    node_id: str
    channel: int
    account_id: UUID | bytes
    """Empty bytes where none was found."""
    outcome: int
    reason: str
    messages: int
    micros: int
    currency: str
    depth: int


class RecordBatch:
    """Sends that were settled in one commit, gathered into records: all are added first, then read."""

    def __init__(self, at: datetime, *, mailed: bool) -> None:
        """Settled at `at`; `mailed` where the customers' actors are told by mail."""
        self._at_us = epoch_us(at)
        self._mailed = mailed
        self._groups: dict[tuple[int, UUID], dict[SettledSends, list[int]]] = {}
        self._sends: list[tuple[UUID, UUID, UUID]] = []
        self._traces: dict[tuple[int, UUID], list[bytes]] = {}

    def add(
        self,
        shard: int,
        team_id: UUID,
        what: SettledSends,
        sends: Iterable[tuple[UUID, UUID, UUID]],
        traces: Sequence[bytes] = (),
    ) -> None:
        """Some more that ended alike, each as customer, effect key, enrolment; with the traces that they are on."""
        if traces:
            self._traces.setdefault((shard, team_id), []).extend(traces)
        start = len(self._sends)
        self._sends += sends
        alike = self._groups.setdefault((shard, team_id), {})
        alike.setdefault(what, []).extend(range(start, len(self._sends)))

    @functools.cached_property
    def _sorted(self) -> list[tuple[tuple[int, UUID], dict[SettledSends, list[int]], list[int]]]:
        """The records in the order of shards and teams, each with the places of its sends in order."""
        return [
            (key, alike, [index for indexes in alike.values() for index in indexes])
            for key, alike in sorted(self._groups.items())
        ]

    def rows(self) -> list[RecordRow]:
        """The records in the order of shards and teams."""
        sends = self._sends
        return [
            (
                *key,
                [sends[index][0] for index in indexes],
                self._mailed,
                self._body(alike, self._traces.get(key, ())),
            )
            for key, alike, indexes in self._sorted
        ]

    def order(self) -> list[list[int]]:
        """Of each record its sends, by their places in the order in which they were added."""
        return [indexes for _, _, indexes in self._sorted]

    def ranges(self, positions: Sequence[int]) -> Ranges:
        """What the records took, given their positions."""
        return ranges_of_records(zip((key[0] for key, _, _ in self._sorted), positions, strict=True))

    def _body(self, alike: dict[SettledSends, list[int]], traces: Sequence[bytes]) -> bytes:
        sends = self._sends
        facts = [
            (
                FactKind.SEND_SETTLED,
                *what,
                b"".join([part.bytes for index in indexes for part in sends[index][1:]]),
            )
            for what, indexes in alike.items()
        ]
        return pack_record((RECORD_TAG, self._at_us, facts, *([traces] if traces else ())))


def content_rows(facts: Iterable[Fact]) -> list[RecordRow]:
    """Records of facts of content, one each."""
    return [
        (
            fact.content_id.int % SHARDS,
            fact.team_id,
            [],
            False,
            pack_record(
                (
                    RECORD_TAG,
                    epoch_us(fact.occurred_at),
                    [(fact.kind, fact.outcome, fact.content_id, fact.reason)],
                )
            ),
        )
        for fact in facts
    ]


def ranges_of_records(places: Iterable[tuple[int, int]]) -> Ranges:
    """The ranges of records, (shard, position) in any order: a record is one of all partitions of its shard."""
    shards: dict[int, tuple[int, int]] = {}
    for shard, position in places:
        first, last = shards.get(shard, (position, position))
        shards[shard] = (min(position, first), max(position, last))
    return {p: span for shard, span in shards.items() for p in range(shard, PARTITIONS, SHARDS)}
