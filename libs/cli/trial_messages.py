"""`omnijourney message test`: content sent to one person, and what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from libs.cli.answers import tell
from libs.cli.console import EXIT_FAULT, complain
from libs.cli.journeys import TIMEOUT_S, Command, NoSuch
from libs.client import Client
from libs.client.paging import items
from libs.common.ids import new_id
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import content_pb2, delivery_pb2
from omnijourney.common.v1 import channel_pb2, error_reason_pb2

_LOOK_S: Final = 0.2
_PENDING: Final = frozenset({delivery_pb2.SEND_STATE_ACCEPTED})


class Said(NamedTuple):
    """What is sent: a bot module, or a template with what it takes; names or ids."""

    module: str = ""
    template: str = ""
    parameters: Sequence[str] = ()
    header: str = ""
    buttons: Mapping[int, str] = {}
    """Texts of a template's buttons, by their index."""
    data: Mapping[str, str] = {}
    """What a trigger would bring."""
    media: tuple[str, str, str] = ("", "", "")
    """Kind (`image`, `video`, `document`), address and name of what stands in a template's header."""


def send(
    team_id: str, account: str, customer_id: str, said: Said, wait_s: float, *, as_json: bool = False
) -> Command:
    """Sends it to the customer through an account (name or id), and says what became of it, within `wait_s` seconds."""

    async def command(client: Client) -> int:
        gateway = client.channel_gateway
        request = pb.SendTestMessageRequest(
            team_id=team_id,
            request_id=str(new_id()),
            customer_id=customer_id,
            parameters=said.parameters,
            header_parameter=said.header,
            button_parameters=said.buttons,
            header_media=_media(*said.media),
            trigger_data=said.data,
        )
        accounts = items(
            gateway.ListChannelAccounts,
            pb.ListChannelAccountsRequest(team_id=team_id, page_size=100),
            "accounts",
            timeout_s=TIMEOUT_S,
        )
        request.channel_account_id = await _named(
            "account", account, accounts, "channel_account_id", "display_name"
        )
        if said.module:
            modules = items(
                gateway.ListBotModules,
                pb.ListBotModulesRequest(team_id=team_id, page_size=100),
                "modules",
                timeout_s=TIMEOUT_S,
            )
            request.bot_module_id = await _named("bot module", said.module, modules, "bot_module_id", "name")
        if said.template:
            listed = pb.ListMessageTemplatesRequest(
                team_id=team_id, account_id=request.channel_account_id, page_size=100
            )
            templates = items(gateway.ListMessageTemplates, listed, "templates", timeout_s=TIMEOUT_S)
            request.message_template_id = await _named(
                "template", said.template, templates, "message_template_id", "name"
            )
        answer = await gateway.SendTestMessage(request, timeout=TIMEOUT_S)
        return _show_end(await _settled(client, answer.delivery, wait_s), as_json=as_json)

    return command


def _media(kind: str, address: str, filename: str) -> content_pb2.TemplateMedia | None:
    if not kind:
        return None
    media = content_pb2.TemplateMedia(filename=filename)
    setattr(media, f"{kind}_url", address)
    return media


async def _named(what: str, name: str, listed: AsyncIterator[Any], id_field: str, name_field: str) -> str:
    """The id of what has the name, which nothing else may have, or the id itself. Raises NoSuch."""
    try:
        return str(UUID(name))
    except ValueError:
        pass
    found = [getattr(each, id_field) async for each in listed if getattr(each, name_field) == name]
    if not found:
        raise NoSuch(f"there is no {what} {name!r}")
    if len(found) > 1:
        raise NoSuch(f"{len(found)} have the name {name!r}: give the id, one of {', '.join(found[:5])}")
    return str(found[0])


async def _settled(client: Client, delivery: delivery_pb2.Delivery, wait_s: float) -> delivery_pb2.Delivery:
    """The delivery when it has ended, or as it is after `wait_s` seconds."""
    request = pb.GetDeliveryRequest(team_id=delivery.team_id, effect_key=delivery.effect_key)
    left_s = wait_s
    while delivery.state in _PENDING and left_s > 0:
        await asyncio.sleep(_LOOK_S)
        left_s -= _LOOK_S
        delivery = (await client.channel_gateway.GetDelivery(request, timeout=TIMEOUT_S)).delivery
    return delivery


def _show_end(delivery: delivery_pb2.Delivery, *, as_json: bool) -> int:
    """Says what became of it: state, reason, channel, and its key; the exit code."""
    state = delivery_pb2.SendState.Name(delivery.state).removeprefix("SEND_STATE_")
    reason = error_reason_pb2.ErrorReason.Name(delivery.reason).removeprefix("ERROR_REASON_")
    reason = delivery.channel_code or (reason if delivery.reason else "")
    channel = channel_pb2.Channel.Name(delivery.channel).removeprefix("CHANNEL_")
    line = " ".join(part for part in (state, reason, channel, delivery.effect_key) if part)
    if delivery.state in _PENDING:
        complain("it has not left yet: ask GetDelivery for it by its key")
    tell(delivery, line, as_json=as_json)
    return 0 if delivery.state in (*_PENDING, delivery_pb2.SEND_STATE_SENT) else EXIT_FAULT
