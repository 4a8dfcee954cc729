# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of definitions as texts: written, read, applied and compared."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from libs.common.rpc.comments import comments
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import ids_of
from omnijourney.journey.v1 import journey_service_pb2 as pb
from services.journey.convert import journeys as convert
from services.journey.convert.definition_changes import changes
from services.journey.convert.definition_schema import schema_text
from services.journey.convert.definition_texts import Text, kinds_in, write
from services.journey.domain import model as d
from services.journey.domain.status import as_it_is
from services.journey.servicer.base import BaseRpcs
from services.journey.usecases.applying import Applied
from services.journey.usecases.write import Call


class TextRpcs(BaseRpcs):
    """Definitions as texts."""

    async def ExportJourney(self, request: pb.ExportJourneyRequest, context: Any) -> pb.ExportJourneyResponse:
        """Writes a definition as text."""
        team_id, journey_id = ids_of(request.team_id, "journey_id", request.journey_id)
        journey = await self._deps.journeys.get(team_id, journey_id)
        definition = convert.definition_message(journey.definition)
        names = await self._deps.directory.names(team_id, kinds_in(definition))
        return pb.ExportJourneyResponse(content=write(definition, request.format, names))

    async def ImportJourney(self, request: pb.ImportJourneyRequest, context: Any) -> pb.ImportJourneyResponse:
        """Makes a draft of a text."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        check.done()
        _, definition = await self._read(team_id, request)
        form = pb.ImportJourneyResponse
        call: Call[d.Journey, pb.ImportJourneyResponse] = Call(
            team_id, request, form, lambda journey: form(journey=convert.journey_message(journey))
        )
        return await self._deps.lifecycle.create(call, definition)

    async def ApplyJourney(self, request: pb.ApplyJourneyRequest, context: Any) -> pb.ApplyJourneyResponse:
        """Makes a journey what a text says."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        journey_id = check.optional_uuid("journey_id", request.journey_id)
        check.done()
        _, definition = await self._read(team_id, request)

        def reply(applied: Applied) -> pb.ApplyJourneyResponse:
            now = self._deps.clock.now()
            return _applied_message(applied._replace(journey=as_it_is(applied.journey, now)))

        call: Call[Applied, pb.ApplyJourneyResponse] = Call(
            team_id, request, pb.ApplyJourneyResponse, reply, convert.journey_message
        )
        if not request.dry_run:
            return await self._deps.applying.apply(call, journey_id, request.etag, definition)
        answer = await self._deps.applying.attempt(call, journey_id, request.etag, definition)
        if answer.created:
            for field in ("journey_id", "etag", "create_time", "update_time"):
                answer.journey.ClearField(field)
        return answer

    async def GetDefinitionSchema(
        self, request: pb.GetDefinitionSchemaRequest, context: Any
    ) -> pb.GetDefinitionSchemaResponse:
        """Reads the schema of texts."""
        return pb.GetDefinitionSchemaResponse(schema=schema_text(comments()))

    async def CompareRevisions(
        self, request: pb.CompareRevisionsRequest, context: Any
    ) -> pb.CompareRevisionsResponse:
        """Compares two revisions."""
        team_id, journey_id = ids_of(request.team_id, "journey_id", request.journey_id)
        await self._deps.journeys.get(team_id, journey_id)
        before, after = [
            convert.definition_message(
                (await self._deps.journeys.revision(team_id, journey_id, number)).definition
            )
            for number in (request.before_revision, request.after_revision)
        ]
        return pb.CompareRevisionsResponse(
            changes=changes(before, after), before_definition=before, after_definition=after
        )

    async def _read(
        self, team_id: UUID, sent: pb.ImportJourneyRequest | pb.ApplyJourneyRequest | pb.DefinitionText
    ) -> tuple[Text, d.Definition]:
        """A text that was sent, and what it says. Raises InvalidArgument with every fault, Unavailable."""
        # A large one takes a second: turns go on meanwhile.
        text = await asyncio.to_thread(Text, sent.content, sent.format)
        names = await self._deps.directory.names(team_id, text.kinds)
        return text, await asyncio.to_thread(text.definition, names)


def _applied_message(applied: Applied) -> pb.ApplyJourneyResponse:
    journey = convert.journey_message(applied.journey)
    before = None if applied.before is None else convert.definition_message(applied.before)
    return pb.ApplyJourneyResponse(
        journey=journey,
        created=before is None,
        changes=changes(before, journey.definition),
    )
