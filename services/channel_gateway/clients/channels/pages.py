"""Messenger and Instagram: one Send API at two addresses. No idempotency key, so an attempt without an answer is
unknown and never repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from yarl import URL

from libs.common.text import shows
from services.channel_gateway.clients.channels import page_rules
from services.channel_gateway.clients.channels.base import (
    Attempt,
    Rule,
    Verdict,
    attempt_of,
    said,
    sent_or,
)
from services.channel_gateway.clients.channels.graph import (
    answer_id_of,
    app_secret_proof,
    error_of,
    usage_wait_s,
    versioned,
)
from services.channel_gateway.clients.channels.transport import (
    NoAnswerError,
    NotSentError,
    Reply,
    Transport,
    id_of,
    retry_after_s,
)
from services.channel_gateway.domain.callbacks import Callback, callback_text
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
from services.channel_gateway.domain.fitting import is_answers, misfits, whole_text
from services.channel_gateway.domain.limits import LIMITS
from services.channel_gateway.domain.model import Account, Channel, Job, Reason, Send
from services.channel_gateway.domain.prepare import ContentRefusedError

HEADING_MAX: Final = 80
"""Characters of either line of a card with a picture."""
_BAD_PROOF: Final = "Invalid appsecret_proof"
"""How an answer begins that refuses the proof, and with it the request."""


class PageWriter:
    """Cards as messages of a page or an Instagram account."""

    def __init__(self, channel: Channel) -> None:
        """Messenger or Instagram."""
        self._channel = channel
        self._limits = LIMITS[channel]

    def write_cards(self, send: Send, recipient: str, cards: Sequence[FlatCard]) -> list[bytes]:
        """See `Writer`."""
        messages = [message for card in cards for message in self._messages(card)]
        return [self._body(send, recipient, number, message) for number, message in enumerate(messages)]

    def write_template(
        self, send: Send, recipient: str, template: Template, content: TemplateContent
    ) -> list[bytes]:
        """Templates are WhatsApp's."""
        raise ContentRefusedError(
            Reason.CHANNEL_UNSUPPORTED, f"{self._limits.name} has no templates that journeys send"
        )

    def _body(self, send: Send, recipient: str, number: int, message: dict[str, Any]) -> bytes:
        body: dict[str, Any] = {"recipient": {"id": recipient}}
        if self._channel is Channel.MESSENGER:
            # Nobody asked for it, and it is taken within a day of the person's last message. The metadata comes back
            # in the echo of the message: finds the send where no answer came.
            body["messaging_type"] = "UPDATE"
            metadata = callback_text(Callback(send.team_id, send.effect_key, number))
            message = {**message, "metadata": metadata}
        return msgspec.json.encode({**body, "message": message})

    def _messages(self, card: FlatCard) -> list[dict[str, Any]]:
        for misfit in misfits(self._channel, card):
            raise ContentRefusedError(Reason.CONTENT_INVALID, f"{misfit.field}: {misfit.message}")
        if isinstance(card, TextCard):
            return [_answered(card.text, card.quick_replies)]
        if isinstance(card, ImageCard):
            image = _image(card.image_url)
            return [image, {"text": card.caption}] if card.caption else [image]
        return self._with_buttons(card)

    def _with_buttons(self, card: ButtonCard) -> list[dict[str, Any]]:
        picture = [_image(card.image_url)] if card.image_url else []
        if is_answers(self._limits, card):
            return [*picture, _answered(whole_text(card), card.buttons)]
        buttons = [_button(each) for each in card.buttons]
        title, below = (card.title, card.text) if card.title else (card.text, "")
        if picture and len(title) <= HEADING_MAX and len(below) <= HEADING_MAX:
            element = {"title": title, "image_url": card.image_url, "buttons": buttons}
            if shows(below):
                element["subtitle"] = below
            return [_template({"template_type": "generic", "elements": [element]})]
        # A text that is too long for a card with a picture stands below the picture.
        text = {"template_type": "button", "text": whole_text(card), "buttons": buttons}
        return [*picture, _template(text)]


def _answered(text: str, replies: Sequence[Button]) -> dict[str, Any]:
    """A text with quick replies below it."""
    if not replies:
        return {"text": text}
    items = [{"content_type": "text", "title": each.label, "payload": each.value} for each in replies]
    return {"text": text, "quick_replies": items}


def _image(address: str) -> dict[str, Any]:
    return {"attachment": {"type": "image", "payload": {"url": address}}}


def _template(payload: dict[str, Any]) -> dict[str, Any]:
    return {"attachment": {"type": "template", "payload": payload}}


def _button(button: Button) -> dict[str, str]:
    if button.action is ButtonAction.URL:
        return {"type": "web_url", "title": button.label, "url": button.value}
    # Beside other buttons, what would be said as the customer comes back as data.
    return {"type": "postback", "title": button.label, "payload": button.value}


class PageAdapter:
    """Sends messages of pages (Messenger), or of Instagram accounts, by their own login or through their page."""

    repeatable = False
    at_once = None

    def __init__(self, transport: Transport, channel: Channel, page_url: str, own_url: str = "") -> None:
        """`page_url` for pages and what is reached through them, `own_url` for Instagram accounts with a login of their
        own; with or without the version of the API, checked already."""
        self.writer = PageWriter(channel)
        self._transport = transport
        self._name = channel.name
        self._rules = page_rules.MESSENGER if channel is Channel.MESSENGER else page_rules.INSTAGRAM
        self._page = versioned(page_url)
        self._own = versioned(own_url) if own_url else ""
        self._proofs: dict[str, int] = {}
        """By account: which of its secrets the channel takes proof of."""

    async def send(self, account: Account, job: Job, part: int) -> Attempt:
        """One message. See `Adapter`."""
        headers = _headers(account) | {"Content-Type": "application/json"}
        try:
            reply = await self._proving(account, "POST", "/messages", headers, job.parts[part])
        except NotSentError as error:
            return attempt_of(page_rules.NOT_SENT, detail=said(account, str(error)))
        except NoAnswerError as error:
            return attempt_of(page_rules.NO_ANSWER, detail=said(account, str(error)), doubtful=True)
        return self._classify(account, reply)

    def _classify(self, account: Account, reply: Reply) -> Attempt:
        error, message_id = error_of(reply.body), id_of(reply.body.get("message_id"))
        if 200 <= reply.status < 300 and (message_id or error.code is None):
            return sent_or(page_rules.NO_ANSWER, message_id)
        rule = page_rules.page_rule(self._rules, error.code, error.subcode, reply.status)
        if error.message.startswith(_BAD_PROOF):
            rule = Rule(Verdict.FAILED, Reason.ACCOUNT_UNUSABLE, account_unusable=True)
        wait_s = retry_after_s(reply.headers)
        if rule.backoff.holds_account:
            wait_s = max(wait_s, usage_wait_s(reply.headers))
        named = str(reply.status) if error.code is None else f"{error.code}"
        code = f"{self._name}_{named}" + (f"_{error.subcode}" if error.subcode is not None else "")
        return attempt_of(
            rule,
            code=code,
            detail=said(account, error.message),
            wait_s=wait_s,
            doubtful=rule.verdict is Verdict.UNKNOWN,
            answer_id=answer_id_of(reply),
        )

    async def check(self, account: Account) -> tuple[bool, str]:
        """Asks for the account's own name."""
        try:
            reply = await self._proving(account, "GET", "", _headers(account))
        except (NotSentError, NoAnswerError) as error:
            return False, said(account, str(error))
        text = error_of(reply.body).message or str(reply.body.get("name") or reply.body.get("username", ""))
        return reply.status == 200, said(account, text)

    async def _proving(
        self,
        account: Account,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> Reply:
        """A request with proof of the app's secret. Where an account has several, as while the app's is changed, the
        next one is tried when one is refused: nothing was done then."""
        url, secrets = self._url(account, path), self._secrets(account)
        if not secrets:
            return await self._transport.request(method, url, headers, body)
        first = self._proofs.get(account.connection.sender_id, 0) % len(secrets)
        for place in (*range(first, len(secrets)), *range(first)):
            proof = app_secret_proof(account.connection.access_token, secrets[place])
            reply = await self._transport.request(
                method, url.update_query(appsecret_proof=proof), headers, body
            )
            if not error_of(reply.body).message.startswith(_BAD_PROOF):
                self._proofs[account.connection.sender_id] = place
                break
        return reply

    def _secrets(self, account: Account) -> tuple[str, ...]:
        """Those that calls are proved with. With Instagram's own login it is not said which secret that would be."""
        return account.connection.secrets if self._through_page(account) else ()

    def _through_page(self, account: Account) -> bool:
        return not self._own or bool(account.connection.owner_id)

    def _url(self, account: Account, path: str) -> URL:
        connection = account.connection
        if not self._through_page(account):
            return URL(f"{self._own}/{connection.sender_id}{path}")
        page_id = connection.owner_id if self._own else connection.sender_id
        return URL(f"{self._page}/{page_id}{path}")


def _headers(account: Account) -> dict[str, str]:
    return {"Authorization": f"Bearer {account.connection.access_token}"}
