"""How turns are read: rows of actors, whichever release has written them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

from services.journey.domain.model import ActorKey
from services.journey.store import codec
from services.journey.store.book import BOOK
from services.journey.store.packed import LiveRow, Named, PackedActor, read_verdicts
from services.journey.store.turns_protocol import LoadedTurns, StoredActor


async def load_turns(
    fetch: Callable[..., Awaitable[list[Any]]], keys: Sequence[ActorKey], teams: Collection[UUID] = ()
) -> LoadedTurns:
    """State of these customers, and versions for their teams and `teams`; `fetch` runs a statement with its
    arguments."""
    rows = await fetch(*_keyed("load_turns", keys, teams))
    loaded = LoadedTurns({}, {}, set(), {}, {})
    unpacked: list[ActorKey] = []
    for row in rows:
        ordinal = row["place"]
        if ordinal == 0:
            loaded.versions[row["journey_id"]] = row["version"]
            continue
        key = keys[ordinal - 1]
        if row["parked"]:
            loaded.parked.add(key)
        if row["state"] is not None:
            loaded.add(key, _packed_from(row))
            continue
        if row["taken_segment"] is not None:
            unpacked.append(key)
        entries = codec.read_entries(row["entries"])
        loaded.actors[key] = codec.actor_from(key.team_id, key.customer_id, row, entries)
        loaded.stored[key] = StoredActor([], read_verdicts(row["verdicts"]), row["actor_version"] or 0)
        loaded.enrolments[key] = []
    if unpacked:
        await _load_unpacked(fetch, unpacked, loaded)
    return loaded


def _packed_from(row: Any) -> PackedActor:
    created_at = row["created_at"]
    return PackedActor(
        row["actor_version"],
        (row["taken_segment"], row["taken_gateway"], row["taken_journey"]),
        None if created_at is None else Named(row["enrolment_id"], row["journey_id"], created_at),
        row["state"],
        row["verdicts"],
    )


async def _load_unpacked(
    fetch: Callable[..., Awaitable[list[Any]]], keys: Sequence[ActorKey], loaded: LoadedTurns
) -> None:
    """Adds the live enrolments of customers whose actors are in the form of the release before."""
    rows: dict[ActorKey, list[LiveRow]] = {}
    for row in await fetch(*_keyed("load_unpacked", keys)):
        key = keys[row["place"] - 1]
        enrolment = codec.live_enrolment_from(key.team_id, key.customer_id, row)
        rows.setdefault(key, []).append(LiveRow(enrolment, row["updated_at"], listed=True))
    for key, live in rows.items():
        loaded.stored[key].live = live
        loaded.enrolments[key] = [row.enrolment for row in live]


def _keyed(query: str, keys: Sequence[ActorKey], teams: Iterable[UUID] = ()) -> tuple[Any, ...]:
    return BOOK.bind(
        query,
        team_ids=list({key.team_id for key in keys}.union(teams)),
        partitions=[key.partition for key in keys],
        actor_team_ids=[key.team_id for key in keys],
        customer_ids=[key.customer_id for key in keys],
    )
