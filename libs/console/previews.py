"""Content with a customer's values: what a phone would show, and to whom a test goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import grpc

from libs.console.faults import sentence_of
from libs.console.field_faults import in_words
from libs.console.languages import noted
from libs.console.phone import Bubble, bubbles_of
from libs.console.visits import Visit
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.client import CallError
from omnijourney.journey.v1.node_pb2 import TemplateContent
from omnijourney.segment.v1 import audience_pb2
from omnijourney.segment.v1 import segment_service_pb2 as segment

SAMPLES_MAX: Final = 20
_NOBODY: Final = noted("No customer fits. Enter a name, member ID, phone, email or customer ID.")
_SEVERAL: Final = noted("Several customers fit. Enter more, or the customer ID.")
_NO_SAMPLE: Final = noted("It is shown with the values of a customer: there is none yet.")

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be sent, or why nothing can be shown."""

    bubbles: Sequence[Bubble] = ()
    messages: int = 0
    """As the channel bills them; 0 where that is not known."""
    notices: Sequence[str] = ()
    """What the channel leaves out, in English."""
    fault: str = ""
    """In the visitor's language; empty where something can be shown."""
    detail: str = ""
    """What the service said about it, in English."""


async def samples_of(visit: Visit, channel: int) -> Pairs:
    """Customers whose values can be shown: some who are bound to the channel, else some of the team. Raises
    CallError."""
    paging: dict[str, Any] = {"team_id": visit.team_id, "page_size": SAMPLES_MAX}
    client, found = visit.client.segment, None
    if channel:
        binding = audience_pb2.BindingPredicate(
            operator=audience_pb2.BINDING_OPERATOR_BOUND,
            channel=channel,  # type: ignore[arg-type]  # one of the contract's
        )
        bound = segment.ListAudienceCustomersRequest(
            audience=audience_pb2.Audience(binding=binding), **paging
        )
        found = (await visit.call(client.ListAudienceCustomers, bound)).customers
    if not found:
        found = (await visit.call(client.ListCustomers, segment.ListCustomersRequest(**paging))).customers
    return [(each.customer_id, each.name or each.member_id or each.customer_id) for each in found]


def chosen_sample(given: Mapping[str, Any], samples: Pairs) -> str:
    """The customer that a form or an address names, empty for nobody; the first where it names none."""
    if "sample" in given:
        try:
            return str(UUID(str(given["sample"])))
        except ValueError:
            return ""
    return samples[0][0] if samples else ""


async def module_preview(visit: Visit, module_id: str, channel: int, customer_id: str) -> Preview:
    """A bot module; without a customer its variables have their defaults."""
    request = gateway.PreviewBotModuleRequest(
        team_id=visit.team_id,
        bot_module_id=module_id,
        channel=channel,  # type: ignore[arg-type]  # one of the contract's
        customer_id=customer_id,
    )
    try:
        answer = await visit.call(visit.client.channel_gateway.PreviewBotModule, request)
    except CallError as error:
        return _refused(visit, error)
    return Preview(bubbles_of(answer.requests), answer.messages, [each.message for each in answer.notices])


async def template_preview(visit: Visit, content: TemplateContent, customer_id: str) -> Preview:
    """A message template, filled in as `content` says."""
    if not customer_id:
        return Preview(fault=visit.say(_NO_SAMPLE))
    request = gateway.PreviewMessageTemplateRequest(
        team_id=visit.team_id,
        message_template_id=content.template_id,
        customer_id=customer_id,
        **filling(content),
    )
    try:
        answer = await visit.call(visit.client.channel_gateway.PreviewMessageTemplate, request)
    except CallError as error:
        return _refused(visit, error)
    return Preview([Bubble(text=answer.text)], 1)


def filling(content: TemplateContent) -> dict[str, Any]:
    """What fills a template, as requests of the gateway have it."""
    return {
        "parameters": content.parameters,
        "header_parameter": "".join(content.header_parameters[:1]),
        "button_parameters": {place: text for place, text in enumerate(content.button_parameters) if text},
        "header_media": content.header_media if content.HasField("header_media") else None,
    }


async def recipient(visit: Visit, said: str) -> tuple[str, str]:
    """The id of the one customer whom a text names: by their id, or as a keyword that fits nobody else; or what is
    wrong with it. Raises CallError."""
    said = said.strip()[:100]
    try:
        return str(UUID(said)), ""
    except ValueError:
        pass
    if not said:
        return "", visit.say(_NOBODY)
    request = segment.ListCustomersRequest(team_id=visit.team_id, keyword=said, page_size=2)
    found = (await visit.call(visit.client.segment.ListCustomers, request)).customers
    if len(found) != 1:
        return "", visit.say(_SEVERAL if found else _NOBODY)
    return str(found[0].customer_id), ""


def _refused(visit: Visit, error: CallError) -> Preview:
    """Raises the error where the visitor's token is not valid any more."""
    if error.code is grpc.StatusCode.UNAUTHENTICATED:
        raise error
    detail = " ".join(in_words(visit.say, each.description) for each in error.violations)
    return Preview(fault=visit.say(sentence_of(error)), detail=detail)
