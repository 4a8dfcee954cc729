"""Figures, shown by `omnijourney stats`: of journeys, their nodes and messages, of teams, and whose an order is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from google.protobuf.message import Message

from libs.cli.answers import json_of
from libs.cli.console import say
from libs.cli.journeys import TIMEOUT_S, Command, id_of
from libs.cli.listings import name_of, shown
from libs.client import Client
from libs.common.money import format_micros
from omnijourney.common.v1 import channel_pb2
from omnijourney.journey.v1 import enrolment_pb2
from omnijourney.stats.v1 import attribution_pb2, figures_pb2
from omnijourney.stats.v1 import stats_service_pb2 as stats

_UNKNOWN: Final = "–"


def overview(team_id: str, name: str, *, as_json: bool) -> Command:
    """Shows the figures of a journey over all time."""

    async def command(client: Client) -> int:
        journey_id = await id_of(client, team_id, name)
        request = stats.GetJourneyOverviewRequest(team_id=team_id, journey_id=journey_id)
        show = shown(
            lambda client: client.stats.GetJourneyOverview, request, "overview", _overview, as_json=as_json
        )
        return await show(client)

    return command


def team(team_id: str, *, as_json: bool) -> Command:
    """Shows the figures of a team over all time."""
    request = stats.GetTeamOverviewRequest(team_id=team_id)
    return shown(lambda client: client.stats.GetTeamOverview, request, "overview", _team, as_json=as_json)


def order(team_id: str, shop_id: str, order_id: str, *, as_json: bool) -> Command:
    """Tells whose an order is, and why."""
    request = stats.ExplainOrderRequest(team_id=team_id, shop_id=shop_id, order_id=order_id)
    return shown(lambda client: client.stats.ExplainOrder, request, "explanation", _order, as_json=as_json)


def lift(team_id: str, name: str, *, as_json: bool) -> Command:
    """Shows what the splits of a journey changed that hold somebody out."""
    return _of_journey(
        team_id,
        name,
        lambda client: client.stats.GetJourneyLift,
        stats.GetJourneyLiftRequest,
        "lifts",
        _lift,
        as_json=as_json,
    )


def nodes(team_id: str, name: str, *, as_json: bool) -> Command:
    """Shows the figures of a journey's nodes over all time."""
    return _of_journey(
        team_id,
        name,
        lambda client: client.stats.ListNodeFigures,
        stats.ListNodeFiguresRequest,
        "nodes",
        _node,
        as_json=as_json,
    )


def messages(team_id: str, name: str, *, as_json: bool) -> Command:
    """Shows the figures of a journey's messages by channel over all time."""
    return _of_journey(
        team_id,
        name,
        lambda client: client.stats.ListMessageFigures,
        stats.ListMessageFiguresRequest,
        "figures",
        _messages,
        as_json=as_json,
    )


def _of_journey(  # noqa: PLR0917 - whose, and how it is asked for and shown
    team_id: str,
    name: str,
    call: Callable[[Client], Any],
    form: Callable[..., Message],
    field: str,
    text: Callable[[Any], str],
    *,
    as_json: bool,
) -> Command:
    async def command(client: Client) -> int:
        request = form(team_id=team_id, journey_id=await id_of(client, team_id, name))
        for each in getattr(await call(client)(request, timeout=TIMEOUT_S), field):
            say(json_of(each) if as_json else text(each))
        return 0

    return command


def _overview(each: figures_pb2.JourneyOverview) -> str:
    return _lines(
        {
            "triggered": f"{each.triggered_count:,}",
            "refused": f"{each.refused_count:,}",
            "revenue": _amounts(each.revenue),
            "orders": _count(each.order_count),
            "return": _ratio(each.return_on_ad_spend, ".2f"),
            "completed": f"{each.completed_count:,}  ({_ratio(each.completion_rate, '.1%')})",
            "messages sent": f"{each.messages_sent_count:,}",
            "message cost": _amounts(each.message_cost),
            "skipped": f"{each.skipped_count:,}",
            "failed": f"{each.failed_count:,}",
        }
    )


def _team(each: figures_pb2.TeamOverview) -> str:
    sends = {
        f"sent, {_channel(sent.channel)}": f"{sent.sent_count:,}  ({_amounts(sent.cost)})"
        for sent in each.sends
    }
    return _lines(
        {
            "orders": f"{each.order_count:,}",
            "refunds": f"{each.refund_count:,}",
            "of nobody": f"{each.anonymous_count:,}",
            "customers": f"{each.customer_count:,}",
            **sends,
            "points earned": f"{each.points.earned:,}",
            "points refunded": f"{each.points.refunded:,}",
            "points, journeys": f"{each.points.journey:,}",
            "points, balance": f"{each.points.balance:,}",
        }
    )


def _order(each: attribution_pb2.OrderExplanation) -> str:
    return _lines(
        {
            "reason": name_of(attribution_pb2.AttributionReason, each.reason, "ATTRIBUTION_REASON_"),
            "journey": each.journey_id or _UNKNOWN,
            "node": each.node_id or _UNKNOWN,
            "clicked": each.click_time.ToJsonString() if each.HasField("click_time") else _UNKNOWN,
            "ordered": each.occur_time.ToJsonString() if each.HasField("occur_time") else _UNKNOWN,
            "revenue": _amounts(each.revenue),
        }
    )


def _lift(each: attribution_pb2.JourneyLift) -> str:
    between = f"{_ratio(each.lift_low, '+.1%')} … {_ratio(each.lift_high, '+.1%')}"
    return (
        f"{each.node_id:24}  lift {_ratio(each.lift, '+.1%')} ({between})"
        f"  ordered: {each.treated_order_count:,} of {each.treated_count:,} sent on,"
        f" {each.holdout_order_count:,} of {each.holdout_count:,} held out"
    )


def _node(each: figures_pb2.NodeFigures) -> str:
    waits = [
        f"{wait.enrolment_count:,} wait, {name_of(enrolment_pb2.WaitReason, wait.wait_reason, 'WAIT_REASON_')}"
        for wait in each.waits
    ]
    results = [
        f"{name_of(enrolment_pb2.StepResult, result.result, 'STEP_RESULT_').lower()} {result.count:,}"
        f"{_reasons(result.reasons)}"
        for result in each.results
    ]
    ways = [f"way {way.way} {way.count:,}" for way in each.ways]
    dropped = (
        f"dropped {each.dropped_count:,} ({_ratio(each.drop_off, '.1%')}){_reasons(each.dropped_reasons)}"
    )
    said = [
        f"entered {each.entered_count:,}",
        f"passed {each.passed_count:,}",
        dropped,
        *waits,
        *results,
        *ways,
    ]
    return f"{each.node_id:24}  {'; '.join(said)}"


def _messages(each: figures_pb2.MessageFigures) -> str:
    counts = {
        name: _count(getattr(each, name))
        for name in ("sent", "delivered", "read", "replied", "clicked", "orders")
    }
    counts |= {
        "failed": f"{_count(each.failed)}{_reasons(each.failed_reasons)}",
        "skipped": f"{_count(each.skipped)}{_reasons(each.skipped_reasons)}",
        "revenue": _amounts(each.revenue),
    }
    said = "; ".join(f"{name} {value}" for name, value in counts.items())
    return f"{each.node_id:24}  {_channel(each.channel):10}  {said}"


def _channel(channel: channel_pb2.Channel.ValueType) -> str:
    return name_of(channel_pb2.Channel, channel, "CHANNEL_")


def _reasons(reasons: Sequence[figures_pb2.ReasonCount]) -> str:
    return (
        f" ({', '.join(f'{each.detail or _UNKNOWN} {each.count:,}' for each in reasons)})" if reasons else ""
    )


def _count(given: figures_pb2.Count) -> str:
    return f"{given.value:,}" if given.HasField("value") else _absent(given.absent_reason)


def _ratio(given: figures_pb2.Ratio, form: str) -> str:
    return format(given.value, form) if given.HasField("value") else _absent(given.absent_reason)


def _amounts(given: figures_pb2.Amounts) -> str:
    if given.absent_reason:
        return _absent(given.absent_reason)
    return (
        " + ".join(f"{format_micros(each.amount_micros)} {each.currency_code}" for each in given.amounts)
        or "0"
    )


def _absent(reason: figures_pb2.AbsentReason.ValueType) -> str:
    """A dash, and why."""
    why = name_of(figures_pb2.AbsentReason, reason, "ABSENT_REASON_") if reason else ""
    return f"{_UNKNOWN} {why.lower().replace('_', ' ')}".rstrip()


def _lines(figures: dict[str, str]) -> str:
    return "\n".join(f"{figure:16} {value}" for figure, value in figures.items())
