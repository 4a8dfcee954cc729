"""Run by the code of the release before, in a process of its own: puts customers to sleep in a journey, and stops.

`python -m sleepers_before DIRECTORY CUSTOMERS`; prints what it made as JSON. It names what both releases have only.
"""

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid5

from google.protobuf.message import Message

from libs.client import Client
from libs.common.rpc.values import duration
from libs.supervisor import Installation, InstallationOptions, InstallationSettings
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1.account_pb2 import ChannelAccount, SinkConnection
from omnijourney.channel_gateway.v1.content_pb2 import MessageTemplate
from omnijourney.common.v1.channel_pb2 import CHANNEL_WHATSAPP
from omnijourney.common.v1.money_pb2 import Money
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.journey.v1.journey_pb2 import Definition, Target
from omnijourney.journey.v1.node_pb2 import DelayNode, MessageNode, Node, PointsNode, TemplateContent
from omnijourney.journey.v1.trigger_pb2 import SystemTriggered, Trigger
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.customer_pb2 import Customer
from omnijourney.segment.v1.team_pb2 import MODULE_JOURNEYS, MODULE_POINTS, Team, TeamSettings

TEAM = "0b3de1a6-2f0f-4c4c-9a53-5d0a7e3c1f01"
NIGHT = timedelta(hours=6)
POINTS = 10


async def main(directory: Path, count: int) -> dict[str, object]:
    """What was made."""
    settings = InstallationSettings(
        postgres_dsn="", redis_url="", token="", bind_host="127.0.0.1", data_dir=directory, clock_control="on"
    )
    async with (
        Installation(InstallationOptions(settings=settings, free_ports=True)) as installation,
        Client(installation.targets, installation.token) as client,
    ):
        account_id, template_id = await _team(client)
        customers = await _customers(client, count)
        night = await _publish(client, _night(account_id, template_id))
        await _trigger(client, night, customers, "first")
        await _until_asleep(client, night, count)
        # Everybody stands in it twice, and the last are on their way while all of it is stopped.
        await _trigger(client, night, customers, "second")
        return {"team_id": TEAM, "journey_id": night, "customers": customers}


async def _team(client: Client) -> tuple[str, str]:
    known = TeamSettings(
        time_zone="Asia/Taipei", currency_code="TWD", modules=[MODULE_JOURNEYS, MODULE_POINTS]
    )
    team = Team(team_id=TEAM, name="Sleepers", settings=known)
    await client.segment.CreateTeam(segment.CreateTeamRequest(request_id="team", team=team), timeout=30)
    account = ChannelAccount(
        channel=CHANNEL_WHATSAPP,
        display_name="Sink",
        rate_per_second=1_000,
        concurrency_max=64,
        sink=SinkConnection(),
    )
    made = await client.channel_gateway.CreateChannelAccount(
        gateway.CreateChannelAccountRequest(team_id=TEAM, request_id="account", account=account), timeout=30
    )
    money = Money(currency_code="HKD", amount_micros=10**13)
    await client.channel_gateway.AdjustWallet(
        gateway.AdjustWalletRequest(team_id=TEAM, request_id="wallet", amount=money, note="prepaid"),
        timeout=30,
    )
    template = MessageTemplate(
        account_id=_id_of(made.account), name="night", language="en", category="MARKETING"
    )
    kept = await client.channel_gateway.CreateMessageTemplate(
        gateway.CreateMessageTemplateRequest(team_id=TEAM, request_id="template", template=template),
        timeout=30,
    )
    return _id_of(made.account), _id_of(kept.template)


def _id_of(made: Message) -> str:
    """The first field of a resource is its id, whatever a release calls it."""
    return str(getattr(made, made.DESCRIPTOR.fields[0].name))


async def _customers(client: Client, count: int) -> list[str]:
    ids = [str(uuid5(UUID(TEAM), str(number))) for number in range(count)]
    request = segment.BatchCreateCustomersRequest(
        team_id=TEAM,
        request_id="customers",
        customers=[
            Customer(customer_id=each, name=f"Sleeper {number}", phone=f"+88691{number:07d}")
            for number, each in enumerate(ids)
        ],
    )
    answer = await client.segment.BatchCreateCustomers(request, timeout=30)
    assert not [result.message for result in answer.results if result.reason], answer.results[0]
    return ids


def _night(account_id: str, template_id: str) -> Definition:
    """Message → six hours → points → complete."""
    content = TemplateContent(template_id=template_id)
    return Definition(
        name="night",
        trigger=Trigger(system=SystemTriggered()),
        targets=[Target(channel=CHANNEL_WHATSAPP, account_id=account_id)],
        nodes=[
            Node(
                node_id="hello",
                next_node_id="sleep",
                message=MessageNode(channel=CHANNEL_WHATSAPP, template=content),
            ),
            Node(node_id="sleep", next_node_id="points", delay=DelayNode(delay=duration(NIGHT))),
            Node(node_id="points", points=PointsNode(add=POINTS)),
        ],
    )


async def _publish(client: Client, definition: Definition) -> str:
    create = journey.CreateJourneyRequest(team_id=TEAM, request_id="journey", definition=definition)
    draft = await client.journey.CreateJourney(create, timeout=30)
    publish = journey.PublishJourneyRequest(
        team_id=TEAM, request_id="publish", journey_id=draft.journey.journey_id
    )
    await client.journey.PublishJourney(publish, timeout=30)
    return str(draft.journey.journey_id)


async def _trigger(client: Client, journey_id: str, customers: list[str], name: str) -> None:
    items = [
        journey.SystemTriggerItem(
            request_id=str(uuid5(UUID(each), name)), journey_id=journey_id, customer_id=each
        )
        for each in customers
    ]
    answer = await client.journey.TriggerJourneys(
        journey.TriggerJourneysRequest(team_id=TEAM, items=items), timeout=30
    )
    assert all(result.accepted for result in answer.results), answer.results[0]


async def _until_asleep(client: Client, journey_id: str, count: int) -> None:
    async with asyncio.timeout(60):
        while await _asleep(client, journey_id) < count:
            await asyncio.sleep(0.2)


async def _asleep(client: Client, journey_id: str) -> int:
    request = journey.ListEnrolmentsRequest(team_id=TEAM, journey_id=journey_id, page_size=500)
    answer = await client.journey.ListEnrolments(request, timeout=30)
    return sum(each.HasField("wake_time") for each in answer.enrolments)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))))
