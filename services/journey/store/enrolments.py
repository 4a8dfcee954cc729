"""The SQL of enrolments, as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.db.pool import Pool, transaction
from libs.common.errors import NotFound
from libs.common.feeds.records import shard_of
from libs.common.ids import partition_of
from services.journey.domain.enrolment import Enrolment, EnrolmentState, WaitReason
from services.journey.domain.views import EnrolmentFilter, KeptStep, StoredEnrolment
from services.journey.store import codec
from services.journey.store.book import BOOK
from services.journey.store.packed import Named, read_state
from services.journey.store.records import steps_of
from services.journey.store.standing import place_actors

_LAST_NODE: Final = "~"
"""Behind every id of a node."""


class EnrolmentStore:
    """Reads enrolments and what they did."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def get(self, team_id: UUID, enrolment_id: UUID) -> StoredEnrolment:
        """One enrolment. Raises NotFound."""
        async with transaction(self._pool, [team_id]) as connection:
            row = await connection.fetchrow(
                *BOOK.bind("get_enrolment", team_id=team_id, enrolment_id=enrolment_id)
            )
        if row is None:
            raise NotFound.of("enrolment", enrolment_id)
        return stored_enrolment(row)

    async def page(
        self, team_id: UUID, wanted: EnrolmentFilter, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[StoredEnrolment]:
        """A page of enrolments of a journey, of a customer, or of both; newest first."""
        if wanted.by_place:
            await place_actors(self._pool, team_id, wanted.journey_id)
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(*_page_query(team_id, wanted, after, limit))
        return [stored_enrolment(row) for row in rows]

    async def count(self, team_id: UUID, journey_id: UUID) -> dict[EnrolmentState, int]:
        """Enrolments of a journey by state."""
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(
                *BOOK.bind("count_enrolments", team_id=team_id, journey_id=journey_id)
            )
        return {EnrolmentState(row["state"]): row["n"] for row in rows}

    async def steps(self, stored: StoredEnrolment) -> list[KeptStep]:
        """What an enrolment did up to the change with which it was read, oldest first."""
        enrolment = stored.enrolment
        team_id, enrolment_id = enrolment.team_id, enrolment.enrolment_id
        shard = shard_of(partition_of(team_id, enrolment.customer_id))
        keys = list(stored.commits)
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(
                *BOOK.bind("history_of_enrolment", team_id=team_id, enrolment_id=enrolment_id)
            )
            records = await connection.fetch(
                *BOOK.bind(
                    "records_of_commits",
                    team_id=team_id,
                    commit_keys=keys,
                    shard=shard,
                    customer_id=enrolment.customer_id,
                )
            )
        before = [KeptStep(step) for row in rows for step in codec.read_run_segment(row["body"]).steps]
        return [*before, *steps_of(enrolment_id, (row["body"] for row in records))]


def _page_query(
    team_id: UUID, wanted: EnrolmentFilter, after: tuple[datetime, UUID] | None, limit: int
) -> tuple[Any, ...]:
    created_at, enrolment_id = after or (None, None)
    arguments: dict[str, Any] = {
        "team_id": team_id,
        "journey_id": wanted.journey_id,
        "states": list(wanted.states) or None,
        "after_created_at": created_at,
        "after_enrolment_id": enrolment_id,
        "limit": limit,
    }
    if wanted.customer_id is None and not wanted.by_place:
        return BOOK.bind("list_enrolments_of_journey", **arguments)
    if wanted.customer_id is None:
        return BOOK.bind("list_standing_in_journey", **arguments, **_ranges(wanted))
    arguments |= {"node_id": wanted.node_id or None, "wait": wanted.wait or None}
    partition = partition_of(team_id, wanted.customer_id)
    return BOOK.bind(
        "list_enrolments_of_customer", partition=partition, customer_id=wanted.customer_id, **arguments
    )


def _ranges(wanted: EnrolmentFilter) -> dict[str, str | int]:
    """One node and one reason, or all that there are."""
    return {
        "first_node": wanted.node_id,
        "last_node": wanted.node_id or _LAST_NODE,
        "first_wait": wanted.wait,
        "last_wait": wanted.wait or max(WaitReason),
    }


def stored_enrolment(row: Mapping[str, Any]) -> StoredEnrolment:
    """The enrolment of a row, one of its own or its actor's."""
    if row["packed"] is not None:
        return _packed(row)
    enrolment = Enrolment(
        enrolment_id=row["enrolment_id"],
        journey_id=row["journey_id"],
        team_id=row["team_id"],
        customer_id=row["customer_id"],
        trigger_event_id=row["trigger_event_id"],
        depth=row["depth"],
        created_at=row["created_at"],
        state=EnrolmentState(row["state"]),
        node_id=row["node_id"],
        visit=row["visit"],
        wait=WaitReason(row["rest"]),
        wake_at=row["wake_at"],
    )
    return StoredEnrolment(enrolment, row["updated_at"], row["commit_keys"] or ())


def _packed(row: Mapping[str, Any]) -> StoredEnrolment:
    """The live enrolment that the columns of an actor name."""
    named = Named(row["enrolment_id"], row["journey_id"], row["created_at"])
    live, _ = read_state(row["team_id"], row["customer_id"], row["packed"], named)
    [found] = (each for each in live if not each.listed)
    enrolment = msgspec.structs.replace(found.enrolment, state=EnrolmentState(row["state"]))
    return StoredEnrolment(enrolment, found.updated_at, found.commits)
