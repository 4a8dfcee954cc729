"""The gate: everything that has to be right before a definition goes live, in one look (J-11)."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from libs.common.clock import Clock
from libs.common.errors import FieldViolation
from services.journey.clients.gate import References
from services.journey.convert.references import expression_of
from services.journey.domain.gate import Verdict, below, judged, named_by
from services.journey.domain.model import Definition
from services.journey.domain.validate import faults_of, past_faults
from services.journey.domain.warnings import warnings_of


class Gate:
    """Looks at definitions by themselves and at what they name elsewhere. Raises Unavailable when nobody can say."""

    def __init__(self, references: References, clock: Clock) -> None:
        """`clock` says which schedules have passed."""
        self._references = references
        self._clock = clock

    async def look(self, team_id: UUID, definition: Definition) -> Verdict:
        """Every fault and every warning of a definition that is to be published now."""
        elsewhere = await self._elsewhere(team_id, definition)
        return Verdict(
            [
                *faults_of(definition),
                *past_faults(definition.schedule, self._clock.now()),
                *elsewhere.faults,
            ],
            [*warnings_of(definition), *elsewhere.warnings],
        )

    async def faults(self, team_id: UUID, definition: Definition) -> list[FieldViolation]:
        """Every fault of a definition, whenever it is to be live."""
        return [*faults_of(definition), *(await self._elsewhere(team_id, definition)).faults]

    async def message_faults(
        self, team_id: UUID, definition: Definition, node_ids: Collection[str]
    ) -> list[FieldViolation]:
        """What is wrong now with the messages of some nodes."""
        places = [
            place
            for place in named_by(definition, expression_of).messages
            if definition.nodes[place.number].node_id in node_ids
        ]
        if not places:
            return []
        _, answers = await self._references.check_messages(team_id, (), places)
        return [
            fault
            for place, found in zip(places, answers, strict=True)
            for fault in below(place.path, found.faults)
        ]

    async def new_faults(
        self, team_id: UUID, edited: Definition, present: Definition
    ) -> list[FieldViolation]:
        """Faults of what an edit names that the present definition has not: what is gone meanwhile stops the journey
        by itself, and keeps no other edit from being made."""
        if named_by(edited, expression_of) == named_by(present, expression_of):
            return []
        known = set((await self._elsewhere(team_id, present)).faults)
        return [fault for fault in (await self._elsewhere(team_id, edited)).faults if fault not in known]

    async def _elsewhere(self, team_id: UUID, definition: Definition) -> Verdict:
        named = named_by(definition, expression_of)
        accounts, messages = await self._references.check_messages(team_id, named.accounts, named.messages)
        keys = named.attribute_keys.union(*(answer.attribute_keys for answer in messages))
        traits = await self._references.traits(team_id, keys, [audience for _, audience in named.audiences])
        return judged(definition, named, accounts, messages, traits)
