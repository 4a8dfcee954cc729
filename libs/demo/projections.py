"""The figures that stats has counted."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from libs.client import Client
from libs.common.money import format_micros
from libs.demo.attributed import Attributed
from libs.demo.figures import CountedPoints, Messages
from libs.demo.patience import call
from omnijourney.common.v1.channel_pb2 import CHANNEL_LINE, CHANNEL_WHATSAPP
from omnijourney.common.v1.money_pb2 import Money
from omnijourney.stats.v1.figures_pb2 import Amounts
from omnijourney.stats.v1.stats_service_pb2 import (
    CheckProjectionsRequest,
    GetJourneyOverviewRequest,
    GetTeamOverviewRequest,
    ListMessageFiguresRequest,
    ListNodeFiguresRequest,
)

CHECK_TIMEOUT_S: Final = 120.0

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
    attributed: Attributed
    return_on_ad_spend: float | None


@dataclass(frozen=True, slots=True)
class Projections:
    """Reads stats for one team."""

    client: Client
    team_id: str

    async def team(self) -> TeamProjection:
        """The team's figures."""
        request = GetTeamOverviewRequest(team_id=self.team_id)
        counted = (await call(self.client.stats.GetTeamOverview, request)).overview
        return TeamProjection(
            orders=counted.order_count,
            refunds=counted.refund_count,
            anonymous=counted.anonymous_count,
            customers=counted.customer_count,
            points=CountedPoints(
                entries=counted.points.entry_count,
                earned=counted.points.earned,
                refunded=counted.points.refunded,
                journey=counted.points.journey,
                balance=counted.points.balance,
                cumulative=counted.points.cumulative,
            ),
            sent={CHANNEL_NAMES[sends.channel]: sends.sent_count for sends in counted.sends},
        )

    async def journey(self, journey_id: str) -> JourneyProjection:
        """A journey's figures."""
        overview = GetJourneyOverviewRequest(team_id=self.team_id, journey_id=journey_id)
        counted = (await call(self.client.stats.GetJourneyOverview, overview)).overview
        request = ListNodeFiguresRequest(team_id=self.team_id, journey_id=journey_id)
        nodes = (await call(self.client.stats.ListNodeFigures, request)).nodes
        asked = ListMessageFiguresRequest(team_id=self.team_id, journey_id=journey_id)
        messages = (await call(self.client.stats.ListMessageFigures, asked)).figures
        spent = counted.return_on_ad_spend
        return JourneyProjection(
            triggered=counted.triggered_count,
            refused=counted.refused_count,
            completed=counted.completed_count,
            halted=counted.halted_count,
            messages=Messages(
                sent=counted.messages_sent_count,
                failed=counted.failed_count,
                skipped=counted.skipped_count,
                unknown=counted.unknown_count,
            ),
            nodes={node.node_id: node.entered_count for node in nodes},
            cost=_text_of(counted.message_cost),
            attributed=Attributed(
                clicked=sum(each.clicked.value for each in messages),
                orders=counted.order_count.value,
                revenue=sum((_units_of(each) for each in counted.revenue.amounts), Decimal(0)),
            ),
            return_on_ad_spend=spent.value if spent.HasField("value") else None,
        )

    async def check(self) -> tuple[int, tuple[str, ...]]:
        """How many figures the checker compared, and those that differ from the records."""
        compared, findings = 0, list[str]()
        request = CheckProjectionsRequest(team_id=self.team_id)
        async for piece in self.client.stats.CheckProjections(request, timeout=CHECK_TIMEOUT_S):
            compared = piece.compared_count
            if piece.HasField("finding"):
                finding = piece.finding
                findings.append(f"{finding.figure}: {finding.counted} counted, {finding.recorded} recorded")
        return compared, tuple(findings)


def _units_of(money: Money) -> Decimal:
    return Decimal(money.amount_micros) / 1_000_000


def _text_of(amounts: Amounts) -> str:
    """Amounts for people; "–" for none."""
    return (
        " + ".join(f"{money.currency_code} {format_micros(money.amount_micros)}" for money in amounts.amounts)
        or "–"
    )
