"""Message templates of the WhatsApp emulator: definition, approval, and what a send must hand over."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from libs.emulators.meta_errors import MetaError

STATUSES = ("PENDING", "APPROVED", "REJECTED", "PAUSED", "DISABLED")
CATEGORIES = ("MARKETING", "UTILITY", "AUTHENTICATION")
BODY_MAX = 1024
HEADER_MAX = 60
FOOTER_MAX = 60
BUTTONS_MAX = 10
FILLED_BODY_MAX = 1024

NO_REASON = "NONE"
"""Of a template that is not rejected, or of which nobody says why."""
MEDIA = ("IMAGE", "VIDEO", "DOCUMENT")
"""Formats of headers that each send fills with a file."""

_NAME = re.compile(r"[a-z0-9_]{1,512}")
_VARIABLE = re.compile(r"\{\{\s*([a-z0-9_]+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Template:
    """One template in one language. `parameters`: names or positions of the variables per component."""

    template_id: str
    waba_id: str
    name: str
    language: str
    status: str
    category: str
    named: bool
    header: str = ""
    body: str = ""
    footer: str = ""
    buttons: tuple[dict[str, Any], ...] = field(default=())
    components: tuple[dict[str, Any], ...] = field(default=())
    rejected_reason: str = NO_REASON

    @property
    def key(self) -> tuple[str, str, str]:
        """What a template is found by: business account, name, language."""
        return (self.waba_id, self.name, self.language)

    def with_status(self, status: str, rejected_reason: str = NO_REASON) -> "Template":
        """The same with another status; raises ValueError for an unknown one."""
        if status not in STATUSES:
            raise ValueError(f"status is one of {', '.join(STATUSES)}")
        return replace(self, status=status, rejected_reason=rejected_reason)

    @property
    def header_format(self) -> str:
        """What stands at its head; empty for nothing."""
        header = next((each for each in self.components if each["type"] == "HEADER"), None)
        return "" if header is None else str(header.get("format", "TEXT"))

    def to_json(self) -> dict[str, Any]:
        """As the management API shows it."""
        return {
            "id": self.template_id,
            "name": self.name,
            "language": self.language,
            "status": self.status,
            "category": self.category,
            "parameter_format": "NAMED" if self.named else "POSITIONAL",
            "components": list(self.components),
            "rejected_reason": self.rejected_reason,
        }


def variables(text: str) -> tuple[str, ...]:
    """Names or positions of the variables of a text, each once, in order of appearance."""
    return tuple(dict.fromkeys(_VARIABLE.findall(text)))


def parse_template(template_id: str, waba_id: str, data: Mapping[str, Any]) -> Template:
    """Reads a creation request; raises MetaError 100 naming the first fault."""
    name, language = data.get("name"), data.get("language")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise MetaError(100, "name: lower case letters, digits and underscores, at most 512")
    if not isinstance(language, str) or not language:
        raise MetaError(100, "language is required")
    if data.get("category") not in CATEGORIES:
        raise MetaError(100, f"category is one of {', '.join(CATEGORIES)}")
    components = data.get("components")
    if not isinstance(components, list) or not all(isinstance(c, dict) for c in components):
        raise MetaError(100, "components is a list of objects")
    components = [_in_capitals(c) for c in components]
    parts = {c["type"]: c for c in components}
    template = Template(
        template_id=template_id,
        waba_id=waba_id,
        name=name,
        language=language,
        status=str(data.get("status", "PENDING")).upper(),
        category=data["category"],
        named=data.get("parameter_format", "POSITIONAL") == "NAMED",
        header=str(parts.get("HEADER", {}).get("text", "")),
        body=str(parts.get("BODY", {}).get("text", "")),
        footer=str(parts.get("FOOTER", {}).get("text", "")),
        buttons=tuple(parts.get("BUTTONS", {}).get("buttons", ())),
        components=tuple(components),
    )
    _check_definition(template)
    return template


def _in_capitals(component: Mapping[str, Any]) -> dict[str, Any]:
    """A component with its kinds as the service gives them, however they were written."""
    written = {**component, "type": str(component.get("type", "")).upper()}
    if "format" in component:
        written["format"] = str(component["format"]).upper()
    if isinstance(component.get("buttons"), list):
        written["buttons"] = [
            {**each, "type": str(each.get("type", "")).upper()} if isinstance(each, dict) else each
            for each in component["buttons"]
        ]
    return written


def _check_definition(template: Template) -> None:
    body = template.body.strip()
    faults = {
        "status is unknown": template.status not in STATUSES,
        "the body is required": not body,
        f"the body is longer than {BODY_MAX}": len(body) > BODY_MAX,
        f"the header is longer than {HEADER_MAX}": len(template.header) > HEADER_MAX,
        f"the footer is longer than {FOOTER_MAX}": len(template.footer) > FOOTER_MAX,
        f"more than {BUTTONS_MAX} buttons": len(template.buttons) > BUTTONS_MAX,
        "the header is of an unknown format": template.header_format
        not in ("", "TEXT", "LOCATION", "PRODUCT", *MEDIA),
        "the header has more than one variable": len(variables(template.header)) > 1,
        "a variable begins or ends the body": body.startswith("{{") or body.endswith("}}"),
        "positions of variables do not run from 1": not template.named
        and sorted(map(str, variables(body))) != sorted(str(n + 1) for n in range(len(variables(body)))),
    }
    for fault, found in faults.items():
        if found:
            raise MetaError(100, fault)


def check_send(template: Template | None, data: Mapping[str, Any]) -> None:
    """Checks the `template` object of a send against the registered one; raises MetaError 132xxx or 100."""
    name = data.get("name")
    if template is None or template.status in ("PENDING", "REJECTED"):
        raise MetaError(132001, f"template name ({name}) does not exist in the given language")
    if template.status == "PAUSED":
        raise MetaError(132015, f"template ({name}) is paused")
    if template.status == "DISABLED":
        raise MetaError(132016, f"template ({name}) is disabled")
    given = _parameters_by_part(data.get("components", []))
    if template.header_format in MEDIA:
        _check_media(template.header_format, given.pop("header", []))
    _check_part(template, "header", template.header, given.pop("header", []))
    _check_part(template, "body", template.body, given.pop("body", []))
    for index, button in enumerate(template.buttons):
        _check_button(index, button, given.pop(f"button:{index}", []))
    for part in given:
        raise MetaError(132000, f"{part}: the template has no such component")


def _parameters_by_part(components: Any) -> dict[str, list[dict[str, Any]]]:
    if not isinstance(components, list):
        raise MetaError(100, "template.components is a list")
    parts: dict[str, list[dict[str, Any]]] = {}
    for component in components:
        kind = str(component.get("type", "")).lower() if isinstance(component, dict) else None
        parameters = component.get("parameters", []) if isinstance(component, dict) else None
        if kind not in ("header", "body", "button") or not isinstance(parameters, list):
            raise MetaError(100, "template.components: type header, body or button, with parameters")
        parts[f"button:{component.get('index')}" if kind == "button" else kind] = parameters
    return parts


def _check_media(wanted: str, given: list[dict[str, Any]]) -> None:
    """A header's file; checks of its address are those of every file in a message."""
    received = str(given[0].get("type", "")).upper() if given else "UNKNOWN"
    if received != wanted:
        raise MetaError(132012, f"header: Format mismatch, expected {wanted}, received {received}")
    if len(given) > 1:
        raise MetaError(132000, f"header: number of parameters ({len(given)}) does not match (1)")


def _check_part(template: Template, part: str, text: str, given: list[dict[str, Any]]) -> None:
    wanted = variables(text)
    if len(given) != len(wanted):
        raise MetaError(
            132000, f"{part}: number of localizable_params ({len(given)}) does not match ({len(wanted)})"
        )
    filled = text
    for index, parameter in enumerate(given):
        filled = _fill(template, part, filled, index, parameter)
    if part == "body" and len(filled) > FILLED_BODY_MAX:
        raise MetaError(132005, f"{part}: the filled text is longer than {FILLED_BODY_MAX}")


def _fill(template: Template, part: str, text: str, index: int, parameter: dict[str, Any]) -> str:
    kind = parameter.get("type")
    value = parameter.get("text") if kind == "text" else parameter.get(str(kind), {}).get("fallback_value")
    if not isinstance(value, str):
        raise MetaError(132012, f"{part}: parameter {index + 1} of type {kind} has no value")
    if not value.strip() or re.search(r"[\n\t]| {5,}", value):
        raise MetaError(100, f"{part}: parameter {index + 1} is empty or holds line breaks, tabs or 5 spaces")
    name = str(index + 1)
    if template.named:
        name = str(parameter.get("parameter_name", ""))
        if name not in variables(text):
            raise MetaError(132012, f"{part}: parameter_name {name!r} is not in the template or given twice")
    return re.sub(r"\{\{\s*" + re.escape(name) + r"\s*\}\}", lambda _match: value, text)


def _check_button(index: int, button: Mapping[str, Any], given: list[dict[str, Any]]) -> None:
    if button.get("type") != "URL":
        return
    variable = "{{" in str(button.get("url", ""))
    if variable and not given:
        raise MetaError(131008, f"buttons: Button at index {index} of type Url requires a parameter")
    if len(given) > int(variable):
        raise MetaError(132000, f"button {index}: {len(given)} parameters, the address has {int(variable)}")
    if any(re.search(r"\s", str(each.get("text", ""))) for each in given):
        raise MetaError(132018, f"button {index}: an address holds no blanks")
