"""LINE Messaging API: pushes with a retry key, so that a repeated attempt never becomes a second message."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from yarl import URL

from libs.common.ids import derived_id
from services.channel_gateway.clients.channels import line_rules
from services.channel_gateway.clients.channels.base import (
    LONG,
    Attempt,
    Confirm,
    Rule,
    Verdict,
    attempt_of,
    said,
    sent_or,
)
from services.channel_gateway.clients.channels.line_insight import opens, statistics_url
from services.channel_gateway.clients.channels.transport import (
    NoAnswerError,
    NotSentError,
    Reply,
    Transport,
    id_of,
    retry_after_s,
)
from services.channel_gateway.domain.content import (
    Button,
    ButtonAction,
    ButtonCard,
    FlatCard,
    ImageCard,
    Template,
    TemplateContent,
    TextCard,
)
from services.channel_gateway.domain.fitting import misfits
from services.channel_gateway.domain.limits import cut_to_utf16
from services.channel_gateway.domain.model import Account, Channel, Job, Reason, Send
from services.channel_gateway.domain.opens import Opens, OpensQuestion
from services.channel_gateway.domain.prepare import ContentRefusedError

OBJECTS_MAX: Final = 5
"""Message objects of one push; more take a second push, which is billed as a second message."""
ALT_TEXT_MAX: Final = 400
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class LineWriter:
    """Cards as LINE message objects, up to five a push."""

    def write_cards(self, send: Send, recipient: str, cards: Sequence[FlatCard]) -> list[bytes]:
        """See `Writer`."""
        objects = [item for card in cards for item in _objects(card)]
        unit = aggregation_unit(send.journey_id, send.node_id)
        return [
            msgspec.json.encode(
                {
                    "to": recipient,
                    "messages": objects[start : start + OBJECTS_MAX],
                    "customAggregationUnits": [unit],
                }
            )
            for start in range(0, len(objects), OBJECTS_MAX)
        ]

    def write_template(
        self, send: Send, recipient: str, template: Template, content: TemplateContent
    ) -> list[bytes]:
        """LINE has no templates."""
        raise ContentRefusedError(Reason.CHANNEL_UNSUPPORTED, "LINE has no message templates")


def aggregation_unit(journey_id: UUID, node_id: str) -> str:
    """Name under which LINE counts the opens of a node: 22 letters and digits, since a UUID is too long for it."""
    digest = hashlib.sha256(journey_id.bytes + node_id.encode()).digest()
    number = int.from_bytes(digest[:16], "big")
    name = ""
    for _ in range(22):
        number, rest = divmod(number, 62)
        name += _BASE62[rest]
    return name


def retry_key(effect_key: UUID, part: int) -> UUID:
    """The retry key of one message of a send: the same in every attempt."""
    return derived_id(effect_key, "line", part)


def _objects(card: FlatCard) -> list[dict[str, Any]]:
    for misfit in misfits(Channel.LINE, card):
        raise ContentRefusedError(Reason.CONTENT_INVALID, f"{misfit.field}: {misfit.message}")
    if isinstance(card, TextCard):
        return [_text(card)]
    if isinstance(card, ImageCard):
        image = {
            "type": "image",
            "originalContentUrl": card.image_url,
            "previewImageUrl": card.preview_url or card.image_url,
        }
        return [image, {"type": "text", "text": card.caption}] if card.caption else [image]
    return [_buttons(card)]


def _text(card: TextCard) -> dict[str, Any]:
    text: dict[str, Any] = {"type": "text", "text": card.text}
    if card.quick_replies:
        items = [{"type": "action", "action": _action(reply)} for reply in card.quick_replies]
        text["quickReply"] = {"items": items}
    return text


def _buttons(card: ButtonCard) -> dict[str, Any]:
    template: dict[str, Any] = {"type": "buttons", "text": card.text}
    if card.title:
        template["title"] = card.title
    if card.image_url:
        template["thumbnailImageUrl"] = card.image_url
    template["actions"] = [_action(button) for button in card.buttons]
    return {"type": "template", "altText": cut_to_utf16(card.text, ALT_TEXT_MAX), "template": template}


def _action(button: Button) -> dict[str, str]:
    match button.action:
        case ButtonAction.URL:
            return {"type": "uri", "label": button.label, "uri": button.value}
        case ButtonAction.POSTBACK:
            return {
                "type": "postback",
                "label": button.label,
                "data": button.value,
                "displayText": button.label,
            }
        case ButtonAction.MESSAGE:
            return {"type": "message", "label": button.label, "text": button.value}


class LineAdapter:
    """Sends pushes and asks for quotas."""

    repeatable = True
    writer = LineWriter()
    at_once = None

    def __init__(self, transport: Transport, base_url: str) -> None:
        """`base_url` without a path, checked already."""
        self._transport = transport
        self._push = URL(f"{base_url}/v2/bot/message/push")
        self._quota = URL(f"{base_url}/v2/bot/message/quota")
        self._consumption = URL(f"{base_url}/v2/bot/message/quota/consumption")
        self._info = URL(f"{base_url}/v2/bot/info")
        self._statistics = URL(f"{base_url}/v2/bot/insight/message/event/aggregation")

    async def send(self, account: Account, job: Job, part: int) -> Attempt:
        """One push. See `Adapter`."""
        headers = _headers(account) | {
            "Content-Type": "application/json",
            "X-Line-Retry-Key": str(retry_key(job.effect_key, part)),
        }
        try:
            reply = await self._transport.request("POST", self._push, headers, job.parts[part])
        except NotSentError as error:
            return attempt_of(line_rules.NOT_SENT, detail=said(account, str(error)))
        except NoAnswerError as error:
            return attempt_of(line_rules.NO_ANSWER, detail=said(account, str(error)), doubtful=True)
        return await self._classify(account, reply)

    async def _classify(self, account: Account, reply: Reply) -> Attempt:
        message = str(reply.body.get("message", ""))
        rule = line_rules.rule_for(reply.status, message)
        if rule.verdict is Verdict.SENT:
            message_id = _message_id(reply)
            if reply.status == 200:
                return sent_or(line_rules.NO_ANSWER, message_id)
            return Attempt(Verdict.SENT, message_id=message_id)
        if rule.confirm is Confirm.LINE_QUOTA and not await self._is_used_up(account):
            # LINE holds places for a delivery that is running and may free some of them.
            rule = Rule(Verdict.RETRY, rule.reason, backoff=LONG)
        return attempt_of(
            rule,
            detail=said(account, message),
            wait_s=retry_after_s(reply.headers),
            doubtful=reply.status >= 500 or rule is line_rules.NO_ANSWER,
            answer_id=reply.headers.get("X-Line-Request-Id", ""),
        )

    async def quota(self, account: Account) -> tuple[int | None, int] | None:
        """The plan's messages a month (None: no limit) and those used; None when LINE does not say."""
        try:
            limit = await self._transport.request("GET", self._quota, _headers(account))
            usage = await self._transport.request("GET", self._consumption, _headers(account))
        except (NotSentError, NoAnswerError):
            return None
        if limit.status != 200 or usage.status != 200:
            return None
        value = limit.body.get("value") if limit.body.get("type") == "limited" else None
        used = usage.body.get("totalUsage", 0)
        return (value if isinstance(value, int) else None), (used if isinstance(used, int) else 0)

    async def _is_used_up(self, account: Account) -> bool:
        quota = await self.quota(account)
        return quota is not None and quota[0] is not None and quota[1] >= quota[0]

    async def opens(self, account: Account, question: OpensQuestion) -> Opens:
        """How many people saw the messages of a node that the account sent."""
        unit = aggregation_unit(question.journey_id, question.node_id)
        url = statistics_url(self._statistics, unit, question.first, question.last)
        return await opens(self._transport, url, _headers(account))

    async def check(self, account: Account) -> tuple[bool, str]:
        """Asks for the bot's own profile."""
        try:
            reply = await self._transport.request("GET", self._info, _headers(account))
        except (NotSentError, NoAnswerError) as error:
            return False, said(account, str(error))
        text = str(reply.body.get("message") or reply.body.get("displayName", ""))
        return reply.status == 200, said(account, text)


def _headers(account: Account) -> dict[str, str]:
    return {"Authorization": f"Bearer {account.connection.access_token}"}


def _message_id(reply: Reply) -> str:
    sent = reply.body.get("sentMessages")
    if isinstance(sent, list) and sent and isinstance(sent[0], dict):
        return id_of(sent[0].get("id"))
    return ""
