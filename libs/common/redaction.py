"""Messages without their secrets: what logs, kept answers and the audit log may hold of a request or an answer.

Secrets are the fields with protobuf's own option `debug_redact`; nothing is guessed from names or values.
"""

from __future__ import annotations

import functools
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

M = TypeVar("M", bound=Message)


def is_secret(field: FieldDescriptor) -> bool:
    """Whether a field is marked as a secret."""
    return bool(field.GetOptions().debug_redact)


def redacted(message: M) -> M:
    """The message with its secrets cleared; itself where its type can hold none."""
    if not _ways(message.DESCRIPTOR):
        return message
    bare = type(message)()
    bare.CopyFrom(message)
    _clear(bare)
    return bare


@functools.cache
def _ways(descriptor: Any) -> tuple[FieldDescriptor, ...]:
    """The fields that are secrets, and those that lead to some."""
    leading = _leading(descriptor, frozenset())
    return tuple(field for field in descriptor.fields if field.name in leading)


def _leading(descriptor: Any, above: frozenset[str]) -> frozenset[str]:
    inside = above | {descriptor.full_name}
    return frozenset(
        field.name
        for field in descriptor.fields
        if field.GetOptions().debug_redact
        or (
            field.message_type is not None
            and field.message_type.full_name not in inside
            and _leading(field.message_type, inside)
        )
    )


def _clear(message: Message) -> None:
    for field in _ways(message.DESCRIPTOR):
        if field.GetOptions().debug_redact:
            message.ClearField(field.name)
        elif field.is_repeated:
            for item in _items(message, field):
                _clear(item)
        elif message.HasField(field.name):
            _clear(getattr(message, field.name))


def _items(message: Message, field: FieldDescriptor) -> list[Message]:
    """The messages of a list, or the values of a map."""
    values = getattr(message, field.name)
    assert field.message_type is not None, "only messages lead to secrets"
    return list(values.values() if field.message_type.GetOptions().map_entry else values)
