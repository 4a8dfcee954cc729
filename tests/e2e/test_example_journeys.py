"""The example journeys by the command line, on an installation with emulators of the channels."""

from __future__ import annotations

import json
import os
import re
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from libs.client import Client
from libs.demo.conductor import Conductor, InstallationInstruments
from libs.emulators.config import EmulatorSettings
from libs.emulators.line import FIRST_CHANNEL_ID
from libs.supervisor import Installation, InstallationOptions, InstallationSettings
from omnijourney.channel_gateway.v1 import account_pb2
from omnijourney.journey.v1 import journey_pb2
from tests.command_line import omnijourney
from tests.integration.journey.example_shop import EXAMPLES, Shop
from tests.integration.journey.whole_site import LINE, WHATSAPP, Site

SENT: Final = {
    "Welcome": ["best", "greet"],
    "Birthday": ["wish"],
    "Win back": ["ask-back"],
    "VIP upgrade": ["tell"],
    "Points reminder": ["remind"],
    "Review request": ["ask"],
    "Restock": ["tell"],
    "Coupon by points": ["coupon"],
    "Fallback by binding": ["by-line"],
    "Tier gift": ["tell"],
    "Reply menu": ["menu"],
}
"""By the name of an example, the nodes whose messages its customer got in the end."""
BY_WHATSAPP: Final = ("Review request",)
CALLED: Final = ("Birthday", "Fallback by binding")
NOON: Final = datetime(2026, 3, 2, 4, tzinfo=UTC)
"""Of the team's zone."""
ENVIRONMENT: Final = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}


class EmulatedShop(Shop):
    """One whose accounts send to the emulators."""

    def connect(self, account: account_pb2.ChannelAccount) -> None:
        """See `Shop`."""
        emulators = EmulatorSettings.model_construct()
        if account.channel == LINE:
            account.line.channel_id = FIRST_CHANNEL_ID
            account.line.access_token = emulators.token
            account.line.channel_secrets.append(emulators.secret)
        else:
            account.whatsapp.phone_number_id = emulators.whatsapp_phone_number_id
            account.whatsapp.waba_id = emulators.whatsapp_waba_id
            account.whatsapp.access_token = emulators.token
            account.whatsapp.app_secrets.append(emulators.secret)


class Place:
    """An installation, and the command line beside it."""

    def __init__(self, installation: Installation, client: Client, http: aiohttp.ClientSession) -> None:
        self._installation = installation
        self._http = http
        stubs = (client.segment, client.channel_gateway, client.points, client.journey)
        self.shop = EmulatedShop(
            Site(
                stubs=dict(zip(("segment", "gateway", "points", "journey"), stubs, strict=True)),
                team_id="",
                stack=AsyncExitStack(),
                installations=[
                    client.installation(name) for name in ("segment", "channel_gateway", "points", "journey")
                ],
            )
        )

    async def command(self, *arguments: str) -> str:
        """`omnijourney journey …`; what it answers."""
        environment = {
            **ENVIRONMENT,
            "OMNIJOURNEY_JOURNEY_TARGET": self._installation.targets["journey"],
            "OMNIJOURNEY_TOKEN": self._installation.token,
        }
        team = ("--team", self.shop.site.team_id)
        done = await omnijourney("journey", *arguments, *team, environment=environment)
        assert done.code == 0, done.err
        return done.out

    async def approve(self) -> None:
        """Has WhatsApp know the template of the examples: it is approved outside the product."""
        body = {"type": "BODY", "text": "How was it, {{1}}?"}
        template = {"name": "order_review", "language": "zh_TW", "components": [body]}
        url = f"{self._installation.channel_urls['whatsapp']}/_emulator/templates"
        async with self._http.post(url, json=template) as answer:
            assert answer.status == 201

    async def accepted(self, channel: str) -> int:
        """Messages that an emulator has taken."""
        url = f"{self._installation.channel_urls[channel]}/_emulator/health"
        async with self._http.get(url) as answer:
            return int((await answer.json())["accepted"])


async def live_through(shop: Shop, journeys: dict[str, str]) -> tuple[str, str]:
    """Does everything that starts the examples; who is on LINE, and who on WhatsApp."""
    mei, jun = await shop.customer(LINE, points=600), await shop.customer(WHATSAPP)
    await shop.site.call("ChangeCustomerTags", customer_id=mei, add=["restock tea"])
    await shop.site.call("SetCustomerAttributes", customer_id=mei, values={"tier": "gold"})
    await shop.order(mei, 12_000)
    await shop.order(jun, 500)
    for name in CALLED:
        await shop.trigger(journeys[name], mei)
    return mei, jun


async def let_pass(conductor: Conductor, span: timedelta) -> None:
    """Lets time pass, each timer at its own time and all that is due done before the clock goes on."""
    end = conductor.now + span
    await conductor.settle()
    while conductor.next_timer is not None and conductor.next_timer <= end:
        await conductor.advance(conductor.next_timer)
        await conductor.settle()


async def explained(place: Place, name: str, customer_id: str) -> dict[str, Any]:
    """Why a customer entered a journey: the newest of the events that led to an enrolment."""
    told = await place.command("explain", name, customer_id, "--json")
    entries = [json.loads(line) for line in told.splitlines()]
    found: dict[str, Any] = next(each for each in entries if each["result"] == "ENTRY_RESULT_ENROLLED")
    return found


@pytest.mark.timeout(600)
@pytest.mark.rule("J-42b")
async def test_each_example_does_what_its_text_says_on_an_installation_with_emulators(tmp_path: Path) -> None:
    emulators = EmulatorSettings.model_construct()
    options = InstallationOptions(
        settings=InstallationSettings(clock_control="on", data_dir=tmp_path / "data"),
        free_ports=True,
        emulators=True,
        clock_start=NOON,
        environment={
            "OMNIJOURNEY_EMULATOR_TOKEN": emulators.token,
            "OMNIJOURNEY_EMULATOR_SECRET": emulators.secret,
        },
    )
    async with (
        Installation(options) as installation,
        Client(installation.targets, installation.token) as client,
        aiohttp.ClientSession() as http,
    ):
        place = Place(installation, client, http)
        await check(place, Conductor(InstallationInstruments(client), NOON, None))


async def check(place: Place, conductor: Conductor) -> None:
    """Applies, publishes, triggers and asks why."""
    shop = place.shop
    await place.approve()
    await shop.furnish()
    applied = (await place.command("apply", *map(str, EXAMPLES))).splitlines()
    assert [line for line in applied if " is a new draft " not in line] == []
    names = [
        re.search(r"^name: (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)[1]  # type: ignore[index]
        for file in EXAMPLES
    ]
    assert (await place.command("publish", *names)).count(" ACTIVE ") == len(EXAMPLES)
    listed = (await shop.site.call("ListJourneys", page_size=100)).journeys
    assert {each.status for each in listed} == {journey_pb2.JOURNEY_STATUS_ACTIVE}
    journeys = {each.definition.name: each.journey_id for each in listed}
    mei, jun = await live_through(shop, journeys)
    await let_pass(conductor, timedelta(days=61))
    for name, nodes in SENT.items():
        customer = jun if name in BY_WHATSAPP else mei
        entry = await explained(place, name, customer)
        assert entry["enrolment"]["state"] == "ENROLMENT_STATE_COMPLETED", name
        sent = [node for node, to in await shop.sent(journeys[name]) if to == customer]
        assert sent == nodes, name
    told = await place.command("explain", "VIP upgrade", jun)
    assert "(trigger.checkout_completed.amount.at_least: 500.00 TWD)" in told
    assert await place.accepted("line") >= sum(map(len, SENT.values())) - len(BY_WHATSAPP)
    assert await place.accepted("whatsapp") >= len(BY_WHATSAPP)
