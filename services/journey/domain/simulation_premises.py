"""What of customers a simulation has to know, and what it takes for granted since recorded events do not tell it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from libs.common.audience.expressions import (
    AttributeType,
    Expression,
    HasAttribute,
    HasBasic,
    HasPoints,
    HasTags,
    HasTime,
    IsBound,
    predicates,
)
from libs.common.frequency import FrequencyRule
from services.journey.domain.model import Channel, Definition, Message, Points
from services.journey.domain.plan import TeamPlan


class Premise(IntEnum):
    """The numbers are those of the contract's SimulationPremise."""

    ALL_DELIVERED = 1
    BASICS_OF_NOW = 2
    BINDINGS_OF_NOW = 3
    TIMES_OF_NOW = 4
    LIMITS_OF_NOW = 6
    BALANCE_OF_NOW = 7
    SCHEDULE_LEFT_ASIDE = 8


class Needs(NamedTuple):
    """What the nodes of a definition look at."""

    basics: bool
    tags: bool
    attributes: bool
    identities: bool
    times: bool
    points: bool


class Price(NamedTuple):
    """Of one message."""

    micros: int
    currency: str


class Surroundings(NamedTuple):
    """What is true of the team now."""

    zone: str
    plan: TeamPlan | None
    kinds: Mapping[str, AttributeType]
    """Types of the attributes that conditions name."""
    messages: Mapping[str, int]
    """Messages of one send, by node."""
    quotas: Mapping[UUID, int]
    """Messages a month, of the LINE accounts whose plan has a limit."""
    affordable: int | None
    """WhatsApp messages that the prepaid balance pays for; None: they cost nothing."""
    prices: Mapping[Channel, Price]
    frequency: tuple[FrequencyRule, ...] = ()
    """The team's frequency cap."""
    saved: Mapping[str, Expression] = MappingProxyType({})
    """Saved audiences that conditions reach, by their ids; one that is not there holds nobody."""
    country: str = ""
    """In whose form conditions may write phones; empty where none is known."""


def needs_of(definition: Definition, expressions: Collection[Expression]) -> Needs:
    """What has to be known of a customer who enters; `expressions` are those of its conditions."""
    named = {type(item) for expression in expressions for item in predicates(expression)}
    points = [node.action.delta for node in definition.nodes if isinstance(node.action, Points)]
    sends = any(isinstance(node.action, Message) for node in definition.nodes)
    return Needs(
        basics=HasBasic in named or bool(points) or definition.in_own_zone,
        tags=HasTags in named,
        attributes=HasAttribute in named or (definition.in_own_zone and bool(definition.zone_attribute_key)),
        identities=IsBound in named or sends,
        times=HasTime in named,
        points=HasPoints in named or any(delta < 0 for delta in points),
    )


def premises_of(
    definition: Definition, needs: Needs, around: Surroundings, *, schedule_left_aside: bool
) -> list[Premise]:
    """What was taken for granted, of what the definition depends on."""
    channels = {node.action.channel for node in definition.nodes if isinstance(node.action, Message)}
    taken = {
        Premise.ALL_DELIVERED: bool(channels),
        Premise.BASICS_OF_NOW: needs.basics,
        Premise.BINDINGS_OF_NOW: needs.identities,
        Premise.TIMES_OF_NOW: needs.times,
        Premise.LIMITS_OF_NOW: bool(around.plan or around.quotas or (around.frequency and channels)),
        Premise.BALANCE_OF_NOW: Channel.WHATSAPP in channels and around.affordable is not None,
        Premise.SCHEDULE_LEFT_ASIDE: schedule_left_aside,
    }
    return [premise for premise, is_taken in taken.items() if is_taken]
