"""What LINE checks in the body of a send: shapes and lengths, each fault with its property path.

Lengths of texts count UTF-16 units, those of template texts and labels grapheme clusters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

Details = list[dict[str, str]]

MESSAGES_MAX = 5
TEXT_MAX = 5000
ALT_TEXT_MAX = 1500
URL_MAX = 2000
URI_MAX = 1000
LABEL_MAX = 20
REPLY_TOKEN_MAX = 100
COLUMNS_MAX = 10
QUICK_REPLIES_MAX = 13
FLEX_BYTES_MAX = 30 * 1024

_USER = re.compile(r"[UCR][0-9a-f]{32}")
_UNIT = re.compile(r"[a-zA-Z0-9_]{1,30}")


def utf16_units(text: str) -> int:
    """Length as LINE counts texts: one beyond the basic plane is two."""
    return len(text.encode("utf-16-le")) // 2


def graphemes(text: str) -> int:
    """Length as LINE counts labels, near enough: marks, joiners, modifiers belong to what precedes them."""
    count = 0
    joined = False
    for char in text:
        modifier = 0xFE00 <= ord(char) <= 0xFE0F or 0x1F3FB <= ord(char) <= 0x1F3FF
        if char == "\u200d":
            joined = True
            continue
        if not (joined or modifier or unicodedata.combining(char)):
            count += 1
        joined = False
    return count


def check_push(body: Any) -> Details:
    """Faults of a push request: one recipient, messages, options."""
    faults = Faults()
    if faults.object(body, "") is None:
        return faults.details
    if not isinstance(body.get("to"), str) or not _USER.fullmatch(body["to"]):
        faults.add("to", "The property, 'to', in the request body is invalid")
    return check_messages(body, faults)


def check_multicast(body: Any) -> Details:
    """Faults of a multicast request: up to 500 recipients, messages, options."""
    faults = Faults()
    if faults.object(body, "") is None:
        return faults.details
    to = body.get("to")
    if not isinstance(to, list) or not 1 <= len(to) <= 500:
        faults.add("to", "Size must be between 1 and 500")
    elif not all(isinstance(one, str) and one.startswith("U") and _USER.fullmatch(one) for one in to):
        faults.add("to", "The property, 'to', in the request body is invalid")
    return check_messages(body, faults)


def check_reply(body: Any) -> Details:
    """Faults of a reply request: the token, messages, options."""
    faults = Faults()
    if faults.object(body, "") is None:
        return faults.details
    faults.text(body.get("replyToken"), "replyToken", REPLY_TOKEN_MAX)
    return check_messages(body, faults)


def check_messages(body: dict[str, Any], faults: Faults | None = None) -> Details:
    """Faults of the part that all sends share: messages, unit names, `notificationDisabled`."""
    faults = faults or Faults()
    messages = body.get("messages")
    if not isinstance(messages, list) or not 1 <= len(messages) <= MESSAGES_MAX:
        faults.add("messages", f"Size must be between 1 and {MESSAGES_MAX}")
    else:
        for index, message in enumerate(messages):
            _check_message(message, f"messages[{index}]", faults)
    units = body.get("customAggregationUnits", [])
    if not isinstance(units, list) or len(units) > 1:
        faults.add("customAggregationUnits", "Size must be between 0 and 1")
    elif any(not isinstance(unit, str) or not _UNIT.fullmatch(unit) for unit in units):
        faults.add("customAggregationUnits[0]", "Must match ^[a-zA-Z0-9_]{1,30}$")
    if not isinstance(body.get("notificationDisabled", False), bool):
        faults.add("notificationDisabled", "Must be a boolean")
    return faults.details


class Faults:
    """Collects faults; the readers return None when they added one."""

    def __init__(self) -> None:
        self.details: Details = []

    def add(self, path: str, message: str) -> None:
        """One fault at a property path."""
        self.details.append({"message": message, "property": path})

    def object(self, value: Any, path: str) -> dict[str, Any] | None:
        """`value` as an object."""
        if isinstance(value, dict):
            return value
        self.add(path, "Must be an object")
        return None

    def text(
        self, value: Any, path: str, longest: int, length: Callable[[str], int] = graphemes
    ) -> str | None:
        """`value` as a text of 1 to `longest`."""
        if not isinstance(value, str) or not value:
            self.add(path, "May not be empty")
            return None
        if length(value) > longest:
            self.add(path, f"Length must be between 0 and {longest}")
            return None
        return value

    def one_of(self, value: Any, path: str, known: Mapping[str, T]) -> T | None:
        """What is known under `value`, a kind."""
        if isinstance(value, str) and value in known:
            return known[value]
        kinds = ", ".join(sorted(known))
        self.add(path, f"Must be one of the following values: [{kinds}]")
        return None

    def url(self, value: Any, path: str) -> None:
        """`value` as an https address."""
        is_url = isinstance(value, str) and re.fullmatch(r"https://[!-~]+", value) is not None
        if not is_url or len(value) > URL_MAX:
            self.add(path, "Must be a valid HTTPS URL")


def _check_message(message: Any, path: str, faults: Faults) -> None:
    if faults.object(message, path) is None:
        return
    check = faults.one_of(message.get("type"), f"{path}.type", _MESSAGES)
    if check is not None:
        check(message, path, faults)
    if message.get("quickReply") is not None:
        _check_quick_reply(message["quickReply"], f"{path}.quickReply", faults)


def _check_quick_reply(quick: Any, path: str, faults: Faults) -> None:
    items = quick.get("items") if isinstance(quick, dict) else None
    if not isinstance(items, list) or not 1 <= len(items) <= QUICK_REPLIES_MAX:
        faults.add(f"{path}.items", f"Size must be between 1 and {QUICK_REPLIES_MAX}")
        return
    for index, item in enumerate(items):
        where = f"{path}.items[{index}]"
        if faults.object(item, where) is None:
            continue
        if item.get("type", "action") != "action":
            faults.add(f"{where}.type", "Must be one of the following values: [action]")
        if item.get("imageUrl") is not None:
            faults.url(item["imageUrl"], f"{where}.imageUrl")
        _check_action(item.get("action"), f"{where}.action", faults)


def _check_text(message: dict[str, Any], path: str, faults: Faults) -> None:
    faults.text(message.get("text"), f"{path}.text", TEXT_MAX, utf16_units)


def _check_image(message: dict[str, Any], path: str, faults: Faults) -> None:
    faults.url(message.get("originalContentUrl"), f"{path}.originalContentUrl")
    faults.url(message.get("previewImageUrl"), f"{path}.previewImageUrl")


def _check_flex(message: dict[str, Any], path: str, faults: Faults) -> None:
    faults.text(message.get("altText"), f"{path}.altText", ALT_TEXT_MAX, utf16_units)
    contents = faults.object(message.get("contents"), f"{path}.contents")
    if contents is not None and contents.get("type") not in ("bubble", "carousel"):
        faults.add(f"{path}.contents.type", "Must be one of the following values: [bubble, carousel]")
    if contents is not None and len(str(contents).encode()) > FLEX_BYTES_MAX:
        faults.add(f"{path}.contents", "The bubble is too large")


def _check_template(message: dict[str, Any], path: str, faults: Faults) -> None:
    faults.text(message.get("altText"), f"{path}.altText", ALT_TEXT_MAX, utf16_units)
    template = faults.object(message.get("template"), f"{path}.template")
    if template is None:
        return
    check = faults.one_of(template.get("type"), f"{path}.template.type", _TEMPLATES)
    if check is not None:
        check(template, f"{path}.template", faults)


def _check_buttons(template: dict[str, Any], path: str, faults: Faults) -> None:
    _check_heads(template, path, faults, longest=160)
    _check_actions(template.get("actions"), f"{path}.actions", faults, 1, 4)
    if template.get("defaultAction") is not None:
        _check_action(template["defaultAction"], f"{path}.defaultAction", faults)


def _check_confirm(template: dict[str, Any], path: str, faults: Faults) -> None:
    faults.text(template.get("text"), f"{path}.text", 240)
    _check_actions(template.get("actions"), f"{path}.actions", faults, 2, 2)


def _check_carousel(template: dict[str, Any], path: str, faults: Faults) -> None:
    columns = template.get("columns")
    if not isinstance(columns, list) or not 1 <= len(columns) <= COLUMNS_MAX:
        faults.add(f"{path}.columns", f"Size must be between 1 and {COLUMNS_MAX}")
        return
    sizes = set()
    for index, column in enumerate(columns):
        where = f"{path}.columns[{index}]"
        if faults.object(column, where) is None:
            continue
        _check_heads(column, where, faults, longest=120)
        _check_actions(column.get("actions"), f"{where}.actions", faults, 1, 3)
        sizes.add(len(column["actions"]) if isinstance(column.get("actions"), list) else -1)
    if len(sizes) > 1:
        faults.add(f"{path}.columns", "The number of actions must be the same in every column")


def _check_image_carousel(template: dict[str, Any], path: str, faults: Faults) -> None:
    columns = template.get("columns")
    if not isinstance(columns, list) or not 1 <= len(columns) <= COLUMNS_MAX:
        faults.add(f"{path}.columns", f"Size must be between 1 and {COLUMNS_MAX}")
        return
    for index, column in enumerate(columns):
        where = f"{path}.columns[{index}]"
        if faults.object(column, where) is not None:
            faults.url(column.get("imageUrl"), f"{where}.imageUrl")
            _check_action(column.get("action"), f"{where}.action", faults)


def _check_heads(part: dict[str, Any], path: str, faults: Faults, longest: int) -> None:
    image, title = part.get("thumbnailImageUrl"), part.get("title")
    if image is not None:
        faults.url(image, f"{path}.thumbnailImageUrl")
    if title is not None:
        faults.text(title, f"{path}.title", 40)
    faults.text(part.get("text"), f"{path}.text", 60 if image or title else longest)


def _check_actions(actions: Any, path: str, faults: Faults, fewest: int, most: int) -> None:
    if not isinstance(actions, list) or not fewest <= len(actions) <= most:
        faults.add(path, f"Size must be between {fewest} and {most}")
        return
    for index, action in enumerate(actions):
        _check_action(action, f"{path}[{index}]", faults)


def _check_action(action: Any, path: str, faults: Faults) -> None:
    if faults.object(action, path) is None:
        return
    fields = faults.one_of(action.get("type"), f"{path}.type", _ACTIONS)
    if fields is None:
        return
    for name, longest in _OPTIONAL.items():
        if action.get(name) is not None:
            faults.text(action[name], f"{path}.{name}", longest, utf16_units)
    if action.get("label") is not None:
        faults.text(action["label"], f"{path}.label", LABEL_MAX)
    for name, longest in fields.items():
        faults.text(action.get(name), f"{path}.{name}", longest, utf16_units)
    uri = action.get("uri")
    if isinstance(uri, str) and not re.fullmatch(r"(https?|line|tel):[!-~]+", uri):
        faults.add(f"{path}.uri", "Invalid action URI")


_MESSAGES: dict[str, Callable[[dict[str, Any], str, Faults], None]] = {
    "text": _check_text,
    "textV2": _check_text,
    "image": _check_image,
    "flex": _check_flex,
    "template": _check_template,
}
_TEMPLATES: dict[str, Callable[[dict[str, Any], str, Faults], None]] = {
    "buttons": _check_buttons,
    "confirm": _check_confirm,
    "carousel": _check_carousel,
    "image_carousel": _check_image_carousel,
}
_ACTIONS: dict[str, dict[str, int]] = {
    "uri": {"uri": URI_MAX},
    "postback": {"data": 300},
    "message": {"text": 300},
    "clipboard": {"clipboardText": 1000},
}

_OPTIONAL = {"displayText": 300}
"""Texts that an action of any kind may have."""
