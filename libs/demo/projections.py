"""The figures that stats has counted."""

from dataclasses import dataclass

from libs.client import Client
from libs.common.money import format_micros
from libs.demo.figures import CountedPoints, Messages
from libs.demo.patience import call
from omnijourney.common.v1.channel_pb2 import CHANNEL_LINE, CHANNEL_WHATSAPP
from omnijourney.stats.v1.figures_pb2 import Amounts
from omnijourney.stats.v1.stats_service_pb2 import (
    GetJourneyOverviewRequest,
    GetTeamOverviewRequest,
    ListNodeFiguresRequest,
)

CHANNEL_NAMES = {CHANNEL_WHATSAPP: "whatsapp", CHANNEL_LINE: "line"}


@dataclass(frozen=True, slots=True)
class TeamProjection:
    """A team's figures."""

    orders: int
    refunds: int
    anonymous: int
    customers: int
    points: CountedPoints
    sent: dict[str, int]
    """Messages by channel."""


@dataclass(frozen=True, slots=True)
class JourneyProjection:
    """A journey's figures."""

    triggered: int
    refused: int
    completed: int
    halted: int
    messages: Messages
    nodes: dict[str, int]
    """Times entered; only of nodes that were."""
    cost: str


@dataclass(frozen=True, slots=True)
class Projections:
    """Reads stats for one team."""

    client: Client
    team_id: str

    async def team(self) -> TeamProjection:
        """The team's figures."""
        request = GetTeamOverviewRequest(team_id=self.team_id)
        told = (await call(self.client.stats.GetTeamOverview, request)).overview
        return TeamProjection(
            orders=told.order_count,
            refunds=told.refund_count,
            anonymous=told.anonymous_count,
            customers=told.customer_count,
            points=CountedPoints(
                entries=told.points.entry_count,
                earned=told.points.earned,
                refunded=told.points.refunded,
                journey=told.points.journey,
                balance=told.points.balance,
                cumulative=told.points.cumulative,
            ),
            sent={CHANNEL_NAMES[sends.channel]: sends.sent_count for sends in told.sends},
        )

    async def journey(self, journey_id: str) -> JourneyProjection:
        """A journey's figures."""
        overview = GetJourneyOverviewRequest(team_id=self.team_id, journey_id=journey_id)
        told = (await call(self.client.stats.GetJourneyOverview, overview)).overview
        request = ListNodeFiguresRequest(team_id=self.team_id, journey_id=journey_id)
        nodes = (await call(self.client.stats.ListNodeFigures, request)).nodes
        return JourneyProjection(
            triggered=told.triggered_count,
            refused=told.refused_count,
            completed=told.completed_count,
            halted=told.halted_count,
            messages=Messages(
                sent=told.messages_sent_count,
                failed=told.failed_count,
                skipped=told.skipped_count,
                unknown=told.unknown_count,
            ),
            nodes={node.node_id: node.entered_count for node in nodes},
            cost=_text_of(told.message_cost),
        )


def _text_of(amounts: Amounts) -> str:
    """Amounts for people; "–" for none."""
    return (
        " + ".join(f"{money.currency_code} {format_micros(money.amount_micros)}" for money in amounts.amounts)
        or "–"
    )
