# ruff: noqa: N802 - the generated base names the methods and their arguments
"""Audiences: checked, saved, evaluated, counted, listed, streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Final
from uuid import UUID

from libs.common.audience.expressions import Expression
from libs.common.audience.faults import Fault
from libs.common.audience.reading import read_audience
from libs.common.hints import NAME_LENGTH_MAX
from libs.common.paging import page_key, page_of, page_size
from libs.common.rpc.servicing import changed_fields
from libs.common.rpc.values import timestamp
from omnijourney.segment.v1 import audience_pb2, customer_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.checks import Check, reason_number
from services.segment.convert.customers import (
    customer_message,
    fitting,
    partial_message,
    read_customer_parts,
)
from services.segment.convert.uses import user_message
from services.segment.domain.uses import User
from services.segment.domain.views import SavedAudience
from services.segment.servicer.base import Base
from services.segment.usecases.edits import Once
from services.segment.usecases.evaluator import AudienceAnswer, AudienceQuestion

_BATCH_MAX: Final = 500
_STREAM_BYTES_MAX: Final = 3 * 1024 * 1024
"""Of the customers in one message of a stream: what clients of gRPC receive by default is 4 MiB."""

Target = pb.CountAudienceRequest | pb.ListAudienceCustomersRequest | pb.StreamAudienceCustomersRequest


class AudienceRpcs(Base):
    """See the contract."""

    async def CheckAudiences(
        self, request: pb.CheckAudiencesRequest, context: Any
    ) -> pb.CheckAudiencesResponse:
        """Every fault of each audience."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.count("audiences", request.audiences, most=_BATCH_MAX)
        check.done()
        faults = await self._deps.audiences.check(team_id, request.audiences)
        checks = [pb.AudienceCheck(faults=map(_fault_message, each)) for each in faults]
        return pb.CheckAudiencesResponse(checks=checks)

    async def CreateSavedAudience(
        self, request: pb.CreateSavedAudienceRequest, context: Any
    ) -> pb.CreateSavedAudienceResponse:
        """The saved audience."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        wanted = request.saved_audience
        name = check.name("saved_audience.name", wanted.name, length_max=NAME_LENGTH_MAX)
        check.done()
        once = Once(team_id, request, pb.CreateSavedAudienceResponse, _create_reply)
        return await self._deps.audiences.create(once, team_id, name, wanted.audience)

    async def GetSavedAudience(
        self, request: pb.GetSavedAudienceRequest, context: Any
    ) -> pb.GetSavedAudienceResponse:
        """A saved audience."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        audience_id = check.uuid("saved_audience_id", request.saved_audience_id)
        check.done()
        saved = await self._deps.audiences.get(team_id, audience_id)
        return pb.GetSavedAudienceResponse(saved_audience=saved_message(saved))

    async def UpdateSavedAudience(
        self, request: pb.UpdateSavedAudienceRequest, context: Any
    ) -> pb.UpdateSavedAudienceResponse:
        """The changed audience."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        wanted = request.saved_audience
        audience_id = check.uuid("saved_audience.saved_audience_id", wanted.saved_audience_id)
        mask = changed_fields(check, request.update_mask.paths, ("name", "audience"), wanted)
        if "name" in mask:
            check.name("saved_audience.name", wanted.name, length_max=NAME_LENGTH_MAX)
        check.done()
        once = Once(team_id, request, pb.UpdateSavedAudienceResponse, _update_reply)
        return await self._deps.audiences.update(
            once,
            team_id,
            audience_id,
            etag=request.etag,
            name=wanted.name if "name" in mask else None,
            audience=wanted.audience if "audience" in mask else None,
        )

    async def DeleteSavedAudience(
        self, request: pb.DeleteSavedAudienceRequest, context: Any
    ) -> pb.DeleteSavedAudienceResponse:
        """What named it."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        audience_id = check.uuid("saved_audience_id", request.saved_audience_id)
        check.done()
        once = Once(team_id, request, pb.DeleteSavedAudienceResponse, _delete_reply, saved_message)
        return await self._deps.audiences.delete(once, team_id, audience_id, force=request.force)

    async def ListSavedAudiences(
        self, request: pb.ListSavedAudiencesRequest, context: Any
    ) -> pb.ListSavedAudiencesResponse:
        """Saved audiences in order of their ids."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.done()
        size = page_size(request.page_size)
        after = page_key(request.page_token, UUID, "saved audiences", team_id)
        found = await self._deps.audiences.page(team_id, after, size + 1)
        page = page_of(found, size, lambda each: each.audience_id, "saved audiences", team_id)
        return pb.ListSavedAudiencesResponse(
            saved_audiences=map(saved_message, page.rows), next_page_token=page.next_token
        )

    async def EvaluateCustomers(
        self, request: pb.EvaluateCustomersRequest, context: Any
    ) -> pb.EvaluateCustomersResponse:
        """One verdict per item."""
        check = Check()
        check.count("items", request.items, most=_BATCH_MAX)
        check.count("audiences", request.audiences, most=_BATCH_MAX)
        readings = [read_audience(audience) for audience in request.audiences]
        keys = check.customers("items", request.items)
        places = [item.audience_index for item in request.items]
        for index, place in enumerate(places):
            if not 0 <= place < len(readings):
                check.fault(f"items[{index}].audience_index", "names no audience of the request")
        check.done()
        chosen = [readings[place] for place in places]
        sound = [
            AudienceQuestion(*key, reading.expression)
            for key, reading in zip(keys, chosen, strict=True)
            if not reading.faults
        ]
        answers = iter(await self._deps.evaluator.evaluate(sound, tells=True) if sound else [])
        response = pb.EvaluateCustomersResponse()
        for reading in chosen:
            answer = AudienceAnswer(False, reading.faults[0]) if reading.faults else next(answers)
            _add_evaluation(response, answer)
        return response

    async def CountAudience(self, request: pb.CountAudienceRequest, context: Any) -> pb.CountAudienceResponse:
        """How many customers are in the audience."""
        team_id, expression = await self._target(request)
        return pb.CountAudienceResponse(customer_count=await self._deps.evaluator.count(team_id, expression))

    async def ListAudienceCustomers(
        self, request: pb.ListAudienceCustomersRequest, context: Any
    ) -> pb.ListAudienceCustomersResponse:
        """Customers of the audience in order of their ids."""
        team_id, expression = await self._target(request)
        size = page_size(request.page_size)
        arguments = (
            "audience",
            team_id,
            request.saved_audience_id,
            request.audience.SerializeToString(deterministic=True),
        )
        after = page_key(request.page_token, UUID, *arguments)
        found = await self._deps.evaluator.first(team_id, expression, after, size + 1)
        page = page_of(found, size, lambda customer_id: customer_id, *arguments)
        views = await self._deps.evaluator.views(team_id, page.rows)
        return pb.ListAudienceCustomersResponse(
            customers=map(customer_message, views), next_page_token=page.next_token
        )

    async def StreamAudienceCustomers(
        self, request: pb.StreamAudienceCustomersRequest, context: Any
    ) -> AsyncIterator[pb.StreamAudienceCustomersResponse]:
        """All customers of the audience in order of their ids, from the beginning or after one."""
        check = Check()
        after = check.optional_uuid("after_customer_id", request.after_customer_id)
        check.done()
        team_id, expression = await self._target(request)
        async for ids in self._deps.evaluator.pages(team_id, expression, after):
            if request.parts:
                customers = await self._with_parts(team_id, list(map(UUID, ids)), request.parts)
                for group in fitting(customers, _STREAM_BYTES_MAX):
                    shown = [each.customer_id for each in group]
                    yield pb.StreamAudienceCustomersResponse(
                        customer_ids=shown, through_customer_id=shown[-1], customers=group
                    )
                continue
            yield pb.StreamAudienceCustomersResponse(customer_ids=ids, through_customer_id=ids[-1])

    async def _with_parts(
        self, team_id: UUID, customer_ids: Sequence[UUID], parts: Collection[int]
    ) -> list[customer_pb2.Customer]:
        keys = [(team_id, customer_id) for customer_id in customer_ids]
        views = await self._deps.customers.views(keys, read_customer_parts(parts))
        return [
            partial_message(customer_id, views.get((team_id, customer_id)), parts) for _, customer_id in keys
        ]

    async def _target(self, request: Target) -> tuple[UUID, Expression]:
        """The team, and the audience given or saved. Raises InvalidArgument `AUDIENCE_INVALID`, NotFound."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        audience_id = check.optional_uuid("saved_audience_id", request.saved_audience_id)
        if request.WhichOneof("target") is None:
            check.fault("target", "is required")
        check.done()
        return team_id, await self._deps.audiences.resolve(team_id, audience_id, request.audience)


def _create_reply(saved: SavedAudience) -> pb.CreateSavedAudienceResponse:
    return pb.CreateSavedAudienceResponse(saved_audience=saved_message(saved))


def _update_reply(saved: SavedAudience) -> pb.UpdateSavedAudienceResponse:
    return pb.UpdateSavedAudienceResponse(saved_audience=saved_message(saved))


def _delete_reply(users: list[User]) -> pb.DeleteSavedAudienceResponse:
    return pb.DeleteSavedAudienceResponse(users=map(user_message, users))


def _fault_message(fault: Fault) -> audience_pb2.AudienceFault:
    return audience_pb2.AudienceFault(
        path=fault.path, reason=reason_number(fault.reason), message=fault.message
    )


def saved_message(saved: SavedAudience) -> audience_pb2.SavedAudience:
    return audience_pb2.SavedAudience(
        saved_audience_id=str(saved.audience_id),
        name=saved.name,
        audience=audience_pb2.Audience.FromString(saved.audience),
        etag=str(saved.revision),
        create_time=timestamp(saved.create_time),
        update_time=timestamp(saved.update_time),
    )


def _add_evaluation(response: pb.EvaluateCustomersResponse, answer: AudienceAnswer) -> None:
    matches, fault, has_phone, seen = answer
    if fault is None:
        verdict = pb.VERDICT_YES if matches else pb.VERDICT_NO
        response.evaluations.add(verdict=verdict, has_phone=has_phone, seen=seen)
        return
    response.evaluations.add(
        verdict=pb.VERDICT_IMPOSSIBLE,
        reason=reason_number(fault.reason),
        message=f"{fault.path}: {fault.message}".removeprefix(": "),
        has_phone=has_phone,
    )
