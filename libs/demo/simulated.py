"""The month once more, simulated: what each journey would have done to the recorded events."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from libs.client import Client
from libs.client.long_work import ended
from libs.common.rpc.values import timestamp
from libs.demo.figures import Simulated
from libs.demo.patience import DemoFault, call
from libs.demo.shopfront import Shopfront, demo_id
from omnijourney.common.v1.operation_pb2 import OPERATION_STATE_SUCCEEDED
from omnijourney.journey.v1.journey_service_pb2 import GetSimulationRequest, StartSimulationRequest
from omnijourney.journey.v1.simulation_pb2 import Simulation


@dataclass(frozen=True, slots=True)
class Simulator:
    """Simulates the journeys of the demo's team."""

    client: Client
    shopfront: Shopfront

    async def run(self, start: datetime, end: datetime) -> Mapping[str, Simulated]:
        """What came of the events from `start` to `end`, by journey. DemoFault when one does not come to its end."""
        return {
            name: _simulated(await self._simulate(journey_id, start, end))
            for name, journey_id in self.shopfront.journeys.items()
        }

    async def _simulate(self, journey_id: str, start: datetime, end: datetime) -> Simulation:
        team_id = self.shopfront.team_id
        request = StartSimulationRequest(
            team_id=team_id,
            request_id=demo_id(self.shopfront.shop_id, "simulation", journey_id),
            journey_id=journey_id,
            start_time=timestamp(start),
            end_time=timestamp(end),
        )
        started = await call(self.client.journey.StartSimulation, request)
        operation = await ended(self.client, "journey", started.operation)
        if operation.state != OPERATION_STATE_SUCCEEDED:
            raise DemoFault(f"the simulation of {journey_id} failed: {operation.error.message}")
        found = GetSimulationRequest(team_id=team_id, operation_id=operation.operation_id)
        return (await call(self.client.journey.GetSimulation, found)).simulation


def _simulated(found: Simulation) -> Simulated:
    return Simulated(
        triggered=found.enrolled_count,
        refused=sum(each.refused_count for each in found.refusals),
        sent=sum(each.message_count for each in found.sends),
        nodes={node.node_id: node.entered_count for node in found.nodes},
    )
