"""Openings of links, recorded: the opening, the link's figures and the fact in one transaction of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.feeds.gateway_records import pack_record
from libs.common.feeds.records import epoch_us, shard_of
from libs.common.ids import epoch_ms, new_ids, partition_of
from services.channel_gateway.domain.clicks import Opening
from services.channel_gateway.domain.facts import FactKind
from services.channel_gateway.domain.model import is_test
from services.channel_gateway.store.book import QUERIES, columns
from services.channel_gateway.store.facts import Written
from services.channel_gateway.store.records import RECORD_TAG, RecordRow, ranges_of_records

TARGETS_MAX: Final = 20_000
"""Addresses that are remembered, of 2 kB at the most; more than that, and all are read again."""

_Alike = tuple[UUID, str, int, UUID]
"""Journey, node, channel and account."""


class Target(NamedTuple):
    """What a link leads to."""

    team_id: UUID
    url: str


class Recorded(NamedTuple):
    """What became of a batch."""

    urls: list[str | None]
    """Where each leads; None for what is no link any more."""
    written: Written


class ClickStore:
    """Records openings."""

    def __init__(self, pool: Pool, lifetime: timedelta) -> None:
        """`pool` of the service's own role; links are of no use when their message is older than `lifetime`."""
        self._pool = pool
        self._lifetime = lifetime
        self._targets: dict[int, Target] = {}

    async def record(self, openings: Sequence[Opening], now: datetime) -> Recorded:
        """Records each opening of a link that there is."""
        targets = await self._known({opening.token.link_id for opening in openings})
        asked = [
            (number, target.team_id, opening.token.lowest, opening.token.highest)
            for number, opening in enumerate(openings)
            if (target := targets.get(opening.token.link_id)) is not None
        ]
        urls: list[str | None] = [None] * len(openings)
        if not asked:
            return Recorded(urls, Written([], {}))
        async with transaction(self._pool, {team_id for _, team_id, _, _ in asked}) as connection:
            found = await _sends(connection, asked)
            live = {n: row for n, row in found.items() if now - row["created_at"] <= self._lifetime}
            for number in live:
                urls[number] = targets[openings[number].token.link_id].url
            teams = {number: team_id for number, team_id, _, _ in asked}
            written = await _write(connection, openings, live, teams, now) if live else Written([], {})
        return Recorded(urls, written)

    async def _known(self, link_ids: set[int]) -> Mapping[int, Target]:
        unknown = link_ids - self._targets.keys()
        if not unknown:
            return self._targets
        rows = await self._pool.fetch(*QUERIES.bind("link_targets", link_ids=sorted(unknown)))
        found = {row["link_id"]: Target(row["team_id"], row["url"]) for row in rows}
        known = {link_id: self._targets[link_id] for link_id in link_ids - unknown} | found
        if len(self._targets) + len(found) > TARGETS_MAX:
            self._targets.clear()
        self._targets |= found
        return known


async def _sends(connection: Connection, asked: Sequence[tuple[int, UUID, UUID, UUID]]) -> dict[int, Any]:
    """The send of each; none where a range has two, so that nobody gets what is another's."""
    numbers, teams, lowest, highest = columns(asked, 4)
    rows = await connection.fetch(
        *QUERIES.bind("find_opened_sends", numbers=numbers, teams=teams, lowest=lowest, highest=highest)
    )
    found: dict[int, Any] = {}
    doubled: set[int] = set()
    for row in rows:
        if row["n"] in found:
            doubled.add(row["n"])
        found[row["n"]] = row
    return {number: row for number, row in found.items() if number not in doubled}


async def _write(
    connection: Connection,
    openings: Sequence[Opening],
    live: Mapping[int, Any],
    teams: Mapping[int, UUID],
    now: datetime,
) -> Written:
    click_ids = new_ids(len(live), epoch_ms(now))
    rows = [
        (
            *(teams[number], row["effect_key"], openings[number].token.link_id, row["journey_id"]),
            *(row["node_id"], row["customer_id"], row["created_at"], click_id, openings[number].agent),
        )
        for (number, row), click_id in zip(live.items(), click_ids, strict=True)
    ]
    await connection.execute(*QUERIES.bind("note_clicks", rows=rows, now=now))
    clicked = [
        (teams[number], row)
        for number, row in live.items()
        if not openings[number].agent and not is_test(row["journey_id"], row["node_id"])
    ]
    if not clicked:
        return Written([], {})
    records = _records(clicked, now)
    positions = await connection.fetchval(*QUERIES.bind("append_records", records=records))
    return Written([], ranges_of_records(zip((row[0] for row in records), positions, strict=True)))


def _records(clicked: Sequence[tuple[UUID, Any]], now: datetime) -> list[RecordRow]:
    """A record for each shard and team, with no mail: no journey waits for a click. It has openings by people only."""
    alike: dict[tuple[int, UUID], dict[_Alike, list[Any]]] = {}
    for team_id, row in clicked:
        shard = shard_of(partition_of(team_id, row["customer_id"]))
        what = (row["journey_id"], row["node_id"], row["channel"], row["account_id"])
        alike.setdefault((shard, team_id), {}).setdefault(what, []).append(row)
    return [
        (
            *key,
            [row["customer_id"] for rows in facts.values() for row in rows],
            False,
            pack_record((RECORD_TAG, epoch_us(now), [_fact(*each) for each in facts.items()])),
        )
        for key, facts in sorted(alike.items())
    ]


def _fact(what: _Alike, rows: Sequence[Any]) -> tuple[Any, ...]:
    sends = b"".join(row["effect_key"].bytes + row["enrolment_id"].bytes for row in rows)
    return (FactKind.CLICK, *what, sends, b"".join(row["customer_id"].bytes for row in rows))
