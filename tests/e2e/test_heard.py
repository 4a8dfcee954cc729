"""From a first word on each channel to messages, receipts, clicks, orders and figures: by signed HTTP, on traces."""

import json
import os
import shutil
import signal
import tempfile
from datetime import UTC, timedelta
from pathlib import Path

import aiohttp
import asyncpg
import pytest
import yaml

from libs.client import Client
from libs.common.rpc.values import timestamp
from libs.demo.patience import call
from libs.demo.watching import PROGRAM, dashboards_of, prometheus
from libs.supervisor import Installation, InstallationOptions, InstallationSettings
from libs.supervisor.plan import TOGETHER
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.common.v1.channel_pb2 import CHANNEL_LINE
from omnijourney.common.v1.installation_service_pb2 import GetClockRequest, SetClockRequest
from omnijourney.common.v1.money_pb2 import Money
from omnijourney.journey.v1.enrolment_pb2 import STEP_RESULT_FAILED, STEP_RESULT_SKIPPED
from omnijourney.points.v1 import points_service_pb2 as points
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.team_pb2 import MODULE_JOURNEYS, MODULE_POINTS, CurrencyRate, Team, TeamSettings
from omnijourney.stats.v1 import stats_service_pb2
from omnijourney.stats.v1.figures_pb2 import ABSENT_REASON_TOO_FEW_PEOPLE, ABSENT_REASON_UNSPECIFIED
from tests.e2e.collector import Collector, collecting
from tests.e2e.greeting_shop import (
    BROWSER,
    CHANNELS,
    MEI,
    PEOPLE,
    PREVIEW,
    REASONS,
    REFUSALS,
    SALE,
    SECRET,
    TEAM,
    TOKEN,
    UNREACHED,
    Shop,
    comes,
    id_of,
)
from tools.paths import ROOT

CROWD = [f"U{number:032x}" for number in range(100, 119)]
"""Who follows on LINE later, one short of twenty."""


@pytest.mark.timeout(480)
@pytest.mark.rule("J-21b", "P-20c", "C-30a", "T-02a", "T-03")
@pytest.mark.rule("T-05c", "T-05d", "T-05e", "T-07a", "T-07b", "T-07c")
@pytest.mark.rule("X-04a", "X-04b")
@pytest.mark.rule("T-01b", "T-01c", "T-01d", "T-01e", "T-01f", "T-01g", "T-01h", "T-06b", "T-05a", "T-05b")
async def test_who_follows_or_writes_is_greeted_and_what_becomes_of_it_is_counted() -> None:
    with tempfile.TemporaryDirectory(prefix="omnijourney-test-") as directory:
        settings = InstallationSettings(data_dir=Path(directory) / "data", clock_control="on")
        async with (
            collecting() as collector,
            Installation(_traced(settings, collector)) as installation,
            Client(installation.targets, installation.token, installation.tools_token) as client,
            aiohttp.ClientSession() as http,
        ):
            admin = await asyncpg.connect(installation.postgres_dsn)
            shop = Shop(installation, client, http, admin)
            try:
                journey_id = await _story(shop)
                if shutil.which(PROGRAM) is not None:
                    await _is_watched(installation, http, Path(directory) / "prometheus")
                await _is_on_one_trace(shop, collector)
                await _opens(shop, journey_id)
                _names_nobody(installation.log_dir)
            finally:
                await admin.close()


def _traced(settings: InstallationSettings, collector: Collector) -> InstallationOptions:
    """All that comes in is traced, and LINE is asked for its figures soon after they are due."""
    environment = {
        "OMNIJOURNEY_OPENS_POLL_SECONDS": "0.5",
        "OMNIJOURNEY_TRACES_ENDPOINT": collector.endpoint,
        "OMNIJOURNEY_TRACES_RATIO": "1",
        "OMNIJOURNEY_LOG_LEVEL": "debug",
    }
    return InstallationOptions(
        settings=settings, free_ports=True, one_process=True, emulators=True, environment=environment
    )


async def _story(shop: Shop) -> str:
    """The journey that greets."""
    team_settings = TeamSettings(
        time_zone="Asia/Taipei",
        currency_code="TWD",
        modules=[MODULE_JOURNEYS, MODULE_POINTS],
        points_channels=[CHANNEL_LINE],
        currency_rates=[CurrencyRate(currency_code="HKD", rate="4.1")],
    )
    team = Team(team_id=str(TEAM), name="Heard", settings=team_settings)
    await call(shop.client.segment.CreateTeam, segment.CreateTeamRequest(request_id=id_of("team"), team=team))
    top_up = gateway.AdjustWalletRequest(
        team_id=str(TEAM),
        request_id=id_of("wallet"),
        amount=Money(currency_code="HKD", amount_micros=10_000_000),
    )
    await call(shop.client.channel_gateway.AdjustWallet, top_up)
    accounts = {channel: await shop.account(channel) for channel in CHANNELS}
    quota = gateway.SetPlanQuotaRequest(
        team_id=str(TEAM), request_id=id_of("quota"), account_id=accounts["line"], message_limit=200
    )
    await call(shop.client.channel_gateway.SetPlanQuota, quota)
    assert (await shop.tell("whatsapp", "webhooks/greet", verify_token=TOKEN))["verified"]
    journey_id = await shop.journey(accounts, await shop.coupon("Mug", 80))

    for channel in CHANNELS:
        await shop.tell(channel, "faults", kind="code", recipient=UNREACHED[channel], **REFUSALS[channel])
        for who in (UNREACHED[channel], PEOPLE[channel]):
            await shop.arrive(channel, who)

    async def greeted() -> set[str]:
        return {who for channel in CHANNELS for who, _ in await shop.recipients(channel)}

    await comes(greeted, set(PEOPLE.values()))
    for channel, who in PEOPLE.items():
        await shop.arrive(channel, who)
    for channel, switch, told in (
        ("whatsapp", "statuses", {"status": "read"}),
        ("messenger", "receipts", {"kind": "read"}),
        ("instagram", "receipts", {"kind": "read"}),
    ):
        ((_, message_id),) = await shop.recipients(channel)
        await shop.tell(channel, switch, id=message_id, **told)
    await comes(
        lambda: shop.figures(journey_id, "sent", "delivered", "read", "replied", "failed"),
        {
            "line": (1, 1, None, None, 1),
            # Who writes again answers the last message.
            "whatsapp": (1, 1, 1, 1, 1),
            "messenger": (1, 1, 1, None, 1),
            "instagram": (1, None, 1, None, 1),
        },
    )

    await _nodes(shop, journey_id)
    await _buys(shop, journey_id)
    await _overview(shop, journey_id)
    await _claims(shop)

    await shop.tell("line", "acts", acts=[{"kind": "unfollow", "user_id": MEI}])
    blocked = "SELECT blocked FROM segment.identity WHERE external_id = $1"
    await comes(lambda: shop.admin.fetchval(blocked, MEI), wanted=True)
    triggered = (await shop.overview(journey_id)).triggered_count
    assert triggered == len(PEOPLE) + len(UNREACHED), "who follows or writes again is nothing new"
    await comes(lambda: _findings(shop), [])
    return journey_id


async def _opens(shop: Shop, journey_id: str) -> None:
    """LINE tells how many saw a node's messages once they are twenty, when it is asked again an hour later."""

    async def opened() -> tuple[int | None, int]:
        read = (await shop.nodes(journey_id))["line"].read
        return (read.value if read.HasField("value") else None, read.absent_reason)

    await shop.tell("line", "opens", user_ids=[MEI])
    await comes(opened, (None, ABSENT_REASON_TOO_FEW_PEOPLE))
    acts = [{"kind": "follow", "user_id": person} for person in CROWD]
    await shop.tell("line", "acts", acts=acts)

    async def greeted() -> set[str]:
        return {who for who, _ in await shop.recipients("line")}

    await comes(greeted, {MEI, *CROWD})
    await shop.tell("line", "opens", user_ids=[MEI, *CROWD])
    clock = shop.client.installation("stats")
    now = (await call(clock.GetClock, GetClockRequest())).now.ToDatetime(UTC)
    await call(clock.SetClock, SetClockRequest(rate=1.0, domain_time=timestamp(now + timedelta(hours=1))))
    await comes(opened, (1 + len(CROWD), ABSENT_REASON_UNSPECIFIED))


async def _findings(shop: Shop) -> list[str]:
    """Figures that are not what the five services' own records say."""
    request = stats_service_pb2.CheckProjectionsRequest(team_id=str(TEAM))
    pieces = [each async for each in shop.client.stats.CheckProjections(request, timeout=30)]
    assert pieces[-1].compared_count > 50
    return [str(each.finding) for each in pieces if each.HasField("finding")]


async def _buys(shop: Shop, journey_id: str) -> None:
    """Everybody opens their link, and buys."""
    links = {channel: link for channel in CHANNELS for link in await shop.links(channel)}
    assert await shop.open(links["line"], PREVIEW) == SALE
    for link in (*links.values(), links["whatsapp"]):
        assert await shop.open(link, BROWSER) == SALE
    for number, channel in enumerate(CHANNELS, 1):
        phone = f"09120000{number}0"
        if channel != "whatsapp":  # whose number is a phone
            await shop.introduce(channel, phone)
        await shop.order(number, "0912000001" if channel == "whatsapp" else phone, f"{number}0.00")
    clicked = dict.fromkeys(CHANNELS, (1, 1))
    await comes(lambda: shop.figures(journey_id, "clicked", "orders"), clicked)
    nodes = await shop.nodes(journey_id)
    revenue = {channel: nodes[channel].revenue.amounts[0].amount_micros for channel in CHANNELS}
    assert revenue == {channel: number * 10_000_000 for number, channel in enumerate(CHANNELS, 1)}


async def _is_watched(installation: Installation, http: aiohttp.ClientSession, directory: Path) -> None:
    """A real Prometheus has data for each query of each dashboard, and finds the one service that is not there."""
    targets = {str(service): url for service, url in installation.metrics_urls.items()}
    targets["nobody"] = "http://127.0.0.1:1/metrics"
    deployed = ROOT / "deploy"
    async with prometheus(targets, deployed, directory, http) as server:
        series = await server.series_of(dashboards_of(deployed))
        assert [query for query, number in series.items() if not number] == []
        groups = yaml.safe_load((deployed / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))[
            "groups"
        ]
        alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
        assert [rule["alert"] for rule in alerts if await server.ask(rule["expr"])] == ["ServiceDown"]


async def _nodes(shop: Shop, journey_id: str) -> None:
    """Of eight people at each node six have no such channel, one is refused by it, and all go on."""

    async def visits() -> dict[str, tuple[float, ...]]:
        return {
            name: (
                *(node.entered_count, node.passed_count, node.dropped_count, node.drop_off.value),
                len(node.waits),
            )
            for name, node in (await shop.steps(journey_id)).items()
        }

    await comes(visits, dict.fromkeys(CHANNELS, (8, 8, 0, 0.0, 0)))
    found = await shop.steps(journey_id)
    results = {
        name: {each.result: {why.detail: why.count for why in each.reasons} for each in node.results}
        for name, node in found.items()
    }
    messages = await shop.nodes(journey_id)
    for name in CHANNELS:
        assert results[name][STEP_RESULT_SKIPPED] == {"UNBOUND": 6}
        assert results[name][STEP_RESULT_FAILED] == {REASONS[name]: 1}
        assert [(each.detail, each.count) for each in messages[name].skipped_reasons] == [("UNBOUND", 6)]
        assert [(each.detail, each.count) for each in messages[name].failed_reasons] == [(REASONS[name], 1)]


async def _overview(shop: Shop, journey_id: str) -> None:
    """The eight figures: eight people, four of whom a message reached, and who bought."""
    found = await shop.overview(journey_id)
    assert (found.triggered_count, found.completed_count, found.completion_rate.value) == (8, 8, 1.0)
    assert (found.messages_sent_count, found.failed_count) == (4, 4)
    assert list(found.message_cost.amounts) == [
        Money(currency_code="HKD", amount_micros=500_000),
        Money(currency_code="TWD", amount_micros=200_000),
    ]
    assert found.order_count.value == 4
    assert list(found.revenue.amounts) == [Money(currency_code="TWD", amount_micros=100_000_000)]
    spent = 0.5 * 4.1 + 0.2
    assert found.return_on_ad_spend.value == pytest.approx(100 / spent)


async def _claims(shop: Shop) -> None:
    """Mei presses the button of the coupon that she was sent, and another one's."""
    customer = await shop.customer_of("line")
    gift = points.AdjustBalanceRequest(
        team_id=str(TEAM), request_id=id_of("gift"), customer_id=customer, points=100, note="gift"
    )
    await call(shop.client.points.AdjustBalance, gift)
    [offer] = [each["template"]["actions"][0]["data"] for each in await shop.pushed("template")]
    await shop.press(offer)
    await comes(lambda: _count(shop), 2)
    await shop.press(offer)
    await comes(lambda: _count(shop), 3)
    _, code, again = await shop.texts()
    assert code == again
    dear = await shop.coupon("Bicycle", 500)
    await shop.press(f"c=claim&coupon={dear}")
    await comes(lambda: _count(shop), 4)
    assert (await shop.texts())[-1] == "You have 20 points."
    use = points.UseCouponClaimRequest(team_id=str(TEAM), request_id=id_of("use"), code=code)
    assert (await call(shop.client.points.UseCouponClaim, use)).coupon_claim.customer_id == customer


async def _count(shop: Shop) -> int:
    return len(await shop.texts())


STAGES = {
    ("channel_gateway", "gateway.webhook"),
    ("channel_gateway", "gateway.forward"),
    ("segment", "segment.event"),
    ("journey", "journey.mail"),
    ("journey", "journey.turn"),
    ("channel_gateway", "gateway.reserve"),
    ("channel_gateway", "gateway.send"),
    ("channel_gateway", "gateway.receipt"),
    ("stats", "stats.count"),
}
"""What an order leads to whose message was read."""


async def _is_on_one_trace(shop: Shop, collector: Collector) -> None:
    """An order by webhook, a message a minute later that is read, and figures: one trace, though all five are killed
    while the customer waits."""
    journey_id = await shop.later()
    phone = "0912000001"
    await shop.order(9, phone, "90.00")

    async def waiting() -> int:
        return len(collector.with_values("journey.turn", journey_id=journey_id, wait="DELAY"))

    await comes(waiting, 1)
    [turn] = collector.with_values("journey.turn", journey_id=journey_id)
    os.kill(shop.installation.pid_of(TOGETHER), signal.SIGKILL)
    clock = shop.client.installation("segment")
    now = (await call(clock.GetClock, GetClockRequest())).now.ToDatetime(UTC)
    await call(clock.SetClock, SetClockRequest(rate=1.0, domain_time=timestamp(now + timedelta(minutes=2))))

    async def read() -> bool:
        messages = await shop.recipients("whatsapp")
        if len(messages) < 2:
            return False
        await shop.tell("whatsapp", "statuses", status="read", id=messages[-1][1])
        return True

    await comes(read, wanted=True)

    async def stages() -> set[tuple[str, str]]:
        return {(span.service, span.name) for span in collector.trace(turn.trace_id)}

    await comes(stages, STAGES)
    spans = collector.trace(turn.trace_id)
    ids = {span.span_id for span in spans}
    assert [span.name for span in spans if span.parent_id not in ids] == ["gateway.webhook"], (
        "all hang together"
    )
    assert {span.attributes.get("team_id", str(TEAM)) for span in spans} == {str(TEAM)}
    [sent] = [span for span in spans if span.name == "gateway.send"]
    assert (sent.attributes["outcome"], sent.attributes["enrolment_id"]) == (
        "SENT",
        turn.attributes["enrolment_id"],
    )
    said = json.dumps([span.attributes for span in collector.spans])
    assert not [name for name in PERSONAL if name in said], (
        "no attribute says who somebody is, or what was said"
    )


PERSONAL = (
    *PEOPLE.values(),
    *UNREACHED.values(),
    "0912000001",
    "886912000001",
    "Hello",
    "A mug?",
    SALE,
    SECRET,
)


def _names_nobody(log_dir: Path) -> None:
    """Each line of the services is a JSON object, and holds nothing personal, nothing that was said, and no secret."""
    lines = [
        line for file in log_dir.glob("services*") for line in file.read_text(encoding="utf-8").splitlines()
    ]
    own = [line for line in lines if line.startswith("{")]
    assert len(own) > 10
    for line in own:
        assert {"event", "level", "logger", "service", "timestamp"} <= json.loads(line).keys(), line
        assert not [name for name in PERSONAL if name in line], line
