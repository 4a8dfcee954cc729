# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of journeys: check, command, reply."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.paging import fitting, page_key, page_of, page_size, page_token
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import ids_of
from omnijourney.journey.v1 import journey_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb
from services.journey.convert import faults as convert_faults
from services.journey.convert import journeys as convert
from services.journey.domain import model as d
from services.journey.domain.status import as_it_is
from services.journey.domain.views import TRIGGER_TYPES, JourneyFilter, ListedJourney, StoredRevision
from services.journey.servicer.definition_texts import TextRpcs
from services.journey.usecases.write import Call

REVISION_AFTER_ALL = VERSION_AFTER_ALL = 2**62


class JourneyRpcs(TextRpcs):
    """Journeys and their revisions."""

    async def CreateJourney(self, request: pb.CreateJourneyRequest, context: Any) -> pb.CreateJourneyResponse:
        """Saves a draft."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        definition = convert.definition_from(request.definition, check)
        check.done()
        return await self._deps.lifecycle.create(
            _call(team_id, request, pb.CreateJourneyResponse), definition
        )

    async def GetJourney(self, request: pb.GetJourneyRequest, context: Any) -> pb.GetJourneyResponse:
        """Reads one journey."""
        team_id, journey_id = ids_of(request.team_id, "journey_id", request.journey_id)
        journeys = self._deps.journeys
        find = journeys.get_deleted_too if request.show_deleted else journeys.get
        journey = as_it_is(await find(team_id, journey_id), self._deps.clock.now())
        return pb.GetJourneyResponse(journey=convert.journey_message(journey, request.language_code))

    async def ListJourneys(self, request: pb.ListJourneysRequest, context: Any) -> pb.ListJourneysResponse:
        """Lists journeys, newest first."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        if request.trigger_type and request.trigger_type not in TRIGGER_TYPES.values():
            check.fault("trigger_type", f"must be one of {', '.join(TRIGGER_TYPES.values())}, or empty")
        check.done()
        wanted = JourneyFilter(
            tuple(d.JourneyStatus(status) for status in request.statuses if status),
            request.trigger_type,
            request.name_contains,
        )
        size = page_size(request.page_size)
        arguments = ("journeys", team_id, *wanted)
        after = page_key(request.page_token, tuple[datetime, UUID], *arguments)
        now = self._deps.clock.now()
        rows = await self._deps.journeys.page(team_id, wanted, after, limit=size + 1, now=now)
        page = page_of(rows, size, _journey_key, *arguments)
        messages = [
            convert.listed_message(row, as_it_is(row.journey, now), request.language_code)
            for row in page.rows
        ]
        shown, token = fitting(page, messages, _journey_key, *arguments)
        return pb.ListJourneysResponse(journeys=shown, next_page_token=token)

    async def UpdateJourney(self, request: pb.UpdateJourneyRequest, context: Any) -> pb.UpdateJourneyResponse:
        """Edits as far as the status allows."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        journey_id = check.uuid("journey_id", request.journey_id)
        for path in request.update_mask.paths:
            if path not in journey_pb2.Definition.DESCRIPTOR.fields_by_name:
                check.fault("update_mask", f"{path!r} is no field of a definition")
        check.done()

        def edit(present: d.Definition) -> d.Definition:
            return _edited(present, request)

        call = _call(team_id, request, pb.UpdateJourneyResponse)
        return await self._deps.lifecycle.update(call, journey_id, request.etag, edit)

    async def RestoreRevision(
        self, request: pb.RestoreRevisionRequest, context: Any
    ) -> pb.RestoreRevisionResponse:
        """Makes an older definition the present one."""
        team_id, journey_id = ids_of(request.team_id, "journey_id", request.journey_id)
        kept = await self._deps.journeys.revision(team_id, journey_id, request.revision)
        call = _call(team_id, request, pb.RestoreRevisionResponse)
        return await self._deps.lifecycle.update(call, journey_id, request.etag, lambda _: kept.definition)

    async def PublishJourney(
        self, request: pb.PublishJourneyRequest, context: Any
    ) -> pb.PublishJourneyResponse:
        """Makes a draft live."""
        team_id, journey_id = ids_of(request.team_id, "journey_id", request.journey_id)
        call = _call(team_id, request, pb.PublishJourneyResponse)
        return await self._deps.lifecycle.publish(call, journey_id, request.etag)

    async def ValidateJourney(
        self, request: pb.ValidateJourneyRequest, context: Any
    ) -> pb.ValidateJourneyResponse:
        """Says what publishing would find."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        _in_a_language(check, request.language_code)
        subject = request.WhichOneof("subject")
        journey_id = None
        if subject == "definition":
            definition = convert.definition_from(request.definition, check)
        check.done()
        if subject == "text":
            text, definition = await self._read(team_id, request.text)
            verdict = await self._deps.lifecycle.validate(team_id, definition)
            return convert_faults.validation_message(verdict, request.language_code, text.line_of)
        if subject != "definition":
            journey_id = UUID(request.journey_id)
            definition = (await self._deps.journeys.get(team_id, journey_id)).definition
        verdict = await self._deps.lifecycle.validate(team_id, definition, journey_id)
        return convert_faults.validation_message(verdict, request.language_code)

    async def CloseTrigger(self, request: pb.CloseTriggerRequest, context: Any) -> pb.CloseTriggerResponse:
        """Lets nobody enter any more."""
        team_id, journey_id = ids_of(request.team_id, "journey_id", request.journey_id)
        call = _call(team_id, request, pb.CloseTriggerResponse)
        return await self._deps.lifecycle.close_trigger(call, journey_id, request.etag)

    async def StopJourney(self, request: pb.StopJourneyRequest, context: Any) -> pb.StopJourneyResponse:
        """Stops a journey."""
        team_id, journey_id = ids_of(request.team_id, "journey_id", request.journey_id)
        call = _call(team_id, request, pb.StopJourneyResponse)
        return await self._deps.lifecycle.stop(call, journey_id, request.etag)

    async def CopyJourney(self, request: pb.CopyJourneyRequest, context: Any) -> pb.CopyJourneyResponse:
        """Makes a draft with the same tree."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        journey_id = check.uuid("journey_id", request.journey_id)
        if request.name:
            check.name("name", request.name, length_max=200)
        check.done()
        call = _call(team_id, request, pb.CopyJourneyResponse)
        return await self._deps.lifecycle.copy(call, journey_id, request.name)

    async def DeleteJourney(self, request: pb.DeleteJourneyRequest, context: Any) -> pb.DeleteJourneyResponse:
        """Removes a journey from lists."""
        team_id, journey_id = ids_of(request.team_id, "journey_id", request.journey_id)
        form = pb.DeleteJourneyResponse
        call: Call[d.Journey, pb.DeleteJourneyResponse] = Call(
            team_id, request, form, lambda _: form(), convert.journey_message
        )
        return await self._deps.lifecycle.delete(call, journey_id, request.etag)

    async def ListRevisions(self, request: pb.ListRevisionsRequest, context: Any) -> pb.ListRevisionsResponse:
        """Lists revisions, newest first."""
        team_id, journey_id = ids_of(request.team_id, "journey_id", request.journey_id)
        await self._deps.journeys.get(team_id, journey_id)
        size = page_size(request.page_size)
        arguments = ("revisions", team_id, journey_id)
        before = page_key(request.page_token, int, *arguments) or REVISION_AFTER_ALL
        rows, cut = await self._deps.journeys.revisions(team_id, journey_id, before, size + 1)
        page = page_of(rows, size, _revision_key, *arguments)
        if cut and not page.next_token:
            page = page._replace(next_token=page_token(_revision_key(rows[-1]), *arguments))
        messages = [convert.revision_message(revision) for revision in page.rows]
        shown, token = fitting(page, messages, _revision_key, *arguments)
        return pb.ListRevisionsResponse(revisions=shown, next_page_token=token)

    async def ListStatusChanges(
        self, request: pb.ListStatusChangesRequest, context: Any
    ) -> pb.ListStatusChangesResponse:
        """Lists changes of status, newest first; those of a deleted journey, too."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        journey_id = check.uuid("journey_id", request.journey_id)
        _in_a_language(check, request.language_code)
        check.done()
        await self._deps.journeys.get_deleted_too(team_id, journey_id)
        size = page_size(request.page_size)
        arguments = ("status changes", team_id, journey_id)
        before = page_key(request.page_token, int, *arguments) or VERSION_AFTER_ALL
        rows = await self._deps.journeys.status_changes(team_id, journey_id, before, size + 1)
        page = page_of(rows, size, lambda row: row.version, *arguments)
        return pb.ListStatusChangesResponse(
            status_changes=[
                convert.status_change_message(change, request.language_code) for change in page.rows
            ],
            next_page_token=page.next_token,
        )


def _journey_key(listed: ListedJourney) -> tuple[datetime, UUID]:
    return listed.journey.created_at, listed.journey.journey_id


def _revision_key(revision: StoredRevision) -> int:
    return revision.revision


def _in_a_language(check: FieldCheck, language_code: str) -> None:
    if language_code not in convert.LANGUAGES:
        named = ", ".join(filter(None, convert.LANGUAGES))
        check.fault("language_code", f"must be one of {named}, or empty")


def _call(team_id: UUID, request: Any, form: Any) -> Call[d.Journey, Any]:
    """A write whose answer shows the journey after it."""
    return Call(team_id, request, form, lambda journey: form(journey=convert.journey_message(journey)))


def _edited(present: d.Definition, request: pb.UpdateJourneyRequest) -> d.Definition:
    """The definition with the fields of the mask taken over; without a mask those that are set."""
    form = journey_pb2.Definition
    sent, edited = (
        form.FromString(request.definition.SerializeToString()),
        convert.definition_message(present),
    )
    taken = frozenset(request.update_mask.paths) or {field.name for field, _ in sent.ListFields()}
    for field in form.DESCRIPTOR.fields:
        (edited if field.name in taken else sent).ClearField(field.name)  # type: ignore[arg-type]
    edited.MergeFrom(sent)
    check = FieldCheck()
    definition = convert.definition_from(edited, check)
    check.done()
    return definition
