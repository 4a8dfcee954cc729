"""Asks every service for its figures once all is quiet."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from libs.client import Client
from libs.demo.definitions import BIG_BASKET, FAVOURITE_ITEM, VIP_WELCOME
from libs.demo.figures import Channel, Figures, Journey, Points, Step
from libs.demo.patience import DemoFault, call
from libs.demo.projections import CHANNEL_NAMES, JourneyProjection, Projections
from libs.demo.receipts import CHANNELS, read_receipts
from libs.demo.shopfront import BATCH_MAX, Shopfront, customer_id_of
from omnijourney.channel_gateway.v1.channel_gateway_service_pb2 import GetSendFiguresRequest
from omnijourney.common.v1.channel_pb2 import CHANNEL_LINE, CHANNEL_WHATSAPP
from omnijourney.common.v1.installation_service_pb2 import GetLagRequest
from omnijourney.journey.v1 import journey_pb2
from omnijourney.journey.v1.journey_service_pb2 import CountEnrolmentsRequest, GetJourneyRequest
from omnijourney.journey.v1.node_pb2 import Branch, Node
from omnijourney.points.v1.points_service_pb2 import (
    BalanceQuery,
    BatchGetBalancesRequest,
    CheckLedgerRequest,
    GetLedgerSummaryRequest,
)

ORDER = (BIG_BASKET, FAVOURITE_ITEM, VIP_WELCOME)
"""In which journeys are shown."""
STATS_STUCK_S = 60.0
"""Real seconds in which stats counts nothing although there is something, after which the demo gives up."""
CHECK_TIMEOUT_S = 60.0
_POLL_S = 0.05
_TITLES = {CHANNEL_WHATSAPP: "WhatsApp", CHANNEL_LINE: "LINE"}


@dataclass(frozen=True, slots=True)
class Collector:
    """Reads the figures of the demo's team."""

    client: Client
    shopfront: Shopfront
    members: tuple[int, ...]
    receipts: Path
    """Where the emulators' logs are."""

    async def wait_for_stats(self) -> None:
        """Until stats has counted everything that the histories hold; DemoFault if it stops before that."""
        moved_s, before, quiet = time.monotonic(), "", False
        operations = self.client.installation("stats")
        while True:
            lag = await call(operations.GetLag, GetLagRequest())
            moved = lag.progress != before
            if quiet and lag.pending == 0 and not moved:
                return
            quiet, before = lag.pending == 0, lag.progress
            if moved:
                moved_s = time.monotonic()
            elif time.monotonic() - moved_s > STATS_STUCK_S:
                raise DemoFault(
                    f"stats is {lag.pending:,} facts behind and counts none for {STATS_STUCK_S:.0f} s"
                )
            await asyncio.sleep(_POLL_S)

    async def collect(self, events_per_s: float) -> Figures:
        """All figures; `wall_s` is left to the caller."""
        projections = Projections(self.client, self.shopfront.team_id)
        team = await projections.team()
        compared, findings = await projections.check()
        return Figures(
            orders=team.orders,
            refunds=team.refunds,
            anonymous=team.anonymous,
            customers=team.customers,
            points=await self._points(),
            stats_points=team.points,
            balances=await self._balances(),
            ledger_findings=await self._ledger_findings(),
            journeys={name: await self._journey(name, projections) for name in ORDER},
            channels=await self._channels(team.sent),
            statistics_compared=compared,
            statistics_findings=findings,
            events_per_s=events_per_s,
            wall_s=0.0,
        )

    async def _points(self) -> Points:
        request = GetLedgerSummaryRequest(team_id=self.shopfront.team_id)
        summary = (await call(self.client.points.GetLedgerSummary, request)).summary
        return Points(
            entries=summary.entries,
            earned=summary.earned,
            refunded=summary.refunded,
            refund_shortfall=summary.refund_shortfall,
            journey=summary.journey,
            balance=summary.balance,
            cumulative=summary.cumulative,
        )

    async def _balances(self) -> tuple[int, int]:
        balance = cumulative = 0
        for start in range(0, len(self.members), BATCH_MAX):
            items = [
                BalanceQuery(
                    team_id=self.shopfront.team_id,
                    customer_id=customer_id_of(self.shopfront.shop_id, member),
                )
                for member in self.members[start : start + BATCH_MAX]
            ]
            request = BatchGetBalancesRequest(items=items)
            answer = await call(self.client.points.BatchGetBalances, request)
            balance += sum(found.balance for found in answer.balances)
            cumulative += sum(found.cumulative for found in answer.balances)
        return balance, cumulative

    async def _ledger_findings(self) -> int:
        request = CheckLedgerRequest(team_id=self.shopfront.team_id)
        findings = 0
        async for item in self.client.points.CheckLedger(request, timeout=CHECK_TIMEOUT_S):
            findings += item.HasField("finding")
        return findings

    async def _channels(self, sent: dict[str, int]) -> dict[str, Channel]:
        request = GetSendFiguresRequest(team_id=self.shopfront.team_id)
        answer = await call(self.client.channel_gateway.GetSendFigures, request)
        gateway = {figures.channel: figures.messages_sent for figures in answer.figures}
        numbers = {name: number for number, name in CHANNEL_NAMES.items()}
        found = {}
        for name in CHANNELS:
            receipts = read_receipts(self.receipts, name)
            found[name] = Channel(
                sent=sent.get(name, 0),
                gateway_sent=gateway.get(numbers[name], 0),
                received_by_emulator=receipts.received,
                doubles=receipts.doubles,
            )
        return found

    async def _journey(self, name: str, projections: Projections) -> Journey:
        team_id, journey_id = self.shopfront.team_id, self.shopfront.journeys[name]
        request = GetJourneyRequest(team_id=team_id, journey_id=journey_id)
        journey = (await call(self.client.journey.GetJourney, request)).journey
        counted = await call(
            self.client.journey.CountEnrolments,
            CountEnrolmentsRequest(team_id=team_id, journey_id=journey_id),
        )
        projection = await projections.journey(journey_id)
        enrolments = {
            "LIVE": counted.live_count,
            "COMPLETED": counted.completed_count,
            "HALTED": counted.halted_count,
            "PARKED": counted.parked_count,
        }
        return _journey_of(name, journey, projection, enrolments)


def _journey_of(
    name: str, journey: journey_pb2.Journey, projection: JourneyProjection, enrolments: dict[str, int]
) -> Journey:
    nodes = journey.definition.nodes
    return Journey(
        name=name,
        channel=" and ".join(_TITLES[target.channel] for target in journey.definition.targets),
        status=journey_pb2.JourneyStatus.Name(journey.status).removeprefix("JOURNEY_STATUS_"),
        reason=_reason(journey.status_reason),
        triggered=projection.triggered,
        refused=projection.refused,
        completed=projection.completed,
        halted=projection.halted,
        messages=projection.messages,
        # A node that nobody entered is a figure too.
        nodes={node.node_id: projection.nodes.get(node.node_id, 0) for node in nodes},
        cost=projection.cost,
        steps=tuple(_step(node) for node in nodes),
        enrolments=enrolments,
        attributed=projection.attributed,
        return_on_ad_spend=projection.return_on_ad_spend,
    )


def _reason(reason: journey_pb2.StatusReason.ValueType) -> str | None:
    if reason == journey_pb2.STATUS_REASON_UNSPECIFIED:
        return None
    return journey_pb2.StatusReason.Name(reason).removeprefix("STATUS_REASON_")


def _step(node: Node) -> Step:
    leads_to: list[tuple[str, str]] = [("", node.next_node_id)] if node.next_node_id else []
    if node.HasField("condition"):
        branches: list[tuple[str, Branch]] = [("yes", node.condition.yes), ("no", node.condition.no)]
        leads_to = [(label, branch.node_id) for label, branch in branches if branch.node_id]
    return Step(node.node_id, _what(node), tuple(leads_to))


def _what(node: Node) -> str:
    """What a node does, in a few words."""
    kind = node.WhichOneof("kind")
    if kind == "delay":
        return f"wait {node.delay.delay.ToTimedelta()}".replace(", 0:00:00", "")
    if kind == "tags":
        return "tag " + ", ".join(node.tags.add)
    if kind == "points":
        return f"{node.points.add:+} points"
    if kind == "attribute":
        return f"{node.attribute.key} = {node.attribute.text}"
    return {"message": "message", "condition": "which customer?"}.get(kind or "", kind or "")
