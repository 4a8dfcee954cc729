"""What turns need of a store: `TurnStore` on PostgreSQL fulfils it, and the simulation's store in memory.

One suite of tests proves both, so that what the simulation finds holds for the product.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol
from uuid import UUID

import msgspec

from libs.common.mailbox.mail import MailSource
from services.journey.domain import effects as fx
from services.journey.domain.enrolment import Enrolment
from services.journey.domain.model import ActorKey, Journey
from services.journey.domain.turn import Actor, TurnResult
from services.journey.store.packed import KeptVerdict, LiveRow, PackedActor, read_state, read_verdicts

_SOURCES: Final = (MailSource.SEGMENT, MailSource.GATEWAY, MailSource.JOURNEY)


class ActorChanged(Exception):
    """An actor is not what its turn began with: run the turn again with what is stored."""


class StoredActor(msgspec.Struct):
    """What the store notes of an actor beside what turns need: `verdicts` by the keys of their visits; `version`, how
    many commits have written it."""

    live: Sequence[LiveRow]
    verdicts: dict[UUID, KeptVerdict]
    version: int = 0


ActorState = tuple[Actor, tuple[Enrolment, ...]]
"""An actor, and its live enrolments."""


class LoadedTurns(msgspec.Struct):
    """State of the customers of a batch. `versions` are those of all journeys of their teams that customers can be in.
    A journey is stopped when nobody is in it any more.

    `stored` is the store's own, which it needs to write what the turns of these customers come to. `unproven` are the
    versions by which turns go that were not loaded, but remembered; None once a statement has compared them.
    """

    actors: dict[ActorKey, Actor]
    enrolments: dict[ActorKey, list[Enrolment]]
    parked: set[ActorKey]
    versions: dict[UUID, int]
    stored: dict[ActorKey, StoredActor]
    unproven: Mapping[UUID, int] | None = None

    def add(self, key: ActorKey, packed: PackedActor) -> None:
        """Adds a customer as packed. Raises `msgspec.ValidationError`."""
        live, entries = read_state(key.team_id, key.customer_id, packed.state, packed.named)
        taken: dict[int, int] = dict(zip(_SOURCES, packed.taken, strict=True))
        self.actors[key] = Actor(key.team_id, key.customer_id, taken, entries)
        self.enrolments[key] = [row.enrolment for row in live]
        self.stored[key] = StoredActor(live, read_verdicts(packed.verdicts), packed.version)

    def state_of(self, key: ActorKey) -> ActorState:
        """What the customer's turn begins with."""
        return self.actors[key], tuple(self.enrolments[key])


class FoundTimers(NamedTuple):
    """The timers of customers, earliest first. All before `before` are among them; None: there are no others."""

    found: list[tuple[datetime, ActorKey]]
    before: datetime | None


class TurnStorage(Protocol):
    """Loads and commits turns; see `TurnStore` for what each method promises and raises."""

    async def load(self, keys: Sequence[ActorKey], teams: Collection[UUID] = ()) -> LoadedTurns:
        """State of these customers, and versions for their teams and `teams`; a customer without an actor row gets a
        fresh actor."""
        ...

    async def prove_journeys(self, loaded: LoadedTurns) -> None:
        """Returns once `loaded.unproven` is what is stored, and says so there. Raises `JourneyChanged`."""
        ...

    async def journeys(self, teams: Iterable[UUID], journey_ids: Sequence[UUID]) -> list[Journey]:
        """These journeys with their definitions."""
        ...

    async def keep_verdicts(
        self,
        evaluated: Mapping[ActorKey, tuple[fx.EvaluateAudience, fx.Verdict]],
        loaded: LoadedTurns,
        fence: Mapping[int, int],
    ) -> dict[ActorKey, fx.Verdict]:
        """Keeps verdicts until their turns are committed; the first one of each key is returned.

        Raises `Fenced`, `JourneyChanged` (of what is unproven) and `ActorChanged`.
        """
        ...

    async def commit(
        self,
        turns: Mapping[ActorKey, TurnResult],
        loaded: LoadedTurns,
        journeys: Mapping[UUID, Journey],
        fence: Mapping[int, int],
        now: datetime,
    ) -> dict[ActorKey, PackedActor]:
        """Writes all of these turns, which began with what was loaded or remembered, or nothing; returns what the
        actors are now.

        Raises `Fenced`, `JourneyChanged`, `ActorChanged`, and faults that pass.
        """
        ...

    async def look_at_timers(self, partitions: Collection[int], until: datetime, limit: int) -> FoundTimers:
        """Up to `limit` customers with a timer due by `until` who are not parked, earliest first."""
        ...

    async def halting_customers(
        self, team_id: UUID, journey_id: UUID, partitions: Iterable[int], limit: int
    ) -> list[ActorKey]:
        """Customers to be halted in a stopping journey; those who wait for a send are not among them."""
        ...

    async def park(self, key: ActorKey, error: str, attempts: int, fence: Mapping[int, int]) -> None:
        """Sets a customer aside. Raises `Fenced`."""
        ...

    async def checkpoints(self, partitions: Iterable[int]) -> dict[tuple[int, int], int]:
        """(partition, source) → position from which a repair has to begin."""
        ...

    async def save_checkpoints(
        self, positions: Mapping[tuple[int, int], int], fence: Mapping[int, int]
    ) -> None:
        """Moves checkpoints forward. Raises `Fenced`."""
        ...
