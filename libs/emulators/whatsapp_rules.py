"""What the WhatsApp Cloud API checks in a send, template contents apart; MetaError for the first fault."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from libs.emulators.meta_errors import MetaError

TEXT_MAX = 4096
CAPTION_MAX = 1024
INTERACTIVE_BODY_MAX = 1024
CALLBACK_DATA_MAX = 512
LINK_MAX = 2000
MEDIA_ID_MAX = 100
FILENAME_MAX = 240
BUTTON_PLACES_MAX = 10
PARAMETER_MAX = 32_768

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
    context = body.get("context")
    if context is not None and not isinstance(_object(context, "context").get("message_id", ""), str):
        raise MetaError(131009, "context.message_id is the id of a message")
    kind = body.get("type", "text")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise MetaError(131051, f"Unsupported type: {kind}")
    if kind not in body:
        raise MetaError(131008, f"{kind} is required")
    _TYPES[kind](_object(body[kind], kind))
    return recipient


def _object(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise MetaError(131008, f"{path} is required, an object")
    return value


def _objects(value: Any, path: str) -> list[Mapping[str, Any]]:
    if not isinstance(value, list):
        raise MetaError(131009, f"{path} is a list")
    return [_object(each, f"{path}[]") for each in value]


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


def _maybe_text(content: Mapping[str, Any], name: str, longest: int, path: str) -> None:
    if content.get(name) is not None:
        _text(content, name, longest, path)


def _check_text(content: Mapping[str, Any]) -> None:
    _text(content, "body", TEXT_MAX, "text")
    if not isinstance(content.get("preview_url", False), bool):
        raise MetaError(131009, "text.preview_url is true or false")


def _check_image(content: Mapping[str, Any], path: str = "image") -> None:
    if content.get("link") is None:
        _text(content, "id", MEDIA_ID_MAX, path)
    elif not re.fullmatch(r"https?://[!-~]+", _text(content, "link", LINK_MAX, path)):
        raise MetaError(131009, f"{path}.link is an address")
    _maybe_text(content, "caption", CAPTION_MAX, path)


def _check_interactive(content: Mapping[str, Any]) -> None:
    for part in ("action", "body"):
        if part not in content:
            raise MetaError(131008, f"interactive.{part} is required")
    body = _object(content["body"], "interactive.body")
    _text(body, "text", INTERACTIVE_BODY_MAX, "interactive.body")
    if content.get("footer") is not None:
        _text(_object(content["footer"], "interactive.footer"), "text", 60, "interactive.footer")
    if content.get("header") is not None:
        _check_header(_object(content["header"], "interactive.header"))
    kind = content.get("type")
    if not isinstance(kind, str) or kind not in _INTERACTIVE:
        raise MetaError(131009, f"interactive.type {kind} is unknown")
    _INTERACTIVE[kind](_object(content["action"], "interactive.action"))


def _check_header(header: Mapping[str, Any]) -> None:
    kind = header.get("type")
    if kind == "text":
        _text(header, "text", 60, "interactive.header")
    elif kind in ("image", "video", "document"):
        _check_image(_object(header.get(kind), f"interactive.header.{kind}"), f"interactive.header.{kind}")
    else:
        raise MetaError(131009, f"interactive.header.type {kind} is unknown")


def _check_buttons(action: Mapping[str, Any]) -> None:
    buttons = _objects(action.get("buttons"), "action.buttons")
    if not 1 <= len(buttons) <= 3:
        raise MetaError(131009, "1 to 3 buttons")
    ids, titles = set(), set()
    for button in buttons:
        if button.get("type") != "reply":
            raise MetaError(131009, "buttons[].type is reply")
        reply = _object(button.get("reply"), "buttons[].reply")
        ids.add(_text(reply, "id", 256, "buttons[].reply"))
        titles.add(_text(reply, "title", 20, "buttons[].reply"))
    if len(ids) < len(buttons) or len(titles) < len(buttons):
        raise MetaError(131009, "ids and titles of buttons are unique")


def _check_cta_url(action: Mapping[str, Any]) -> None:
    parameters = action.get("parameters")
    if action.get("name") != "cta_url" or not isinstance(parameters, dict):
        raise MetaError(131009, "action.name is cta_url, with parameters")
    _text(parameters, "display_text", 20, "action.parameters")
    if not re.fullmatch(r"https?://[!-~]+", _text(parameters, "url", 2000, "action.parameters")):
        raise MetaError(131009, "action.parameters.url is an address")


def _check_list(action: Mapping[str, Any]) -> None:
    _text(action, "button", 20, "action")
    sections = _objects(action.get("sections"), "action.sections")
    for section in sections:
        _maybe_text(section, "title", 24, "sections[]")
    rows = [row for section in sections for row in _objects(section.get("rows"), "sections[].rows")]
    if not 1 <= len(rows) <= 10:
        raise MetaError(131009, "1 to 10 rows in all")
    ids = {_text(row, "id", 200, "rows[]") for row in rows}
    if len(ids) < len(rows):
        raise MetaError(131009, "ids of rows are unique")
    for row in rows:
        _text(row, "title", 24, "rows[]")
        _maybe_text(row, "description", 72, "rows[]")


def _check_template(content: Mapping[str, Any]) -> None:
    _text(content, "name", 512, "template")
    if "language" not in content:
        raise MetaError(131008, "template.language is required")
    _text(_object(content["language"], "template.language"), "code", 20, "template.language")
    for component in _objects(content.get("components", []), "template.components"):
        if str(component.get("type", "")).lower() == "button":
            _check_place(component)
        for parameter in _objects(component.get("parameters", []), "components[].parameters"):
            _text(parameter, "type", 20, "parameters[]")
            _maybe_text(parameter, "text", PARAMETER_MAX, "parameters[]")
            _maybe_text(parameter, "parameter_name", 512, "parameters[]")
            kind = str(parameter["type"])
            if kind in ("image", "video", "document"):
                file = _object(parameter.get(kind), f"parameters[].{kind}")
                _check_image(file, f"parameters[].{kind}")
                _maybe_text(file, "filename", FILENAME_MAX, f"parameters[].{kind}")


def _check_place(component: Mapping[str, Any]) -> None:
    if component.get("sub_type") not in ("quick_reply", "url", "catalog", "flow"):
        raise MetaError(131009, "components[].sub_type is unknown")
    if not isinstance(component.get("index"), str) or not re.fullmatch(r"[0-9]", component["index"]):
        raise MetaError(131009, f"components[].index is 0 to {BUTTON_PLACES_MAX - 1}")
    parameters = _objects(component.get("parameters"), "components[].parameters")
    if not parameters:
        raise MetaError(131008, "components[].parameters is required")
    for parameter in parameters:
        kind = parameter.get("type")
        if kind not in ("text", "payload"):
            raise MetaError(131009, "parameters[].type is text or payload")
        _text(parameter, kind, PARAMETER_MAX, "parameters[]")


_TYPES: dict[str, Callable[[Mapping[str, Any]], None]] = {
    "text": _check_text,
    "image": _check_image,
    "interactive": _check_interactive,
    "template": _check_template,
}
_INTERACTIVE: dict[str, Callable[[Mapping[str, Any]], None]] = {
    "button": _check_buttons,
    "cta_url": _check_cta_url,
    "list": _check_list,
}
