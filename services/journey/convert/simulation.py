"""Simulations: what is asked of the other services, and what was found, as the contracts have it. Pure."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from libs.common.audience.expressions import AttributeType, BasicField, Expression, TimeField
from libs.common.audience.memberships import expanded
from libs.common.audience.spellings import localized
from libs.common.rpc.errors import reason_named
from libs.common.rpc.values import datetime_of, timestamp
from libs.common.text import fold
from omnijourney.common.v1 import channel_pb2, money_pb2, operation_pb2
from omnijourney.internal.v1 import ledger_service_pb2, profile_pb2
from omnijourney.journey.v1 import enrolment_pb2, simulation_pb2
from services.journey.convert.references import expression_of
from services.journey.domain.model import (
    Channel,
    Condition,
    Definition,
    Journey,
    JourneyStatus,
    StatusReason,
)
from services.journey.domain.simulated_customer import PointChange, Standing
from services.journey.domain.simulated_limits import Consequence
from services.journey.domain.simulation import Pass, Tally, Terms
from services.journey.domain.simulation_premises import Needs, Price, Surroundings, needs_of, premises_of
from services.journey.domain.simulation_work import (
    AskedSimulation,
    SimulationState,
    StoredSimulation,
    schedule_within,
)

_PARTS: Final = {
    "basics": profile_pb2.PROFILE_PART_BASICS,
    "tags": profile_pb2.PROFILE_PART_TAGS,
    "attributes": profile_pb2.PROFILE_PART_ATTRIBUTES,
    "identities": profile_pb2.PROFILE_PART_IDENTITIES,
    "times": profile_pb2.PROFILE_PART_TIMES,
}
_TIMES: Final = {
    "customer_interact_time": TimeField.CUSTOMER_INTERACTED,
    "team_interact_time": TimeField.TEAM_INTERACTED,
    "marketed_time": TimeField.MARKETED,
    "checkout_time": TimeField.CHECKOUT,
}


# ---- what is asked --------------------------------------------------------------------------------------------


def expressions_of(definition: Definition, saved: Mapping[str, Expression]) -> dict[bytes, Expression]:
    """Of the audiences of its conditions, with those of `saved` in their places: all that they reach."""
    conditions = (node.action for node in definition.nodes if isinstance(node.action, Condition))
    return {
        condition.audience: expanded(expression_of(condition.audience), saved) for condition in conditions
    }


def terms_of(asked: AskedSimulation, around: Surroundings) -> Terms:
    """What is simulated, and what that goes by."""
    definition = asked.definition
    schedule = schedule_within(definition.schedule, asked.end)
    journey = Journey(
        journey_id=asked.journey_id,
        team_id=asked.team_id,
        status=JourneyStatus.ACTIVE,
        reason=StatusReason.NONE,
        revision=1,
        version=1,
        stop_epoch=0,
        definition=replace(definition, schedule=schedule),
        zone=around.zone,
        created_at=asked.start,
        updated_at=asked.start,
    )
    return Terms(
        journey=journey,
        start=asked.start,
        end=asked.end,
        plan=around.plan,
        expressions={
            audience: localized(expression, around.country)
            for audience, expression in expressions_of(definition, around.saved).items()
        },
        messages=around.messages,
        quotas=around.quotas,
        affordable=around.affordable,
        frequency=around.frequency,
    )


def parts_of(needs: Needs) -> list[profile_pb2.ProfilePart.ValueType]:
    """What of profiles is asked for."""
    return [part for name, part in _PARTS.items() if getattr(needs, name)]


def standing_of(
    profile: profile_pb2.Profile,
    points: ledger_service_pb2.PointChanges | None,
    kinds: Mapping[str, AttributeType],
) -> Standing:
    """A customer as they are now."""
    basics = {
        BasicField.MEMBER_ID: profile.member_id,
        BasicField.PHONE: profile.phone,
        BasicField.EMAIL: profile.email,
    }
    identities = [(int(i.key.channel), i.key.account_id, i.blocked) for i in profile.identities]
    return Standing(
        basics={field: fold(text) for field, text in basics.items() if text},
        times={
            field: datetime_of(getattr(profile.times, name))
            for name, field in _TIMES.items()
            if profile.times.HasField(name)  # type: ignore[arg-type]  # one of four names
        },
        tags=set(map(fold, profile.tags)),
        values={
            key: fold(text) if kinds[key] is AttributeType.TEXT else text
            for key, text in profile.attributes.items()
            if key in kinds
        },
        bound={(channel, account) for channel, account, _ in identities},
        blocked={(channel, account) for channel, account, blocked in identities if blocked},
        balance=points.balance if points is not None else 0,
        cumulative=points.cumulative if points is not None else 0,
        changes=deque(map(_point_change, points.changes if points is not None else ())),
    )


def _point_change(change: ledger_service_pb2.PointChange) -> PointChange:
    journey_id = UUID(change.journey_id) if change.journey_id else None
    at = datetime_of(change.occur_time)
    return PointChange(at, change.delta_balance, change.delta_cumulative, journey_id)


# ---- what was found -------------------------------------------------------------------------------------------


def counts_message(definition: Definition, tally: Tally) -> simulation_pb2.Simulation:
    """What a pass has counted, nodes in the definition's order: all but messages, limits and premises."""
    ways: defaultdict[str, list[enrolment_pb2.WayCount]] = defaultdict(list)
    for (node_id, way), count in sorted(tally.ways.items()):
        ways[node_id].append(enrolment_pb2.WayCount(way=way, count=count))
    place = {node.node_id: index for index, node in enumerate(definition.nodes)}
    return simulation_pb2.Simulation(
        enrolled_count=tally.enrolled,
        refusals=[
            simulation_pb2.SimulatedRefusal(reason=reason_named(reason.name), refused_count=count)
            for reason, count in sorted(tally.refusals.items())
        ],
        completed_count=tally.completed,
        nodes=[
            simulation_pb2.SimulatedNode(
                node_id=node_id,
                entered_count=tally.entered[node_id],
                deferred_count=tally.deferred[node_id],
                ways=ways.get(node_id, ()),
            )
            for node_id in place
        ],
        edges=[
            simulation_pb2.SimulatedEdge(node_id=start, next_node_id=end, taken_count=count)
            for (start, end), count in sorted(
                tally.edges.items(), key=lambda edge: (place[edge[0][0]], place.get(edge[0][1], len(place)))
            )
        ],
        points_added=tally.points_added,
        points_deducted=tally.points_deducted,
        halted_count=tally.halted,
        live_count=tally.live,
        events_count=tally.events,
    )


def findings_message(asked: AskedSimulation, around: Surroundings, found: Pass) -> simulation_pb2.Simulation:
    """The findings of the last pass."""
    definition = asked.definition
    needs = needs_of(definition, found.terms.expressions.values())
    left_aside = definition.schedule is not None and found.terms.journey.definition.schedule is None
    premises = premises_of(definition, needs, around, schedule_left_aside=left_aside)
    message = counts_message(definition, found.tally)
    message.sends.extend(_sends(found, around.prices))
    message.limits.extend(_limits(found))
    message.premises.extend(map(simulation_pb2.SimulationPremise.ValueType, premises))
    return message


def _sends(found: Pass, prices: Mapping[Channel, Price]) -> Iterator[simulation_pb2.SimulatedSends]:
    for (channel, hour), count in sorted(found.tally.sends.items()):
        price = prices.get(channel)
        yield simulation_pb2.SimulatedSends(
            channel=channel_pb2.Channel.ValueType(channel),
            start_time=timestamp(hour),
            message_count=count,
            cost=None
            if price is None
            else money_pb2.Money(currency_code=price.currency, amount_micros=price.micros * count),
        )


def _limits(found: Pass) -> Iterator[simulation_pb2.SimulatedLimit]:
    unenforced = (meter.reached() for meter in found.meters.values() if meter.consequence is Consequence.NONE)
    reached = [limit for limit in (*found.imposed, *unenforced) if limit is not None]
    for limit in sorted(reached, key=lambda each: each.at):
        yield simulation_pb2.SimulatedLimit(reason=reason_named(limit.reason), reach_time=timestamp(limit.at))


def operation_message(found: StoredSimulation) -> operation_pb2.Operation:
    """A simulation as the operation that runs it."""
    shown = operation_pb2.Operation(
        operation_id=str(found.asked.simulation_id),
        team_id=str(found.asked.team_id),
        kind=operation_pb2.OPERATION_KIND_SIMULATION,
        state=operation_pb2.OperationState.ValueType(found.state),
        done_count=found.done,
        total_count=found.done if found.state is SimulationState.SUCCEEDED else 0,
        resource_id=str(found.asked.simulation_id),
        create_time=timestamp(found.created_at),
        end_time=timestamp(found.ended_at) if found.ended_at else None,
    )
    if found.state is SimulationState.FAILED:
        shown.error.reason = reason_named(found.reason)
        shown.error.message = found.message
    return shown
