"""The JSON Schema of definitions as texts, for editors; made of the contract, as their reader is. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from omnijourney.journey.v1 import journey_pb2
from services.journey.convert import text_values as values
from services.journey.convert.definition_texts import Key, keys_of

Schema = dict[str, Any]

_TOP: Final = journey_pb2.Definition.DESCRIPTOR
_WRITTEN: Final[Mapping[str, Schema]] = {
    Duration.DESCRIPTOR.full_name: {
        "type": "string",
        "minLength": 2,
        "pattern": f"^{values.SPAN}$",
        "description": f"A {values.SPAN_FORM.removeprefix('a ')}.",
    },
    Timestamp.DESCRIPTOR.full_name: {"type": "string", "pattern": f"^{values.TIME}$"},
}
"""Messages that are one value in a text."""
_AMOUNT: Final[list[Schema]] = [{"type": "string", "pattern": f"^{values.AMOUNT}$"}, {"type": "number"}]


def schema_text(comments: Mapping[str, str]) -> str:
    """The schema, draft 2020-12, as JSON; `comments` are the contract's, by full name of message or field."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A journey as text",
        "$ref": _reference(_TOP)["$ref"],
        "$defs": {_name(message): _of_message(message, comments) for message in _reached()},
    }
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


def _reached() -> Iterator[Descriptor]:
    """Every message that a definition may hold, itself first."""
    seen, waiting = {_TOP.full_name}, [_TOP]
    while waiting:
        message = waiting.pop()
        yield message
        for key in keys_of(message).values():
            inner = key.field.message_type
            if inner is not None and inner.full_name not in seen and inner.full_name not in _WRITTEN:
                seen.add(inner.full_name)
                waiting.append(inner)


def _of_message(message: Descriptor, comments: Mapping[str, str]) -> Schema:
    keys = keys_of(message)
    schema: Schema = {
        # What has nothing in it may be left empty: `contact_added:`.
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {
            name: _of_field(key) | _described(key.field.full_name, comments) for name, key in keys.items()
        },
    }
    if alone := {name: _others(name, keys) for name in keys if _others(name, keys)}:
        schema["dependentSchemas"] = {
            name: {"properties": dict.fromkeys(others, False)} for name, others in alone.items()
        }
    if message.full_name == values.MONEY:
        schema = {"anyOf": [*_AMOUNT, schema], "description": f"{values.AMOUNT_FORM.capitalize()}."}
    return schema | _described(message.full_name, comments) if "description" not in schema else schema


def _others(name: str, keys: Mapping[str, Key]) -> list[str]:
    """The keys that cannot stand beside a key: other members of its `oneof`, and its id or name."""
    key = keys[name]
    oneof = key.field.containing_oneof
    return [
        other
        for other, each in keys.items()
        if other != name
        and (each.field == key.field or (oneof is not None and each.field.containing_oneof == oneof))
    ]


def _of_field(key: Key) -> Schema:
    rules = key.field.GetOptions().Extensions[validate_pb2.field]  # type: ignore[attr-defined]  # a stub without it
    if not key.field.is_repeated:
        return _of_value(key.field, rules)
    many = rules.repeated
    schema: Schema = {"type": "array", "items": _of_value(key.field, many.items)}
    if many.HasField("max_items"):
        schema["maxItems"] = many.max_items
    return schema


def _of_value(field: FieldDescriptor, rules: Any) -> Schema:
    if field.message_type is not None:
        return dict(_WRITTEN.get(field.message_type.full_name) or _reference(field.message_type))
    if field.enum_type is not None:
        return {"enum": [name for number, name in values.short_names(field.enum_type).items() if number]}
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_BOOL:
            return {"type": "boolean"}
        case FieldDescriptor.CPPTYPE_INT32 | FieldDescriptor.CPPTYPE_INT64:
            size = "int32" if field.cpp_type == FieldDescriptor.CPPTYPE_INT32 else "int64"
            least = getattr(rules, size)
            return {"type": "integer"} | ({"minimum": least.gte} if least.HasField("gte") else {})
    most = {"maxLength": rules.string.max_len} if rules.string.HasField("max_len") else {}
    return {"type": "string"} | most


def _described(name: str, comments: Mapping[str, str]) -> Schema:
    return {"description": comments[name]} if name in comments else {}


def _reference(message: Descriptor) -> Schema:
    return {"$ref": f"#/$defs/{_name(message)}"}


def _name(message: Descriptor) -> str:
    return message.name
