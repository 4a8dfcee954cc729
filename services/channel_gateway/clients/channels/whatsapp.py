"""WhatsApp Cloud API: no idempotency key, so an attempt without an answer is unknown and never repeated."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from yarl import URL

from libs.common.errors import Unavailable
from services.channel_gateway.clients.channels import meta_rules
from services.channel_gateway.clients.channels.base import (
    Attempt,
    Confirm,
    attempt_of,
    said,
    sent_or,
)
from services.channel_gateway.clients.channels.graph import answer_id_of, error_of, usage_wait_s, versioned
from services.channel_gateway.clients.channels.transport import (
    NoAnswerError,
    NotSentError,
    Reply,
    Transport,
    id_of,
    retry_after_s,
)
from services.channel_gateway.clients.channels.whatsapp_templates import (
    TemplatePart,
    listed,
    listed_one,
    parts_of,
)
from services.channel_gateway.domain.callbacks import Callback, callback_text
from services.channel_gateway.domain.content import (
    Button,
    ButtonAction,
    ButtonCard,
    FlatCard,
    HeaderMedia,
    ImageCard,
    Template,
    TemplateContent,
    TemplateState,
    TextCard,
)
from services.channel_gateway.domain.fitting import misfits, whole_text
from services.channel_gateway.domain.limits import LIMITS
from services.channel_gateway.domain.model import Account, Channel, Job, Reason, Send
from services.channel_gateway.domain.prepare import ContentRefusedError
from services.channel_gateway.domain.templates import ListedTemplate

TEMPLATES_MAX: Final = 200
"""Templates of names that hold one's name that are looked at: there is one for each language."""
READ_EVERY_S: Final = 60.0
"""A template that is refused for its parameters is read again so often at most."""
READ_MAX: Final = 1_000
"""Templates of which it is remembered when they were."""
_STATES: Final = {state.name: state for state in TemplateState}
_CODES_WITH_USAGE: Final = frozenset({4, 80007})


class WhatsappWriter:
    """Cards and templates as WhatsApp messages: each is one message."""

    def write_cards(self, send: Send, recipient: str, cards: Sequence[FlatCard]) -> list[bytes]:
        """See `Writer`."""
        messages = [message for card in cards for message in _messages(card)]
        return [_body(send, recipient, number, message) for number, message in enumerate(messages)]

    def write_template(
        self, send: Send, recipient: str, template: Template, content: TemplateContent
    ) -> list[bytes]:
        """See `Writer`."""
        message = {
            "type": "template",
            "template": {
                "name": template.name,
                "language": {"code": template.language},
                "components": _components(template, content),
            },
        }
        return [_body(send, recipient, 0, message)]


def _addressed(recipient: str) -> dict[str, str]:
    """Whom a message is to: a number, or the id of somebody who shows none."""
    number = recipient.removeprefix("+")
    return {"to": f"+{number}"} if number.isdigit() else {"recipient": recipient}


def _body(send: Send, recipient: str, number: int, message: dict[str, Any]) -> bytes:
    return msgspec.json.encode(
        {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            **_addressed(recipient),
            # Comes back in every status of the message: finds the send without knowing the channel's id.
            "biz_opaque_callback_data": callback_text(Callback(send.team_id, send.effect_key, number)),
            **message,
        }
    )


def _components(template: Template, content: TemplateContent) -> list[dict[str, Any]]:
    components: list[dict[str, Any]] = []
    if content.header_media is not None:
        components.append({"type": "header", "parameters": [_media(content.header_media)]})
    elif content.header_parameter:
        header = {"type": "text", "text": content.header_parameter}
        if template.shape is not None and template.shape.header_parameter_name:
            header["parameter_name"] = template.shape.header_parameter_name
        components.append({"type": "header", "parameters": [header]})
    if content.parameters:
        components.append({"type": "body", "parameters": _parameters(template, content.parameters)})
    for index, text in content.button_parameters:
        components.append(
            {
                "type": "button",
                "sub_type": "url",
                "index": str(index),
                "parameters": [{"type": "text", "text": text}],
            }
        )
    return components


def _media(media: HeaderMedia) -> dict[str, Any]:
    kind = media.kind.name.lower()
    named = {"filename": media.filename} if media.filename else {}
    return {"type": kind, kind: {"link": media.url, **named}}


def _parameters(template: Template, texts: Sequence[str]) -> list[dict[str, str]]:
    if not template.parameter_names:
        return [{"type": "text", "text": text} for text in texts]
    return [
        {"type": "text", "parameter_name": name, "text": text}
        for name, text in zip(template.parameter_names, texts, strict=True)
    ]


def _messages(card: FlatCard) -> list[dict[str, Any]]:
    for misfit in misfits(Channel.WHATSAPP, card):
        raise ContentRefusedError(Reason.CONTENT_INVALID, f"{misfit.field}: {misfit.message}")
    if isinstance(card, TextCard):
        return [_text(card)]
    if isinstance(card, ImageCard):
        return [_image(card.image_url, card.caption)]
    return _interactive(card)


def _text(card: TextCard) -> dict[str, Any]:
    """A text; its quick replies are buttons, or a list where there are more of them."""
    replies = card.quick_replies
    if not replies:
        return {"type": "text", "text": {"preview_url": True, "body": card.text}}
    if not LIMITS[Channel.WHATSAPP].is_list(len(replies)):
        return _interactive_message(card.text, "button", {"buttons": [_reply(each) for each in replies]})
    rows = [{"id": each.value, "title": each.label} for each in replies]
    return _interactive_message(card.text, "list", {"button": card.list_label, "sections": [{"rows": rows}]})


def _image(address: str, caption: str = "") -> dict[str, Any]:
    image = {"link": address, "caption": caption} if caption else {"link": address}
    return {"type": "image", "image": image}


def _interactive(card: ButtonCard) -> list[dict[str, Any]]:
    """Answers and links do not fit into one message: the answers make the first one, each link one of its own."""
    replies = [button for button in card.buttons if button.action is not ButtonAction.URL]
    links = [button for button in card.buttons if button.action is ButtonAction.URL]
    text = whole_text(card)
    messages: list[dict[str, Any]] = []
    if replies:
        action: dict[str, Any] = {"buttons": [_reply(button) for button in replies]}
        messages.append(_interactive_message(text, "button", action, card.image_url))
    elif card.image_url:
        messages.append(_image(card.image_url))
    for place, link in enumerate(links):
        # The text is said once; further links stand under their own label.
        body = link.label if replies or place else text
        parameters = {"display_text": link.label, "url": link.value}
        action = {"name": "cta_url", "parameters": parameters}
        messages.append(_interactive_message(body, "cta_url", action))
    return messages


def _interactive_message(text: str, kind: str, action: dict[str, Any], picture: str = "") -> dict[str, Any]:
    interactive: dict[str, Any] = {"type": kind, "body": {"text": text}, "action": action}
    if picture:
        interactive["header"] = {"type": "image", "image": {"link": picture}}
    return {"type": "interactive", "interactive": interactive}


def _reply(button: Button) -> dict[str, Any]:
    return {"type": "reply", "reply": {"id": button.value, "title": button.label}}


class WhatsappAdapter:
    """Sends messages and looks templates up."""

    repeatable = False
    writer = WhatsappWriter()
    at_once = None

    def __init__(self, transport: Transport, base_url: str) -> None:
        """`base_url` with or without the version of the API, checked already."""
        self._transport = transport
        self._base = versioned(base_url)
        self._urls: dict[str, URL] = {}
        self._read_at_s: dict[tuple[str, str, str], float] = {}
        """When templates were read again, by business account, name and language."""

    async def send(self, account: Account, job: Job, part: int) -> Attempt:
        """One message. See `Adapter`."""
        headers = _headers(account) | {"Content-Type": "application/json"}
        try:
            url = self._url(account.connection.sender_id)
            reply = await self._transport.request("POST", url, headers, job.parts[part])
        except NotSentError as error:
            return attempt_of(meta_rules.NOT_SENT, detail=said(account, str(error)))
        except NoAnswerError as error:
            return attempt_of(meta_rules.NO_ANSWER, detail=said(account, str(error)), doubtful=True)
        return await self._classify(account, job, part, reply)

    def _url(self, phone_number_id: str) -> URL:
        url = self._urls.get(phone_number_id)
        if url is None:
            url = self._urls[phone_number_id] = URL(f"{self._base}/{phone_number_id}/messages")
        return url

    async def _classify(self, account: Account, job: Job, part: int, reply: Reply) -> Attempt:
        error = error_of(reply.body)
        code, message_id = error.code, _message_id(reply.body)
        if 200 <= reply.status < 300 and (message_id or code is None):
            return sent_or(meta_rules.NO_ANSWER, message_id)
        rule = meta_rules.whatsapp_rule(code, reply.status)
        if rule.confirm is Confirm.TEMPLATE:
            state = await self._template_state(account, job.parts[part])
            gone = state is TemplateState.DISABLED
            rule = meta_rules.WHATSAPP[meta_rules.TEMPLATE_DISABLED] if gone else rule
            # Approved there, and yet refused: nothing new is known of it.
            rule = rule._replace(template_state=None if state is TemplateState.APPROVED else state)
        template = await self._read_again(account, job.parts[part]) if rule.reads_template else None
        usage_s = usage_wait_s(reply.headers) if code in _CODES_WITH_USAGE else 0.0
        wait_s = max(retry_after_s(reply.headers), usage_s)
        name = f"WHATSAPP_{code if code is not None else reply.status}"
        attempt = attempt_of(
            rule,
            code=name,
            detail=said(account, error.message),
            wait_s=wait_s,
            answer_id=answer_id_of(reply),
        )
        return attempt if template is None else msgspec.structs.replace(attempt, template=template)

    async def _read_again(self, account: Account, part: bytes) -> ListedTemplate | None:
        """The request's template as WhatsApp has it; None when it does not say, or was asked lately: all sends of a
        template that is not what we take it for are refused, and one look tells why."""
        template, now_s = msgspec.json.decode(part).get("template"), time.monotonic()
        owner = account.connection.owner_id
        if not owner or not template:
            return None
        key = (owner, str(template["name"]), str(template["language"]["code"]))
        if now_s < self._read_at_s.get(key, -math.inf) + READ_EVERY_S:
            return None
        if len(self._read_at_s) >= READ_MAX:
            self._read_at_s.clear()
        self._read_at_s[key] = now_s
        try:
            return await listed_one(self._transport, self._base, owner, _headers(account), key[1:])
        except Unavailable:
            return None

    async def _template_state(self, account: Account, part: bytes) -> TemplateState | None:
        """What WhatsApp has the request's template as, DISABLED where it has none of the name and language; None when
        it does not say."""
        owner, template = account.connection.owner_id, msgspec.json.decode(part).get("template", {})
        if not owner:
            return None
        url = URL(f"{self._base}/{owner}/message_templates").with_query(
            name=template.get("name", ""), fields="name,status,language", limit=TEMPLATES_MAX
        )
        try:
            reply = await self._transport.request("GET", url, _headers(account))
        except (NotSentError, NoAnswerError):
            return None
        found = reply.body.get("data")
        if reply.status != 200 or not isinstance(found, list):
            return None
        language = template.get("language", {}).get("code")
        for item in found:
            if isinstance(item, dict) and (item.get("name"), item.get("language")) == (
                template.get("name"),
                language,
            ):
                return _STATES.get(str(item.get("status")))
        return TemplateState.DISABLED if len(found) < TEMPLATES_MAX else None

    async def templates(self, account: Account) -> list[ListedTemplate]:
        """All templates of the account's business account. Raises Unavailable."""
        return await listed(self._transport, self._base, account.connection.owner_id, _headers(account))

    async def parts_of(self, account: Account, template: Template) -> list[TemplatePart] | None:
        """Header, body and buttons of a template; None where WhatsApp has it not. Raises Unavailable."""
        owner_id = account.connection.owner_id
        return await parts_of(self._transport, self._base, owner_id, _headers(account), template)

    async def check(self, account: Account) -> tuple[bool, str]:
        """Asks for the number's health."""
        url = URL(f"{self._base}/{account.connection.sender_id}").with_query(fields="health_status")
        try:
            reply = await self._transport.request("GET", url, _headers(account))
        except (NotSentError, NoAnswerError) as error:
            return False, said(account, str(error))
        health = reply.body.get("health_status")
        verdict = str(health.get("can_send_message", "")) if isinstance(health, dict) else ""
        text = said(account, verdict or error_of(reply.body).message)
        return reply.status == 200 and verdict != "BLOCKED", text


def _headers(account: Account) -> dict[str, str]:
    return {"Authorization": f"Bearer {account.connection.access_token}"}


def _message_id(body: Mapping[str, Any]) -> str:
    messages = body.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[0], dict):
        return id_of(messages[0].get("id"))
    return ""
