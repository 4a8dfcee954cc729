"""What the command line answers about journeys: why customers entered, and what would have come of events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from libs.common.ids import new_id
from libs.testing.fixtures import Databases, Servers
from omnijourney.journey.v1 import explain_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb
from tests.command_line import Done
from tests.integration.journey.command_line import command
from tests.integration.journey.example_shop import Shop
from tests.integration.journey.whole_site import serving_site

TEXT = """\
name: Large orders
enrolments_per_customer_max: 1
trigger:
  checkout_completed:
    amount:
      at_least: 1000 TWD
targets:
- channel: LINE
  account: Shop
nodes:
- node_id: vip
  condition:
    audience:
      tags:
        operator: ANY_OF
        tags: [VIP]
    "yes":
      node_id: thank
    "no":
      node_id: hour
- node_id: hour
  next_node_id: thank
  delay:
    delay: 1h
- node_id: thank
  message:
    channel: LINE
    bot_module: VIP
"""


@pytest_asyncio.fixture
async def shop(servers: Servers, databases: Databases) -> AsyncIterator[Shop]:
    """Four services and a shop."""
    async with Redis.from_url(servers.redis_url, protocol=2) as redis:
        await redis.flushall()
    async with serving_site(servers, databases) as site:
        shop = Shop(site)
        await shop.furnish()
        yield shop


async def until_refused(shop: Shop, journey_id: str, customer_id: str) -> None:
    """Waits until the customer's last event is worked."""
    async with asyncio.timeout(60):
        while True:
            ids = {"journey_id": journey_id, "customer_id": customer_id}
            newest = (await shop.site.call("ExplainCustomer", **ids)).entries[0]
            if newest.result == explain_pb2.ENTRY_RESULT_REFUSED:
                return
            await asyncio.sleep(0.05)


class Case:
    """A shop whose journey two customers met: the VIP twice, the new one with a small order and a large one."""

    def __init__(self, shop: Shop, servers: Servers, folder: Path) -> None:
        self.shop = shop
        self._servers = servers
        self.folder = folder

    async def run(self, *arguments: str) -> Done:
        """`omnijourney journey …`."""
        return await command(self.shop.site, self._servers, self.folder, *arguments)

    async def prepare(self) -> tuple[str, str]:
        """Applies, publishes and lets it happen; the VIP and the new customer."""
        shop = self.shop
        applied = await shop.site.call("ApplyJourney", format=pb.TEXT_FORMAT_YAML, content=TEXT)
        journey_id = applied.journey.journey_id
        await shop.site.call("PublishJourney", journey_id=journey_id)
        vip, new = await shop.customer(), await shop.customer()
        await shop.site.call("ChangeCustomerTags", customer_id=vip, add=["VIP"])
        await shop.order(new, 999)
        await shop.order(vip, 1_000)
        await shop.order(new, 5_000)
        await shop.settled(journey_id, live=1, completed=1)
        await shop.order(vip, 2_000)
        await until_refused(shop, journey_id, vip)
        return vip, new


@pytest.fixture
def case(shop: Shop, servers: Servers, tmp_path: Path) -> Case:
    """Not prepared yet."""
    return Case(shop, servers, tmp_path)


@pytest.mark.timeout(300)
@pytest.mark.rule("J-41a", "J-41b")
async def test_the_command_line_tells_why_who_entered_and_why_not(case: Case) -> None:
    vip, new = await case.prepare()
    all_, newest, nobody = await asyncio.gather(
        case.run("explain", "Large orders", new),
        case.run("explain", "Large orders", vip, "--newest", "1", "--json"),
        case.run("explain", "Large orders", str(new_id())),
    )
    entered, unmet = all_.out.splitlines()[:2]
    assert "  ENROLLED  " in entered
    assert "  the customer entered: LIVE at hour DELAY until 20" in entered
    assert "  NOT_MATCHED  " in unmet
    assert unmet.endswith("(trigger.checkout_completed.amount.at_least: 999.00 TWD)")
    refused = json.loads(newest.out)
    assert (refused["result"], refused["reason"]) == (
        "ENTRY_RESULT_REFUSED",
        "ERROR_REASON_CUSTOMER_LIMIT",
    )
    assert (nobody.code, "NOT_FOUND" in nobody.err) == (1, True)
    alone = (await case.run("explain", "Large orders", new, "--event", entered.split()[2])).out.splitlines()
    assert alone[0] == entered
    assert [line.split()[1:4] for line in alone[1:]] == [
        ["NO", "r1", "vip"],
        ["DELAY_STARTED", "r1", "hour"],
    ]
    assert alone[1].endswith("  vip  tags: none of them")


@pytest.mark.timeout(300)
@pytest.mark.rule("J-40b")
async def test_the_command_line_tells_node_by_node_what_would_have_been(case: Case) -> None:
    await case.prepare()
    (case.folder / "open.yaml").write_text(TEXT.replace("Large", "All").replace("1000 TWD", "1 TWD"))
    (case.folder / "bad.yaml").write_text(TEXT.replace("account: Shop", "account: Shpo"))
    live, text, earlier, missing, bad = await asyncio.gather(
        case.run("simulate", "Large orders"),
        case.run("simulate", "open.yaml", "--json"),
        case.run("simulate", "Large orders", "--since", "2001-01-01", "--until", "2001-02-01"),
        case.run("simulate", "missing.yaml"),
        case.run("simulate", "bad.yaml"),
    )
    assert live.out.splitlines()[1:] == [
        "enrolled 2: completed 1, halted 0, inside at the end 1",
        "refused 1: CUSTOMER_LIMIT",
        "vip: 2 entered",
        "  → hour: 1",
        "  → thank: 1",
        "hour: 1 entered",
        "thank: 1 entered",
        "  → the end: 1",
        "messages on LINE: 1, TWD 0.20",
        "taken for granted: ALL_DELIVERED, BINDINGS_OF_NOW",
    ]
    found = json.loads(text.out)
    assert found["enrolled_count"] == "2", "without being applied"
    assert [(node["node_id"], node["entered_count"]) for node in found["nodes"]] == [
        ("vip", "2"),
        ("hour", "1"),
        ("thank", "1"),
    ]
    assert (earlier.err, earlier.out.splitlines()[0]) == ("", "0 recorded events")
    assert (missing.code, missing.err.startswith("missing.yaml: ")) == (1, True)
    assert (bad.code, "bad.yaml:9: targets[0].account_id: " in bad.err) == (1, True)
