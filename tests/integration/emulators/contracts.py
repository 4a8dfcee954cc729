"""The channels' own OpenAPI files, made ready for a validator of JSON schemas.

The files type what is sent by a discriminator, which JSON Schema does not know, and say nothing about unknown fields.
Here each reference to a schema is one to the schema of the named type, and to that alone: an unknown field is a fault.
What a file is known to lack or to have wrong is mended in memory, each by its source.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

SCHEMAS: Final = "#/components/schemas/"
LINE_FILES: Final = ("messaging-api.yml", "webhook.yml")
INSIGHT_FILE: Final = "insight.yml"
_FILE: Final = "urn:file"
_BODY: Final = ("content", "application/json", "schema")
WHATSAPP_FILE: Final = "business-messaging-api_v23.0.yaml"


class Contract:
    """One file: its operations, and what they say of bodies."""

    def __init__(self, spec: dict[str, Any], *, closed: bool = True) -> None:
        """`spec` as the file has it; it is changed. Where it is not `closed`, unknown fields are none of its faults."""
        self.paths: Mapping[str, Mapping[str, Any]] = spec["paths"]
        schemas: dict[str, Any] = spec["components"]["schemas"]
        _refer_to_whole(spec)
        end = {"unevaluatedProperties": False} if closed else {}
        schemas |= {f"{name}.whole": {**_typed(name, schema), **end} for name, schema in schemas.items()}
        self._registry = Registry[Any]().with_resource(_FILE, DRAFT202012.create_resource(spec)).crawl()

    def request_faults(self, method: str, path: str, body: object) -> list[str]:
        """What the operation has against a request's body."""
        return self._faults(("paths", path, method, "requestBody", *_BODY), body)

    def answer_faults(self, method: str, path: str, status: int, body: object, otherwise: str) -> list[str]:
        """What the operation has against an answer; those it says nothing of are held to the schema `otherwise`."""
        answers = self.paths[path][method]["responses"]
        if str(status) not in answers:
            return self._faults(("components", "schemas", f"{otherwise}.whole"), body)
        if "content" not in answers[str(status)]:
            return []
        return self._faults(("paths", path, method, "responses", str(status), *_BODY), body)

    def _faults(self, pointer: tuple[str, ...], value: object) -> list[str]:
        """What the schema at a place of the file has against a value, each with its own place."""
        steps = "/".join(step.replace("~", "~0").replace("/", "~1") for step in pointer)
        schema = {"$ref": f"{_FILE}#/{quote(steps)}"}
        validator = Draft202012Validator(schema, registry=self._registry, format_checker=FormatChecker())
        return [f"{each.json_path}: {each.message[:200]}" for each in _leaves(validator.iter_errors(value))]


def line_contract(folder: Path) -> Contract:
    """LINE's calls, of both files."""
    spec, insight = (_read(folder / "contracts" / "line" / name) for name in (LINE_FILES[0], INSIGHT_FILE))
    spec["paths"] |= insight["paths"]
    spec["components"]["schemas"] = insight["components"]["schemas"] | spec["components"]["schemas"]
    return Contract(spec)


def line_webhooks(folder: Path) -> Contract:
    """LINE's webhooks."""
    return Contract(_read(folder / "contracts" / "line" / LINE_FILES[1]))


def whatsapp_contract(folder: Path, *, closed: bool = True) -> Contract:
    """The calls and webhooks of the WhatsApp Cloud API, as of Graph v23.0, with what has come or was wrong since."""
    spec = _read(folder / "contracts" / "whatsapp" / WHATSAPP_FILE)
    schemas = spec["components"]["schemas"]
    base, interactive = schemas["BaseMessageProperties"], schemas["InteractiveObject"]
    # Inbound messages have these properties, too, and neither a recipient nor its kind; sends have one of the two.
    # https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-messages
    del base["required"]
    base["properties"] |= {"biz_opaque_callback_data": {"type": "string", "maxLength": 512}}
    base["properties"] |= {"recipient": {"type": "string"}}
    send = {"required": ["messaging_product"], "properties": {"messaging_product": {"const": "whatsapp"}}}
    schemas["Message"]["anyOf"] = [{"required": ["to"]}, {"required": ["recipient"]}]
    schemas["Message"] |= send
    # https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages#template-object
    schemas["LanguageObject"]["required"] = ["code"]
    _walk(schemas, _mend_button_place)
    schemas["TextParameter"]["allOf"][1]["properties"]["parameter_name"] = {"type": "string"}
    schemas["MediaObject"]["properties"] = {"caption": {"type": "string", "maxLength": 1024}}
    schemas["MediaObject"]["properties"] |= {"filename": {"type": "string"}}
    # https://developers.facebook.com/docs/whatsapp/cloud-api/messages/interactive-cta-url-messages
    interactive["properties"]["type"]["enum"].append("cta_url")
    link = {"display_text": {"type": "string"}, "url": {"type": "string"}}
    parameters = {"type": "object", "required": list(link), "properties": link}
    named = {"name": {"const": "cta_url"}, "parameters": parameters}
    schemas["ActionObject"]["oneOf"].append({"required": list(named), "properties": named})
    # https://developers.facebook.com/docs/whatsapp/cloud-api/health-status
    shown = ("health_status", "object"), ("whatsapp_business_manager_messaging_limit", "string")
    schemas["PhoneNumberInfo"]["properties"] |= {name: {"type": kind} for name, kind in shown}
    return Contract(spec, closed=closed)


def _read(path: Path) -> dict[str, Any]:
    spec: dict[str, Any] = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    return spec


def _mend_button_place(node: dict[str, Any]) -> None:
    """The place of a button is 0 to 9; the pattern of the file lets no such number pass."""
    if node.get("pattern") == "^[2-6, 11-14]$":
        node["pattern"] = "^[0-9]$"


def _walk(node: Any, change: Any) -> None:
    if isinstance(node, list):
        for each in node:
            _walk(each, change)
    elif isinstance(node, dict):
        change(node)
        for each in node.values():
            _walk(each, change)


def _leaves(errors: Any) -> Iterator[Any]:
    for error in errors:
        if error.context:
            yield from _leaves(error.context)
        else:
            yield error


def _typed(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema itself, or the one of those that its discriminator tells."""
    choice = schema.get("discriminator", {})
    if "mapping" not in choice:
        return {"$ref": SCHEMAS + name}
    key, mapping = choice["propertyName"], choice["mapping"]
    whole = {k: v for k, v in schema.items() if k in ("required", "properties", "anyOf")}
    whole = whole if "oneOf" in schema else {"$ref": SCHEMAS + name}
    whole["required"] = [*whole.get("required", ()), key]
    whole["properties"] = {**whole.get("properties", {}), key: {"enum": list(mapping)}}
    branches = [
        {"if": {"required": [key], "properties": {key: {"const": value}}}, "then": {"$ref": ref}}
        for value, ref in mapping.items()
    ]
    return {**whole, "type": "object", "allOf": branches}


def _refer_to_whole(node: Any, *, part: bool = False) -> None:
    """References become those to whole objects, but not where objects are put together of parts."""
    if isinstance(node, list):
        for each in node:
            _refer_to_whole(each, part=part)
        return
    if not isinstance(node, dict):
        return
    if node.pop("nullable", False):
        node["type"] = [node["type"], "null"]
    if node.get("additionalProperties") is False:  # of a part, it would refuse the other parts' fields
        del node["additionalProperties"]
    for key, value in node.items():
        if key == "$ref" and not part and str(value).startswith(SCHEMAS):
            node[key] = f"{value}.whole"
        elif key not in ("mapping", "example", "examples"):
            _refer_to_whole(value, part=key == "allOf")
