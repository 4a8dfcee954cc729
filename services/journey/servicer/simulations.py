# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of simulations, and simulations as operations."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.long_work import OperationPage, PageKey, Unpausable
from libs.common.rpc.servicing import ids_of
from omnijourney.common.v1 import operation_pb2
from omnijourney.common.v1 import operations_service_pb2 as operations
from omnijourney.journey.v1 import journey_service_pb2 as pb
from omnijourney.journey.v1 import simulation_pb2
from services.journey.convert import simulation as convert
from services.journey.convert.journeys import definition_from
from services.journey.domain.model import Definition
from services.journey.domain.simulation_work import StoredSimulation, span_faults
from services.journey.servicer.base import BaseRpcs
from services.journey.usecases.simulations import Simulations


class SimulationRpcs(BaseRpcs):
    """Definitions run over past events."""

    async def StartSimulation(
        self, request: pb.StartSimulationRequest, context: Any
    ) -> pb.StartSimulationResponse:
        """Keeps one to be run."""
        form = pb.StartSimulationResponse

        def answer(found: StoredSimulation) -> pb.StartSimulationResponse:
            return form(operation=convert.operation_message(found))

        team_id, subject, span = _asked(request)
        return await self._deps.simulations.start(request, team_id, subject, span, reply=form, answer=answer)

    async def GetSimulation(self, request: pb.GetSimulationRequest, context: Any) -> pb.GetSimulationResponse:
        """What one has found, or counted so far."""
        key = ids_of(request.team_id, "operation_id", request.operation_id)
        found = await self._deps.simulations.found(key, so_far=request.so_far)
        shown = found.findings or found.counts
        return pb.GetSimulationResponse(
            simulation=simulation_pb2.Simulation.FromString(shown) if shown is not None else None,
            operation=convert.operation_message(found),
        )


def _asked(request: pb.StartSimulationRequest) -> tuple[UUID, UUID | Definition, tuple[datetime, datetime]]:
    check = FieldCheck()
    team_id = check.uuid("team_id", request.team_id)
    start = check.time("start_time", request, "start_time")
    end = check.time("end_time", request, "end_time")
    if start is not None and end is not None:
        check.violations += span_faults(start, end)
    subject: UUID | Definition = team_id
    match request.WhichOneof("subject"):
        case "journey_id":
            subject = check.uuid("journey_id", request.journey_id)
        case "definition":
            subject = definition_from(request.definition, check)
        case _:
            check.fault("subject", "is required: journey_id or definition")
    check.done()
    assert start is not None
    assert end is not None
    return team_id, subject, (start, end)


class SimulationOperations(Unpausable):
    """Simulations are the long work of this service."""

    def __init__(self, simulations: Simulations) -> None:
        """Of the servicer."""
        self._simulations = simulations

    async def read(self, team_id: UUID, operation_id: UUID) -> operation_pb2.Operation:
        """See `Operations`."""
        return convert.operation_message(await self._simulations.read((team_id, operation_id)))

    async def page(self, team_id: UUID, after: PageKey | None, limit: int) -> OperationPage:
        """See `Operations`."""
        found = await self._simulations.page(team_id, after, limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        following = (last.created_at, last.asked.simulation_id) if last else None
        return OperationPage([convert.operation_message(each) for each in found[:limit]], following)

    async def cancel(
        self, request: operations.CancelOperationRequest, team_id: UUID, operation_id: UUID
    ) -> operations.CancelOperationResponse:
        """See `Operations`."""
        form = operations.CancelOperationResponse

        def answer(found: StoredSimulation) -> operations.CancelOperationResponse:
            return form(operation=convert.operation_message(found))

        return await self._simulations.cancel(request, (team_id, operation_id), form, answer)
