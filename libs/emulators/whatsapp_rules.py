"""What the WhatsApp Cloud API checks in a send, template contents apart; MetaError for the first fault."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from libs.emulators.meta_errors import MetaError

TEXT_MAX = 4096
CAPTION_MAX = 1024
INTERACTIVE_BODY_MAX = 1024
CALLBACK_DATA_MAX = 512

_E164 = re.compile(r"\+?[1-9][0-9]{6,14}")
_USER_ID = re.compile(r"[A-Z]{2}\.[A-Za-z0-9]{1,128}")


def check_message(body: Any) -> str:
    """Checks a send and returns the recipient: wa_id (digits), or the business-scoped user id."""
    if not isinstance(body, dict):
        raise MetaError(100, "the body is a JSON object")
    if body.get("messaging_product") != "whatsapp":
        raise MetaError(100, "The parameter messaging_product is required.")
    if body.get("recipient_type", "individual") != "individual":
        raise MetaError(100, "recipient_type must be individual")
    recipient = _recipient(body)
    data = body.get("biz_opaque_callback_data", "")
    if not isinstance(data, str) or len(data) > CALLBACK_DATA_MAX:
        raise MetaError(100, f"biz_opaque_callback_data is a text of at most {CALLBACK_DATA_MAX}")
    kind = body.get("type", "text")
    check = _TYPES.get(kind)
    if check is None:
        raise MetaError(131051, f"Unsupported type: {kind}")
    content = body.get(kind)
    if not isinstance(content, dict):
        raise MetaError(131008, f"{kind} is required")
    check(content)
    return recipient


def _recipient(body: Mapping[str, Any]) -> str:
    to = body.get("to")
    if to is not None:
        if not isinstance(to, str) or not _E164.fullmatch(to):
            raise MetaError(131009, "to is a phone number in E.164")
        return to.lstrip("+")
    user_id = body.get("recipient")
    if isinstance(user_id, str) and _USER_ID.fullmatch(user_id):
        return user_id
    raise MetaError(131008, "The parameter to is required.")


def _text(content: Mapping[str, Any], name: str, longest: int, path: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not value.strip():
        raise MetaError(131008, f"{path}.{name} is required")
    if len(value) > longest:
        raise MetaError(100, f"{path}.{name} is longer than {longest}")
    return value


def _check_text(content: Mapping[str, Any]) -> None:
    _text(content, "body", TEXT_MAX, "text")


def _check_image(content: Mapping[str, Any]) -> None:
    link = content.get("link")
    if link is None and not isinstance(content.get("id"), str):
        raise MetaError(131008, "image.id or image.link is required")
    if link is not None and (not isinstance(link, str) or not re.match(r"https?://", link)):
        raise MetaError(131009, "image.link is an address")
    if content.get("caption") is not None:
        _text(content, "caption", CAPTION_MAX, "image")


def _check_interactive(content: Mapping[str, Any]) -> None:
    kind, action = content.get("type"), content.get("action")
    if not isinstance(action, dict):
        raise MetaError(131008, "interactive.action is required")
    body = content.get("body")
    if not isinstance(body, dict):
        raise MetaError(131008, "interactive.body is required")
    _text(body, "text", INTERACTIVE_BODY_MAX, "interactive.body")
    if content.get("footer") is not None:
        _text(content["footer"], "text", 60, "interactive.footer")
    check = _INTERACTIVE.get(kind)
    if check is None:
        raise MetaError(131009, f"interactive.type {kind} is unknown")
    check(action)


def _check_buttons(action: Mapping[str, Any]) -> None:
    buttons = action.get("buttons")
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= 3:
        raise MetaError(131009, "1 to 3 buttons")
    ids, titles = set(), set()
    for button in buttons:
        reply = button.get("reply") if isinstance(button, dict) else None
        if not isinstance(reply, dict):
            raise MetaError(131008, "buttons[].reply is required")
        ids.add(_text(reply, "id", 256, "buttons[].reply"))
        titles.add(_text(reply, "title", 20, "buttons[].reply"))
    if len(ids) < len(buttons) or len(titles) < len(buttons):
        raise MetaError(131009, "ids and titles of buttons are unique")


def _check_cta_url(action: Mapping[str, Any]) -> None:
    parameters = action.get("parameters")
    if action.get("name") != "cta_url" or not isinstance(parameters, dict):
        raise MetaError(131009, "action.name is cta_url, with parameters")
    _text(parameters, "display_text", 20, "action.parameters")
    if not re.match(r"https?://", _text(parameters, "url", 2000, "action.parameters")):
        raise MetaError(131009, "action.parameters.url is an address")


def _check_list(action: Mapping[str, Any]) -> None:
    _text(action, "button", 20, "action")
    sections = action.get("sections")
    if not isinstance(sections, list) or not sections:
        raise MetaError(131008, "action.sections is required")
    rows = [row for section in sections for row in section.get("rows", [])]
    if not 1 <= len(rows) <= 10:
        raise MetaError(131009, "1 to 10 rows in all")
    for row in rows:
        _text(row, "id", 200, "rows[]")
        _text(row, "title", 24, "rows[]")


def _check_template(content: Mapping[str, Any]) -> None:
    _text(content, "name", 512, "template")
    language = content.get("language")
    if not isinstance(language, dict) or not isinstance(language.get("code"), str):
        raise MetaError(131008, "template.language.code is required")


_TYPES: dict[Any, Callable[[Mapping[str, Any]], None]] = {
    "text": _check_text,
    "image": _check_image,
    "interactive": _check_interactive,
    "template": _check_template,
}
_INTERACTIVE: dict[Any, Callable[[Mapping[str, Any]], None]] = {
    "button": _check_buttons,
    "cta_url": _check_cta_url,
    "list": _check_list,
}
