# ruff: noqa: N802 - the generated base names the methods and their arguments
"""Audiences: checked, saved, judged, counted, listed, streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import UUID

from libs.common.db.pool import Connection, transaction
from libs.common.errors import FieldViolation, InvalidArgument
from libs.common.ids import epoch_ms, new_id
from libs.common.paging import page_key, page_size, page_token
from libs.common.rpc.values import timestamp
from omnijourney.segment.v1 import audience_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.audience import Reading, read_audience
from services.segment.convert.checks import NAME_LENGTH_MAX, Check, reason_number
from services.segment.convert.customers import customer_message
from services.segment.domain.audience import Expression, Fault, attribute_faults, module_faults
from services.segment.domain.facts import Fact
from services.segment.domain.model import Module
from services.segment.servicer.base import Base, check_etag, read_mask
from services.segment.store import audiences, teams
from services.segment.store.attributes import usable_attributes
from services.segment.store.audiences import SavedAudience
from services.segment.usecases.judging import Answer, Question

_BATCH_MAX: Final = 500

Target = pb.CountAudienceRequest | pb.ListAudienceCustomersRequest | pb.StreamAudienceCustomersRequest


class AudienceCalls(Base):
    """See the contract."""

    async def CheckAudiences(
        self, request: pb.CheckAudiencesRequest, context: Any
    ) -> pb.CheckAudiencesResponse:
        """Every fault of each audience."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.count("audiences", request.audiences, most=_BATCH_MAX)
        check.done()
        readings = [read_audience(audience) for audience in request.audiences]
        async with transaction(self._parts.pool, [team_id]) as connection:
            faults = await _faults(connection, team_id, readings)
        checks = [pb.AudienceCheck(faults=map(_fault_message, each)) for each in faults]
        return pb.CheckAudiencesResponse(checks=checks)

    async def CreateSavedAudience(
        self, request: pb.CreateSavedAudienceRequest, context: Any
    ) -> pb.CreateSavedAudienceResponse:
        """The saved audience."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        wanted = request.saved_audience
        name = check.line("saved_audience.name", wanted.name, length_max=NAME_LENGTH_MAX)
        check.done()

        async def work(connection: Connection, _facts: list[Fact]) -> pb.CreateSavedAudienceResponse:
            await teams.load_team(connection, team_id)
            await _require_sound(connection, team_id, wanted.audience)
            now = self._parts.clock.now()
            saved = await audiences.insert_audience(
                connection, team_id, new_id(epoch_ms(now)), name, _stored(wanted.audience), now=now
            )
            return pb.CreateSavedAudienceResponse(saved_audience=_saved_message(saved))

        return await self._write(team_id, request, pb.CreateSavedAudienceResponse, work)

    async def GetSavedAudience(
        self, request: pb.GetSavedAudienceRequest, context: Any
    ) -> pb.GetSavedAudienceResponse:
        """A saved audience."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        audience_id = check.uuid("audience_id", request.audience_id)
        check.done()
        async with transaction(self._parts.pool, [team_id]) as connection:
            saved = await audiences.load_audience(connection, team_id, audience_id)
        return pb.GetSavedAudienceResponse(saved_audience=_saved_message(saved))

    async def UpdateSavedAudience(
        self, request: pb.UpdateSavedAudienceRequest, context: Any
    ) -> pb.UpdateSavedAudienceResponse:
        """The changed audience."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        wanted = request.saved_audience
        audience_id = check.uuid("saved_audience.audience_id", wanted.audience_id)
        mask = read_mask(check, request.update_mask, ("name", "audience"))
        if "name" in mask:
            check.line("saved_audience.name", wanted.name, length_max=NAME_LENGTH_MAX)
        check.done()

        async def work(connection: Connection, _facts: list[Fact]) -> pb.UpdateSavedAudienceResponse:
            present = await audiences.load_audience(connection, team_id, audience_id, lock=True)
            check_etag(wanted.etag, present.revision)
            if "audience" in mask:
                await _require_sound(connection, team_id, wanted.audience)
            saved = await audiences.update_audience(
                connection,
                team_id,
                audience_id,
                wanted.name if "name" in mask else present.name,
                _stored(wanted.audience) if "audience" in mask else present.audience,
                now=self._parts.clock.now(),
            )
            return pb.UpdateSavedAudienceResponse(saved_audience=_saved_message(saved))

        return await self._write(team_id, request, pb.UpdateSavedAudienceResponse, work)

    async def DeleteSavedAudience(
        self, request: pb.DeleteSavedAudienceRequest, context: Any
    ) -> pb.DeleteSavedAudienceResponse:
        """Nothing, in the end."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        audience_id = check.uuid("audience_id", request.audience_id)
        check.done()

        async def work(connection: Connection, _facts: list[Fact]) -> pb.DeleteSavedAudienceResponse:
            await audiences.delete_audience(connection, team_id, audience_id)
            return pb.DeleteSavedAudienceResponse()

        return await self._write(team_id, request, pb.DeleteSavedAudienceResponse, work)

    async def ListSavedAudiences(
        self, request: pb.ListSavedAudiencesRequest, context: Any
    ) -> pb.ListSavedAudiencesResponse:
        """Saved audiences in order of their ids."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.done()
        size = page_size(request.page_size)
        after = page_key(request.page_token, UUID, "saved audiences", team_id)
        async with transaction(self._parts.pool, [team_id]) as connection:
            found = await audiences.list_audiences(connection, team_id, after, size + 1)
        token = (
            page_token(found[size - 1].audience_id, "saved audiences", team_id) if len(found) > size else ""
        )
        return pb.ListSavedAudiencesResponse(
            saved_audiences=map(_saved_message, found[:size]), next_page_token=token
        )

    async def JudgeCustomers(
        self, request: pb.JudgeCustomersRequest, context: Any
    ) -> pb.JudgeCustomersResponse:
        """One verdict per item."""
        check = Check()
        check.count("items", request.items, most=_BATCH_MAX)
        check.count("audiences", request.audiences, most=_BATCH_MAX)
        readings = [read_audience(audience) for audience in request.audiences]
        keys = check.customers("items", request.items)
        for index, item in enumerate(request.items):
            if not 0 <= item.audience_index < len(readings):
                check.fault(f"items[{index}].audience_index", "names no audience of the request")
        check.done()
        chosen = [readings[item.audience_index] for item in request.items]
        sound = [
            Question(*key, reading.expression)
            for key, reading in zip(keys, chosen, strict=True)
            if not reading.faults
        ]
        answers = iter(await self._parts.judge.judge(sound) if sound else [])
        return pb.JudgeCustomersResponse(
            judgements=[
                _judgement(Answer(False, reading.faults[0]) if reading.faults else next(answers))
                for reading in chosen
            ]
        )

    async def CountAudience(self, request: pb.CountAudienceRequest, context: Any) -> pb.CountAudienceResponse:
        """How many customers are in the audience."""
        team_id, expression = await self._target(request)
        return pb.CountAudienceResponse(customer_count=await self._parts.judge.count(team_id, expression))

    async def ListAudienceCustomers(
        self, request: pb.ListAudienceCustomersRequest, context: Any
    ) -> pb.ListAudienceCustomersResponse:
        """Customers of the audience in order of their ids."""
        team_id, expression = await self._target(request)
        size = page_size(request.page_size)
        arguments = (
            "audience",
            team_id,
            request.audience_id,
            request.audience.SerializeToString(deterministic=True),
        )
        after = page_key(request.page_token, UUID, *arguments)
        found: list[UUID] = []
        async for page in self._parts.judge.pages(team_id, expression, after):
            found += page
            if len(found) > size:
                break
        views = await self._parts.judge.views(team_id, found[:size])
        token = page_token(found[size - 1], *arguments) if len(found) > size else ""
        return pb.ListAudienceCustomersResponse(customers=map(customer_message, views), next_page_token=token)

    async def StreamAudienceCustomers(
        self, request: pb.StreamAudienceCustomersRequest, context: Any
    ) -> AsyncIterator[pb.StreamAudienceCustomersResponse]:
        """All customers of the audience in order of their ids."""
        team_id, expression = await self._target(request)
        async for page in self._parts.judge.pages(team_id, expression):
            if page:
                yield pb.StreamAudienceCustomersResponse(customer_ids=map(str, page))

    async def _target(self, request: Target) -> tuple[UUID, Expression]:
        """The team, and the audience given or saved. Raises InvalidArgument `AUDIENCE_INVALID`, NotFound."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        audience_id = check.optional_uuid("audience_id", request.audience_id)
        if request.WhichOneof("target") is None:
            check.fault("target", "is required")
        check.done()
        audience = request.audience
        async with transaction(self._parts.pool, [team_id]) as connection:
            await teams.load_team(connection, team_id)
            if audience_id is not None:
                saved = await audiences.load_audience(connection, team_id, audience_id)
                audience = audience_pb2.Audience.FromString(saved.audience)
            reading = await _require_sound(connection, team_id, audience)
        return team_id, reading.expression


async def _faults(connection: Connection, team_id: UUID, readings: Sequence[Reading]) -> list[list[Fault]]:
    """All faults of each: of form, of attributes, of modules."""
    team = await teams.load_team(connection, team_id)
    types = await usable_attributes(connection, team_id)
    has_points = Module.POINTS in team.settings.modules
    return [
        reading.faults
        or [
            *attribute_faults(reading.expression, types),
            *module_faults(reading.expression, has_points=has_points),
        ]
        for reading in readings
    ]


async def _require_sound(connection: Connection, team_id: UUID, audience: audience_pb2.Audience) -> Reading:
    reading = read_audience(audience)
    (faults,) = await _faults(connection, team_id, [reading])
    if faults:
        violations = [FieldViolation(f"audience.{fault.path}".rstrip("."), fault.message) for fault in faults]
        raise InvalidArgument("AUDIENCE_INVALID", "the audience has faults", violations=violations)
    return reading


def _stored(audience: audience_pb2.Audience) -> bytes:
    return audience.SerializeToString(deterministic=True)


def _fault_message(fault: Fault) -> audience_pb2.AudienceFault:
    return audience_pb2.AudienceFault(
        path=fault.path, reason=reason_number(fault.reason), message=fault.message
    )


def _saved_message(saved: SavedAudience) -> audience_pb2.SavedAudience:
    return audience_pb2.SavedAudience(
        audience_id=str(saved.audience_id),
        name=saved.name,
        audience=audience_pb2.Audience.FromString(saved.audience),
        etag=str(saved.revision),
        create_time=timestamp(saved.create_time),
        update_time=timestamp(saved.update_time),
    )


def _judgement(answer: Answer) -> pb.Judgement:
    if answer.fault is None:
        verdict = pb.VERDICT_YES if answer.matches else pb.VERDICT_NO
        return pb.Judgement(verdict=verdict, has_phone=answer.has_phone)
    return pb.Judgement(
        verdict=pb.VERDICT_IMPOSSIBLE,
        reason=reason_number(answer.fault.reason),
        message=f"{answer.fault.path}: {answer.fault.message}".removeprefix(": "),
        has_phone=answer.has_phone,
    )
