"""`omnijourney journey simulate`: what a journey would have done to recorded events."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from google.protobuf.json_format import MessageToJson

from libs.cli.console import EXIT_FAULT, complain, err, say
from libs.cli.journeys import TIMEOUT_S, Command, apply_request, each, id_of
from libs.client import Client
from libs.client.long_work import ended
from libs.common.ids import new_id
from libs.common.money import format_micros
from libs.common.rpc.values import datetime_of, timestamp
from omnijourney.common.v1 import channel_pb2, error_reason_pb2, operation_pb2
from omnijourney.common.v1.installation_service_pb2 import GetClockRequest
from omnijourney.journey.v1 import journey_service_pb2 as pb
from omnijourney.journey.v1 import simulation_pb2

SPAN_DEFAULT: Final = timedelta(days=30)
TEXTS: Final = frozenset({".yaml", ".yml", ".json"})
"""Endings of files with texts of journeys."""


def simulate(
    team_id: str, subject: str, start: datetime | None, end: datetime | None, *, as_json: bool
) -> Command:
    """Runs a journey, or a text that need not be applied, over the events from `start` to `end`, and tells what it did.

    Without an end it is now, by the installation's clock; without a start, 30 days before the end.
    """

    async def run(client: Client, subject: str) -> int:
        request = await _request(client, team_id, subject)
        until = end.astimezone() if end is not None else await _now(client)
        since = start.astimezone() if start is not None else until - SPAN_DEFAULT
        request.start_time.CopyFrom(timestamp(since))
        request.end_time.CopyFrom(timestamp(until))
        found = await _findings(client, request)
        if found is None:
            return EXIT_FAULT
        _show(found, as_json=as_json)
        return 0

    return each([subject], run)


async def _findings(client: Client, request: pb.StartSimulationRequest) -> simulation_pb2.Simulation | None:
    """What it found; None, with the reason on stderr, if it did not come to its end."""
    started = await client.journey.StartSimulation(request, timeout=TIMEOUT_S)
    operation = await _ended(client, started.operation)
    if operation.state != operation_pb2.OPERATION_STATE_SUCCEEDED:
        state = operation_pb2.OperationState.Name(operation.state).removeprefix("OPERATION_STATE_")
        complain(f"the simulation {operation.operation_id} is {state} {operation.error.message}".rstrip())
        return None
    asked = pb.GetSimulationRequest(team_id=request.team_id, operation_id=operation.operation_id)
    return (await client.journey.GetSimulation(asked, timeout=TIMEOUT_S)).simulation


def _show(found: simulation_pb2.Simulation, *, as_json: bool) -> None:
    if as_json:
        text = MessageToJson(found, preserving_proto_field_name=True, ensure_ascii=False)
        sys.stdout.write(text + "\n")
        return
    for line in lines(found):
        say(line)


def lines(found: simulation_pb2.Simulation) -> Iterator[str]:
    """Findings for people: entries, then each node with the edges that leave it, then what came of it."""
    yield f"{found.events_count:,} recorded events"
    yield (
        f"enrolled {found.enrolled_count:,}: completed {found.completed_count:,}, halted {found.halted_count:,},"
        f" inside at the end {found.live_count:,}"
    )
    for refusal in found.refusals:
        yield f"refused {refusal.refused_count:,}: {_reason(refusal.reason)}"
    for node in found.nodes:
        deferred = f", {node.deferred_count:,} deferred" if node.deferred_count else ""
        yield f"{node.node_id}: {node.entered_count:,} entered{deferred}"
        for edge in found.edges:
            if edge.node_id == node.node_id:
                yield f"  → {edge.next_node_id or 'the end'}: {edge.taken_count:,}"
        yield from (f"  way {each.way}: {each.count:,}" for each in node.ways)
    yield from _sends(found)
    if found.points_added or found.points_deducted:
        yield f"points: {found.points_added:,} added, {found.points_deducted:,} deducted"
    for limit in found.limits:
        yield f"limit reached at {limit.reach_time.ToJsonString()}: {_reason(limit.reason)}"
    if found.premises:
        premises = map(simulation_pb2.SimulationPremise.Name, found.premises)
        yield f"taken for granted: {', '.join(each.removeprefix('SIMULATION_PREMISE_') for each in premises)}"


def _sends(found: simulation_pb2.Simulation) -> Iterator[str]:
    """Messages and their cost by channel; the JSON has them by hour."""
    counts, costs = Counter[str](), Counter[tuple[str, str]]()
    for sends in found.sends:
        channel = channel_pb2.Channel.Name(sends.channel).removeprefix("CHANNEL_")
        counts[channel] += sends.message_count
        if sends.HasField("cost"):
            costs[channel, sends.cost.currency_code] += sends.cost.amount_micros
    for channel, count in counts.items():
        cost = [f"{money} {format_micros(micros)}" for (of, money), micros in costs.items() if of == channel]
        yield f"messages on {channel}: {', '.join([f'{count:,}', *cost])}"


def _reason(reason: error_reason_pb2.ErrorReason.ValueType) -> str:
    return error_reason_pb2.ErrorReason.Name(reason).removeprefix("ERROR_REASON_")


async def _request(client: Client, team_id: str, subject: str) -> pb.StartSimulationRequest:
    """Of a journey by name or id, or of a file's text, which a dry run of applying it turns into a definition."""
    request = pb.StartSimulationRequest(team_id=team_id, request_id=str(new_id()))
    if (file := Path(subject)).suffix.lower() in TEXTS:
        applied = await client.journey.ApplyJourney(
            apply_request(team_id, file, dry_run=True), timeout=TIMEOUT_S
        )
        request.definition.CopyFrom(applied.journey.definition)
    else:
        request.journey_id = await id_of(client, team_id, subject)
    return request


async def _now(client: Client) -> datetime:
    clock = await client.installation("journey").GetClock(GetClockRequest(), timeout=TIMEOUT_S)
    return datetime_of(clock.now)


async def _ended(client: Client, operation: operation_pb2.Operation) -> operation_pb2.Operation:
    """Waits for its end. How far it is stands on stderr, where that is a terminal."""
    name = f"simulation {operation.operation_id}"
    with err.status(f"{name} …") as shown:
        return await ended(
            client,
            "journey",
            operation,
            lambda found: shown.update(f"{name}: {found.done_count:,} events …"),
        )
