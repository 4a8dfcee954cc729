"""Identities that were given up for others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from libs.common.db.pool import Connection
from libs.common.moved_ids import KEPT, STEPS_MAX, Move
from services.segment.domain.model import Event, IdentityKey
from services.segment.domain.moves import Moves, TeamIdentity, as_known_now, doubtful
from services.segment.domain.recorder import EventContext
from services.segment.store.base import BOOK
from services.segment.store.events import load_event_context


async def load_known_context(
    connection: Connection, events: Sequence[Event], creating: Iterable[UUID] = ()
) -> EventContext:
    """As `load_event_context`, with whom events lead to that name somebody by an id that they have no longer."""
    context = await load_event_context(connection, events, creating)
    asked = {identity for event in events for identity in doubtful(event, context.identities)}
    moves = await _find_moves(connection, asked) if asked else {}
    if moves:
        led = [as_known_now(event, moves, context.identities) for event in events]
        context = await load_event_context(connection, [*events, *led], creating)
        context.moves = moves
    return context


async def save_moves(
    connection: Connection, moves: Collection[tuple[UUID, IdentityKey, Move]], now: datetime
) -> None:
    """Remembers who got another id; what is too old to matter goes."""
    for team_id, key, move in moves:
        query = BOOK.bind(
            "insert_move", team_id=team_id, **key._asdict(), **move._asdict(), forgotten_before=now - KEPT
        )
        await connection.execute(*query)


async def _find_moves(connection: Connection, asked: set[TeamIdentity]) -> Moves:
    found: dict[TeamIdentity, list[Move]] = {}
    looked_at: set[TeamIdentity] = set()
    for _ in range(STEPS_MAX):
        keys = [(team, *key, False) for team, key in asked - looked_at]
        if not keys:
            break
        looked_at |= asked
        asked = set()
        for row in await connection.fetch(*BOOK.bind("find_moves", keys=keys)):
            key = IdentityKey(row["channel"], row["account_id"], row["external_id"])
            move = Move(row["moved_at"], row["moved_to"])
            found.setdefault((row["team_id"], key), []).append(move)
            asked.add((row["team_id"], key._replace(external_id=move.moved_to)))
    return found
