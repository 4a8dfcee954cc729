"""Templates as WhatsApp lists them, page by page.

`GET /{WABA_ID}/message_templates`: https://developers.facebook.com/docs/graph-api/reference/whats-app-business-account/message_templates
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from yarl import URL

from libs.common.errors import Unavailable
from services.channel_gateway.clients.channels.base import plain
from services.channel_gateway.clients.channels.transport import NoAnswerError, NotSentError, Transport
from services.channel_gateway.domain.content import (
    BUTTONS_MAX,
    PARAMETERS_MAX,
    HeaderKind,
    Template,
    TemplateButton,
    TemplateButtonKind,
    TemplateContent,
    TemplateShape,
    TemplateState,
)
from services.channel_gateway.domain.meta_templates import rejected_reason_of
from services.channel_gateway.domain.templates import ListedTemplate

PAGE_SIZE: Final = 50
"""Templates of a page; one has some kilobytes."""
PAGES_MAX: Final = 200
"""An account has 6,000 templates at most; more pages than this are a circle."""
LABEL_MAX: Final = 100
"""Characters that are kept of what stands on a button; WhatsApp takes 25."""
_FIELDS: Final = "name,status,category,language,components,parameter_format,rejected_reason"
_STATES: Final = {state.name: state for state in TemplateState} | {
    "PENDING_DELETION": TemplateState.DISABLED,
    "DELETED": TemplateState.DISABLED,
    "ARCHIVED": TemplateState.DISABLED,
}
_VARIABLE: Final = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")
_HEADERS: Final = {kind.name: kind for kind in HeaderKind}
_BUTTONS: Final = {kind.name: kind for kind in TemplateButtonKind}
_TAKING: Final = frozenset({"COPY_CODE", "MPM", "SPM"})
"""Kinds of buttons, links apart, for which each send has to bring something: a code, products."""


class TemplatePart(NamedTuple):
    """Header, body or one button of a template as WhatsApp has it, with its variables."""

    kind: str
    """`HEADER`, `BODY` or `BUTTON`; each has its own variables, also where they have the same number."""
    text: str
    address: str = ""
    """Of a button with a link."""


async def listed(
    transport: Transport, base: str, owner_id: str, headers: Mapping[str, str]
) -> list[ListedTemplate]:
    """All templates of a business account. Raises Unavailable unless all of its pages were read."""
    url = URL(f"{base}/{owner_id}/message_templates").with_query(fields=_FIELDS, limit=PAGE_SIZE)
    found: dict[tuple[str, str], ListedTemplate] = {}
    for _ in range(PAGES_MAX):
        body = await _page(transport, url, headers)
        found |= {(each.name, each.language): each for each in _templates(body)}
        after = _after(body)
        if not after:
            return list(found.values())
        url = url.update_query(after=after)
    raise Unavailable.dependency("WhatsApp")


async def parts_of(
    transport: Transport, base: str, owner_id: str, headers: Mapping[str, str], template: Template
) -> list[TemplatePart] | None:
    """Header, body and buttons of a template, variables and all; None where WhatsApp has it not. Raises Unavailable."""
    item = await _item(transport, base, owner_id, headers, (template.name, template.language))
    if item is None:
        return None
    return [part for component in _components(item) for part in _parts(component)]


async def listed_one(
    transport: Transport, base: str, owner_id: str, headers: Mapping[str, str], key: tuple[str, str]
) -> ListedTemplate | None:
    """One template of a business account, by name and language; None where WhatsApp has it not. Raises Unavailable."""
    item = await _item(transport, base, owner_id, headers, key)
    return next(_templates({"data": [item]}), None)


async def _item(
    transport: Transport, base: str, owner_id: str, headers: Mapping[str, str], key: tuple[str, str]
) -> dict[str, Any] | None:
    """A template by name and language as it is listed. Raises Unavailable."""
    url = URL(f"{base}/{owner_id}/message_templates").with_query(name=key[0], fields=_FIELDS, limit=PAGE_SIZE)
    for _ in range(PAGES_MAX):
        body = await _page(transport, url, headers)
        for item in body["data"]:
            if isinstance(item, dict) and (item.get("name"), item.get("language")) == key:
                return item
        after = _after(body)
        if not after:
            return None
        url = url.update_query(after=after)
    raise Unavailable.dependency("WhatsApp")


def filled(parts: Sequence[TemplatePart], template: Template, content: TemplateContent) -> str:
    """A template as a person sees it, a line for each part, with what fills it in the place of its variables."""
    names = template.parameter_names or [str(number + 1) for number in range(len(content.parameters))]
    values = dict(zip(names, content.parameters, strict=False))
    buttons = dict(content.button_parameters)
    lines: list[str] = []
    place = 0
    for kind, text, address in parts:
        if kind == "BODY":
            lines.append(_VARIABLE.sub(lambda found: values.get(found[1], found[0]), text))
        elif kind == "HEADER":
            lines.append(_header(text, content))
        else:
            whole = _only(address, buttons.get(place, ""))
            lines.append(f"{text}: {whole}" if whole else text)
            place += 1
    return "\n".join(lines)


def _header(text: str, content: TemplateContent) -> str:
    media = content.header_media
    if media is None:
        return _only(text, content.header_parameter)
    return f"[{' '.join(filter(None, (media.kind.name, media.filename, media.url)))}]"


def _only(text: str, value: str) -> str:
    """A text of one variable with a value in its place, if there is one."""
    return _VARIABLE.sub(lambda found: value or found[0], text)


def _components(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    components = item.get("components")
    return [each for each in components if isinstance(each, dict)] if isinstance(components, list) else []


def _component(item: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The component of a kind; empty where there is none."""
    return next((each for each in _components(item) if str(each.get("type", "")).upper() == kind), {})


def _buttons(component: Mapping[str, Any]) -> list[dict[str, Any]]:
    buttons = component.get("buttons")
    return [each for each in buttons if isinstance(each, dict)] if isinstance(buttons, list) else []


def _parts(component: Mapping[str, Any]) -> Iterator[TemplatePart]:
    kind, text = str(component.get("type", "")).upper(), str(component.get("text", ""))
    if kind in {"HEADER", "BODY"}:
        yield TemplatePart(kind, text or f"[{component.get('format', kind)}]")
    if kind == "BUTTONS":
        for each in _buttons(component):
            yield TemplatePart("BUTTON", str(each.get("text", "")), str(each.get("url", "")))


async def _page(transport: Transport, url: URL, headers: Mapping[str, str]) -> Mapping[str, Any]:
    try:
        reply = await transport.request("GET", url, headers)
    except (NotSentError, NoAnswerError) as error:
        raise Unavailable.dependency("WhatsApp") from error
    if reply.status != 200 or not isinstance(reply.body.get("data"), list):
        raise Unavailable.dependency("WhatsApp")
    return reply.body


def _after(body: Mapping[str, Any]) -> str:
    """Where the next page begins; empty at the end: the last page has cursors, and no `next`."""
    paging = body.get("paging")
    cursors = paging.get("cursors") if isinstance(paging, dict) else None
    if not isinstance(paging, dict) or not isinstance(cursors, dict) or not paging.get("next"):
        return ""
    return str(cursors.get("after") or "")


def _templates(body: Mapping[str, Any]) -> Iterator[ListedTemplate]:
    for item in body["data"]:
        if not isinstance(item, dict):
            continue
        name, language = plain(str(item.get("name", "")), 512), plain(str(item.get("language", "")), 20)
        if not name or not language:
            continue
        variables = _variables(_component(item, "BODY"))[:PARAMETERS_MAX]
        named = item.get("parameter_format") == "NAMED"
        # What is not known to be sent can be sent when WhatsApp says APPROVED, and not before.
        state = _STATES.get(str(item.get("status")), TemplateState.PENDING)
        category = plain(str(item.get("category", "")), 50) or "MARKETING"
        rejected = state is TemplateState.REJECTED
        yield ListedTemplate(
            name,
            language,
            state,
            category,
            variables if named else (),
            len(variables),
            _shape(item, named=named),
            rejected_reason_of(item.get("rejected_reason")) if rejected else "",
        )


def _shape(item: Mapping[str, Any], *, named: bool) -> TemplateShape:
    header = _component(item, "HEADER")
    kind = (
        _HEADERS.get(str(header.get("format", "TEXT")).upper(), HeaderKind.OTHER)
        if header
        else HeaderKind.NONE
    )
    variables = _variables(header)[:1] if kind is HeaderKind.TEXT else ()
    name = variables[0] if named and variables else ""
    buttons = map(_button, _buttons(_component(item, "BUTTONS"))[:BUTTONS_MAX])
    return TemplateShape(kind, len(variables), plain(name, 512), tuple(buttons))


def _button(item: Mapping[str, Any]) -> TemplateButton:
    kind = str(item.get("type", "")).upper()
    takes = "{{" in str(item.get("url", "")) if kind == "URL" else kind in _TAKING
    label = plain(str(item.get("text", "")), LABEL_MAX)
    return TemplateButton(_BUTTONS.get(kind, TemplateButtonKind.OTHER), label, takes)


def _variables(component: Mapping[str, Any]) -> tuple[str, ...]:
    """The variables of a component's text, each once, in order."""
    return tuple(dict.fromkeys(_VARIABLE.findall(str(component.get("text", "")))))
