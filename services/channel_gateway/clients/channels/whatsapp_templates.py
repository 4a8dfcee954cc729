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
from services.channel_gateway.domain.content import PARAMETERS_MAX, Template, TemplateState
from services.channel_gateway.domain.templates import ListedTemplate

PAGE_SIZE: Final = 50
"""Templates of a page; one has some kilobytes."""
PAGES_MAX: Final = 200
"""An account has 6,000 templates at most; more pages than this are a circle."""
_FIELDS: Final = "name,status,category,language,components,parameter_format"
_STATES: Final = {state.name: state for state in TemplateState} | {
    "PENDING_DELETION": TemplateState.DISABLED,
    "DELETED": TemplateState.DISABLED,
    "ARCHIVED": TemplateState.DISABLED,
}
_VARIABLE: Final = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")


class TemplateText(NamedTuple):
    """A text of a template as WhatsApp has it, with its variables."""

    text: str
    is_body: bool = False
    """Variables of the other texts are others, also where they have the same number."""


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


async def texts_of(
    transport: Transport, base: str, owner_id: str, headers: Mapping[str, str], template: Template
) -> list[TemplateText] | None:
    """Header, body and buttons of a template, variables and all; None where WhatsApp has it not. Raises Unavailable."""
    url = URL(f"{base}/{owner_id}/message_templates").with_query(
        name=template.name, fields=_FIELDS, limit=PAGE_SIZE
    )
    for _ in range(PAGES_MAX):
        body = await _page(transport, url, headers)
        for item in body["data"]:
            if isinstance(item, dict) and (item.get("name"), item.get("language")) == (
                template.name,
                template.language,
            ):
                return [text for component in _components(item) for text in _texts(component)]
        after = _after(body)
        if not after:
            return None
        url = url.update_query(after=after)
    raise Unavailable.dependency("WhatsApp")


def filled(texts: Sequence[TemplateText], template: Template, parameters: Sequence[str]) -> str:
    """The texts with the body's parameters in the place of its variables, a line each."""
    names = template.parameter_names or [str(number + 1) for number in range(len(parameters))]
    values = dict(zip(names, parameters, strict=False))
    return "\n".join(
        _VARIABLE.sub(lambda found: values.get(found[1], found[0]), text) if is_body else text
        for text, is_body in texts
    )


def _components(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    components = item.get("components")
    return [each for each in components if isinstance(each, dict)] if isinstance(components, list) else []


def _texts(component: Mapping[str, Any]) -> Iterator[TemplateText]:
    kind, text = str(component.get("type", "")).upper(), str(component.get("text", ""))
    if kind in {"HEADER", "BODY"}:
        yield TemplateText(text or f"[{component.get('format', kind)}]", kind == "BODY")
    buttons = component.get("buttons")
    if kind == "BUTTONS" and isinstance(buttons, list):
        yield from (TemplateText(str(each.get("text", ""))) for each in buttons if isinstance(each, dict))


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
        variables = _variables(item)
        named = item.get("parameter_format") == "NAMED"
        # What is not known to be sent can be sent when WhatsApp says APPROVED, and not before.
        state = _STATES.get(str(item.get("status")), TemplateState.PENDING)
        category = plain(str(item.get("category", "")), 50) or "MARKETING"
        yield ListedTemplate(name, language, state, category, variables if named else (), len(variables))


def _variables(item: Mapping[str, Any]) -> tuple[str, ...]:
    """The variables of the body, each once, in order."""
    for component in _components(item):
        if str(component.get("type", "")).upper() == "BODY":
            found = dict.fromkeys(_VARIABLE.findall(str(component.get("text", ""))))
            return tuple(found)[:PARAMETERS_MAX]
    return ()
