"""`omnijourney quickstart`: everything that a first message needs, made and sent."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from libs.cli.console import EXIT_FAULT, complain, say
from libs.cli.emulators import Emulators, Message, NoEmulators, urls_of, words_of
from libs.cli.journeys import TIMEOUT_S, Command, NoSuch
from libs.client import Client
from libs.common.ids import new_id
from libs.emulators.config import EmulatorSettings
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1.account_pb2 import ChannelAccount, LineConnection
from omnijourney.channel_gateway.v1.content_pb2 import BotModule, Card, TextCard
from omnijourney.common.v1.channel_pb2 import CHANNEL_LINE
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.journey.v1.journey_pb2 import Definition, Target
from omnijourney.journey.v1.node_pb2 import MessageNode, Node
from omnijourney.journey.v1.trigger_pb2 import SystemTriggered, Trigger
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.customer_pb2 import Customer, Identity, IdentityKey
from omnijourney.segment.v1.team_pb2 import MODULE_JOURNEYS, Team, TeamSettings

_TEAM: Final = "Quickstart shop"
_NAME: Final = "Welcome"
_TEXT: Final = "Hello {{customer.name|there}}, welcome!"
_LOOK_S: Final = 0.05
_ARRIVES_WITHIN_S: Final = 30.0


@dataclass(slots=True)
class Quickstart:
    """What was made, and what arrived."""

    line_url: str
    """Base address of the LINE emulator."""
    line_user: str = field(default_factory=lambda: "U" + secrets.token_hex(16))
    team_id: str = ""
    account_id: str = ""
    module_id: str = ""
    customer_id: str = ""
    journey_id: str = ""
    texts: list[str] = field(default_factory=list)

    async def make(self, client: Client) -> None:
        """Team, account, content, customer and a published journey. Raises `grpc.aio.AioRpcError`."""
        await self._make_team(client)
        complain(f"team      {self.team_id}  {_TEAM}")
        await self._make_account(client)
        complain(f"account   {self.account_id}  LINE")
        await self._make_module(client)
        complain(f"module    {self.module_id}  {_TEXT}")
        await self._make_customer(client)
        complain(f"customer  {self.customer_id}  Ann")
        await self._publish(client)
        complain(f"journey   {self.journey_id}  {_NAME}, published")

    async def _make_team(self, client: Client) -> None:
        settings = TeamSettings(time_zone="Asia/Taipei", currency_code="TWD", modules=[MODULE_JOURNEYS])
        request = segment.CreateTeamRequest(
            request_id=str(new_id()), team=Team(name=_TEAM, settings=settings)
        )
        self.team_id = (await client.segment.CreateTeam(request, timeout=TIMEOUT_S)).team.team_id

    async def _make_account(self, client: Client) -> None:
        emulated = EmulatorSettings()
        line = LineConnection(access_token=emulated.token, channel_secrets=[emulated.secret])
        request = gateway.CreateChannelAccountRequest(
            team_id=self.team_id,
            request_id=str(new_id()),
            account=ChannelAccount(channel=CHANNEL_LINE, display_name="LINE", line=line),
        )
        answer = await client.channel_gateway.CreateChannelAccount(request, timeout=TIMEOUT_S)
        self.account_id = answer.account.channel_account_id

    async def _make_module(self, client: Client) -> None:
        request = gateway.CreateBotModuleRequest(
            team_id=self.team_id,
            request_id=str(new_id()),
            module=BotModule(name=_NAME, cards=[Card(text=TextCard(text=_TEXT))]),
        )
        answer = await client.channel_gateway.CreateBotModule(request, timeout=TIMEOUT_S)
        self.module_id = answer.module.bot_module_id

    async def _make_customer(self, client: Client) -> None:
        key = IdentityKey(channel=CHANNEL_LINE, account_id=self.account_id, external_id=self.line_user)
        request = segment.CreateCustomerRequest(
            team_id=self.team_id,
            request_id=str(new_id()),
            customer=Customer(member_id="M-1", name="Ann", identities=[Identity(key=key)]),
        )
        answer = await client.segment.CreateCustomer(request, timeout=TIMEOUT_S)
        self.customer_id = answer.customer.customer_id

    async def _publish(self, client: Client) -> None:
        message = MessageNode(channel=CHANNEL_LINE, bot_module_id=self.module_id)
        definition = Definition(
            name=_NAME,
            trigger=Trigger(system=SystemTriggered()),
            targets=[Target(channel=CHANNEL_LINE, account_id=self.account_id)],
            nodes=[Node(node_id="hello", message=message)],
        )
        create = journey.CreateJourneyRequest(
            team_id=self.team_id, request_id=str(new_id()), definition=definition
        )
        draft = await client.journey.CreateJourney(create, timeout=TIMEOUT_S)
        self.journey_id = draft.journey.journey_id
        publish = journey.PublishJourneyRequest(
            team_id=self.team_id, request_id=str(new_id()), journey_id=self.journey_id
        )
        await client.journey.PublishJourney(publish, timeout=TIMEOUT_S)

    async def send(self, client: Client) -> None:
        """Enrols the customer, and waits until the message is at the emulator. Raises NoSuch when it does not come,
        and `grpc.aio.AioRpcError`."""
        item = journey.SystemTriggerItem(
            request_id=str(new_id()), journey_id=self.journey_id, customer_id=self.customer_id
        )
        request = journey.TriggerJourneysRequest(team_id=self.team_id, items=[item])
        (result,) = (await client.journey.TriggerJourneys(request, timeout=TIMEOUT_S)).results
        if not result.accepted:
            raise NoSuch(f"the journey did not take the customer: {result.message or result.reason}")
        self.texts = [words for message in await self._arrived() for words in words_of(message["body"])]

    async def _arrived(self) -> list[Message]:
        async with aiohttp.ClientSession() as session:
            emulators = Emulators({"line": self.line_url}, session)
            left_s = _ARRIVES_WITHIN_S
            while not (arrived := await emulators.more(self.line_user)):
                if left_s <= 0:
                    raise NoSuch(
                        f"no message came to {self.line_url} within {_ARRIVES_WITHIN_S:.0f} s: see"
                        f" `omnijourney journey explain {_NAME} {self.customer_id} --team {self.team_id}`"
                    )
                await asyncio.sleep(_LOOK_S)
                left_s -= _LOOK_S
        return arrived


def first_message(data_dir: Path, *, as_json: bool) -> Command:
    """Makes a team with all that a message needs, sends one, and shows what came to the emulator."""

    async def command(client: Client) -> int:
        try:
            made = Quickstart(urls_of(data_dir)["line"])
            await made.make(client)
            await made.send(client)
        except NoEmulators as error:
            complain(str(error))
            return EXIT_FAULT
        _show(made, as_json=as_json)
        return 0

    return command


def _show(made: Quickstart, *, as_json: bool) -> None:
    if as_json:
        names = ("team_id", "account_id", "module_id", "customer_id", "journey_id", "line_user", "texts")
        say(json.dumps({name: getattr(made, name) for name in names}, ensure_ascii=False))
        return
    say(f"\nwhat came to the LINE emulator at {made.line_url} for {made.line_user}:")
    for text in made.texts:
        say(f"  {text}")
    say(
        f"\nto go on:\n  export TEAM={made.team_id} CUSTOMER={made.customer_id}\n"
        f"  omnijourney journey explain {_NAME} $CUSTOMER --team $TEAM   # why it was sent, step by step\n"
        "  omnijourney emulator log   # all messages that the emulators got"
    )
