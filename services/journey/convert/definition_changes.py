"""What is different between two definitions, field by field. Pure."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from omnijourney.journey.v1 import journey_pb2, node_pb2, validation_pb2

_NODES: Final = journey_pb2.Definition.DESCRIPTOR.fields_by_name["nodes"].full_name
_ONE_VALUE: Final = frozenset({"google.protobuf.Timestamp", "google.protobuf.Duration"})


def changes(
    before: journey_pb2.Definition | None, after: journey_pb2.Definition
) -> list[validation_pb2.DefinitionChange]:
    """The differences in the order of their paths; none if and only if the two are equal.

    Nodes are compared by their ids, other lists of messages by place, lists of values as a whole. All of a definition
    that is new is one difference, without a path.
    """
    if before is None:
        return [validation_pb2.DefinitionChange(after_value=_json(_message(after)))]
    return sorted(_of_message("", before, after), key=lambda change: change.field)


def _of_message(path: str, before: Message, after: Message) -> Iterator[validation_pb2.DefinitionChange]:
    present = {field.name: value for field, value in before.ListFields()}
    wanted = {field.name: value for field, value in after.ListFields()}
    fields: Sequence[Any] = before.DESCRIPTOR.fields
    for field in fields:
        here = f"{path}.{field.name}".lstrip(".")
        left, right = present.get(field.name), wanted.get(field.name)
        if field.full_name == _NODES:
            yield from _of_nodes(left or (), right or ())
        elif field.is_repeated and field.message_type is not None:
            yield from _of_list(here, list(left or ()), list(right or ()))
        elif left is not None and right is not None and _has_fields(field):
            yield from _of_message(here, left, right)
        else:
            yield from _change(here, _shown(field, left), _shown(field, right))


def _has_fields(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.full_name not in _ONE_VALUE


def _of_list(
    path: str, before: list[Message], after: list[Message]
) -> Iterator[validation_pb2.DefinitionChange]:
    for index, (left, right) in enumerate(itertools.zip_longest(before, after)):
        here = f"{path}[{index}]"
        if left is None or right is None:
            yield from _change(here, _json(_message(left)), _json(_message(right)))
        else:
            yield from _of_message(here, left, right)


def _of_nodes(before: Any, after: Any) -> Iterator[validation_pb2.DefinitionChange]:
    """By id; where ids are missing or given twice, which a draft may have, by place."""
    present, wanted = _by_id(before), _by_id(after)
    if present is None or wanted is None:
        yield from _of_list("nodes", list(before), list(after))
        return
    for node_id in dict.fromkeys([*present, *wanted]):
        here, left, right = f"nodes[{node_id}]", present.get(node_id), wanted.get(node_id)
        if left is not None and right is not None:
            yield from _of_message(here, left, right)
        else:
            yield from _change(here, _json(_message(left)), _json(_message(right)))
    order = [
        [node_id for node_id in each if node_id in present and node_id in wanted]
        for each in (present, wanted)
    ]
    if present and wanted and (order[0] != order[1] or next(iter(present)) != next(iter(wanted))):
        yield from _change("nodes", _json(list(present)), _json(list(wanted)))


def _by_id(nodes: Any) -> dict[str, node_pb2.Node] | None:
    by_id = {node.node_id: node for node in nodes}
    return by_id if len(by_id) == len(nodes) and "" not in by_id else None


def _change(path: str, before: str, after: str) -> Iterator[validation_pb2.DefinitionChange]:
    if before != after:
        yield validation_pb2.DefinitionChange(field=path, before_value=before, after_value=after)


def _shown(field: FieldDescriptor, value: Any) -> str:
    """The value of a field as JSON; empty: it is not set."""
    if value is None:
        return ""
    if isinstance(value, Message):
        return _json(_message(value))
    if field.enum_type is not None:
        names = [
            field.enum_type.values_by_number[each].name for each in (value if field.is_repeated else [value])
        ]
        return _json(names if field.is_repeated else names[0])
    return _json(list(value) if field.is_repeated else value)


def _message(message: Message | None) -> Any:
    return None if message is None else MessageToDict(message, preserving_proto_field_name=True)


def _json(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)
