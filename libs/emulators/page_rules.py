"""What the Messenger and Instagram Send APIs check in the body of a send; PageError for the first fault."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from libs.emulators.page_errors import PageError

QUICK_REPLIES_MAX = 13
TITLE_MAX = 20
PAYLOAD_MAX = 1000
METADATA_MAX = 1000
CARD_TEXT_MAX = 640
HEADING_MAX = 80
ELEMENTS_MAX = 10
BUTTONS_MAX = 3
RETIRED_TAGS = ("CONFIRMED_EVENT_UPDATE", "ACCOUNT_UPDATE", "POST_PURCHASE_UPDATE")

_PERSON = re.compile(r"[0-9]{1,32}")
_KINDS = ("RESPONSE", "UPDATE", "MESSAGE_TAG", "UTILITY")


@dataclass(frozen=True, slots=True)
class Dialect:
    """In what the two differ."""

    name: str
    """`object` of its webhooks."""
    text_max: int
    length: Callable[[str], int]
    """How texts are counted."""
    needs_type: bool
    """Whether `messaging_type` must be given."""
    images_max: int
    outside_window: tuple[int, int]
    stranger: tuple[int, int]
    invalid: int | None
    """Subcode of a message that cannot be read."""
    usage: str
    """Kind of its calls in usage headers."""


MESSENGER = Dialect("page", 2000, len, True, 30, (10, 2018278), (100, 2018001), None, "messenger")
INSTAGRAM = Dialect(
    "instagram",
    1000,
    lambda text: len(text.encode()),
    False,
    10,
    (10, 2534022),
    (100, 2534014),
    2534015,
    "instagram",
)


@dataclass(frozen=True, slots=True)
class Checked:
    """A send that can be read."""

    recipient: str
    tag: str
    message: Mapping[str, Any] | None
    """None: only an action, such as `typing_on`."""


class Check:
    """Checks bodies of one of the two."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def body(self, body: Any) -> Checked:
        """The whole body; raises PageError."""
        if not isinstance(body, dict):
            raise self._fault("the body is a JSON object")
        recipient = body.get("recipient")
        person = recipient.get("id") if isinstance(recipient, dict) else None
        if not isinstance(person, str) or not _PERSON.fullmatch(person):
            raise self._fault("param recipient must be an object with an id")
        if body.get("sender_action") is not None:
            if body.get("message") is not None:
                raise self._fault("sender_action stands alone")
            return Checked(person, "", None)
        tag = self._tag(body)
        message = body.get("message")
        if not isinstance(message, dict):
            raise self._fault("param message must be an object")
        self._message(message)
        return Checked(person, tag, message)

    def _fault(self, details: str) -> PageError:
        return PageError(100, self._dialect.invalid, details)

    def _tag(self, body: Mapping[str, Any]) -> str:
        kind = body.get("messaging_type")
        if kind is None and self._dialect.needs_type:
            raise self._fault("param messaging_type is required")
        if kind is not None and kind not in _KINDS:
            raise self._fault(f"param messaging_type is one of {', '.join(_KINDS)}")
        tag = body.get("tag", "")
        if tag in RETIRED_TAGS or (tag and tag != "HUMAN_AGENT") or (kind == "MESSAGE_TAG") != bool(tag):
            raise self._fault("param tag is not one that may be used")
        return str(tag)

    def _message(self, message: Mapping[str, Any]) -> None:
        known = {"text", "attachment", "attachments", "quick_replies", "metadata", "reply_to"}
        if strange := set(message) - known:
            raise self._fault(f"message has no {min(strange)}")
        given = [name for name in ("text", "attachment", "attachments") if message.get(name) is not None]
        if len(given) != 1:
            raise self._fault("message is a text or an attachment")
        if "text" in given:
            self._text(message["text"], "text", self._dialect.text_max, self._dialect.length)
        elif "attachment" in given:
            self._attachment(message["attachment"])
        else:
            self._images(message["attachments"])
        if message.get("metadata") is not None:
            self._text(message["metadata"], "metadata", METADATA_MAX)
        if message.get("quick_replies") is not None:
            self._quick_replies(message["quick_replies"])

    def _text(self, text: Any, path: str, most: int, length: Callable[[str], int] = len) -> str:
        if not isinstance(text, str) or not text.strip():
            raise self._fault(f"message.{path} is required")
        if length(text) > most:
            raise self._fault(f"Length of param message[{path}] must be less than or equal to {most}")
        return text

    def _address(self, text: Any, path: str) -> None:
        if not isinstance(text, str) or not re.fullmatch(r"https?://[!-.0-~][!-~]*", text):
            raise self._fault(f"message.{path} is no address")

    def _quick_replies(self, replies: Any) -> None:
        if not isinstance(replies, list) or not 1 <= len(replies) <= QUICK_REPLIES_MAX:
            raise self._fault(f"1 to {QUICK_REPLIES_MAX} quick replies")
        for reply in replies:
            if not isinstance(reply, dict) or reply.get("content_type") not in (
                "text",
                "user_phone_number",
                "user_email",
            ):
                raise self._fault("quick_replies[].content_type is required")
            if reply["content_type"] == "text":
                self._text(reply.get("title"), "quick_replies[].title", TITLE_MAX)
                self._text(reply.get("payload"), "quick_replies[].payload", PAYLOAD_MAX)

    def _images(self, attachments: Any) -> None:
        most = self._dialect.images_max
        if not isinstance(attachments, list) or not 1 <= len(attachments) <= most:
            raise self._fault(f"1 to {most} attachments")
        for attachment in attachments:
            if not isinstance(attachment, dict) or attachment.get("type") != "image":
                raise self._fault("attachments are images")
            self._attachment(attachment)

    def _attachment(self, attachment: Any) -> None:
        payload = attachment.get("payload") if isinstance(attachment, dict) else None
        if not isinstance(payload, dict):
            raise self._fault("attachment.payload is required")
        kind = attachment.get("type")
        if kind in ("image", "video", "audio", "file"):
            if not isinstance(payload.get("attachment_id"), str):
                self._address(payload.get("url"), "attachment.payload.url")
        elif kind != "template":
            raise self._fault("attachment.type is one of image, video, audio, file, template")
        elif payload.get("template_type") == "button":
            self._text(payload.get("text"), "attachment.payload.text", CARD_TEXT_MAX)
            self._buttons(payload.get("buttons"), 1)
        elif payload.get("template_type") == "generic":
            self._elements(payload.get("elements"))
        else:
            raise self._fault("payload.template_type is one of button, generic")

    def _elements(self, elements: Any) -> None:
        if not isinstance(elements, list) or not 1 <= len(elements) <= ELEMENTS_MAX:
            raise self._fault(f"1 to {ELEMENTS_MAX} elements")
        for element in elements:
            if not isinstance(element, dict):
                raise self._fault("elements are objects")
            self._text(element.get("title"), "elements[].title", HEADING_MAX)
            if element.get("subtitle") is not None:
                self._text(element["subtitle"], "elements[].subtitle", HEADING_MAX)
            if element.get("image_url") is not None:
                self._address(element["image_url"], "elements[].image_url")
            if not any(element.get(name) for name in ("subtitle", "image_url", "buttons", "default_action")):
                raise self._fault("an element has something besides its title")
            if element.get("buttons") is not None:
                self._buttons(element["buttons"], 1)

    def _buttons(self, buttons: Any, fewest: int) -> None:
        if not isinstance(buttons, list) or not fewest <= len(buttons) <= BUTTONS_MAX:
            raise self._fault(f"{fewest} to {BUTTONS_MAX} buttons")
        for button in buttons:
            if not isinstance(button, dict):
                raise self._fault("buttons are objects")
            self._text(button.get("title"), "buttons[].title", TITLE_MAX)
            if button.get("type") == "web_url":
                self._address(button.get("url"), "buttons[].url")
            elif button.get("type") == "postback":
                self._text(button.get("payload"), "buttons[].payload", PAYLOAD_MAX)
            else:
                raise self._fault("buttons[].type is one of web_url, postback")
