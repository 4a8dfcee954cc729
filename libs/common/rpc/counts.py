"""How many items the lists of a request hold, looked at before anything looks at the items: small messages may hold
very many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, Final

from buf.validate import validate_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from libs.common.errors import FieldViolation
from libs.common.rpc.admission import method_of
from libs.common.rpc.validation import BY_ITEM, VIOLATIONS_MAX, fields_to, reaches, refuse, values_of

_BY_ITEM_FACTOR: Final = 10
"""In batches that answer by item, too long a list is its item's fault; so many times too long is the request's."""
_PLAIN_ITEM_BYTES_MAX: Final = 4_096
"""Items of batches up to this size are not looked into: they cost little whatever they hold."""
_UNSTATED_MAX: Final = 10_000
"""Items of a list whose contract states no bound; a megabyte has room for a million packed numbers."""
_ALL_MAX: Final = 100_000
"""Items of all lists of a request, those within each other among them: what is wrong with each would be told."""


def counting(rpc: str) -> Callable[[Any], None] | None:
    """What holds the requests of an RPC to their lists' bounds, raising InvalidArgument; None where there are none."""
    method = method_of(rpc)
    if method is None or not reaches(method.input_type, _is_counted):
        return None
    too_many = _too_many_of_batch if rpc in BY_ITEM else _too_many

    def check(request: Any) -> None:
        refuse(list(islice(too_many(request), VIOLATIONS_MAX)))

    return check


def _too_many(message: Message) -> Iterator[FieldViolation]:
    return _too_long(message, "", 1, _Room(_ALL_MAX))


@dataclass(slots=True)
class _Room:
    left: int
    """Items that a request may still have."""


def _too_long(message: Message, path: str, factor: int, room: _Room) -> Iterator[FieldViolation]:
    wanted = fields_to(message.DESCRIPTOR, _is_counted)
    for field, value in message.ListFields():
        if field.name not in wanted or room.left < 0:
            continue
        here, most = f"{path}{field.name}", _most(field) * factor
        if most and len(value) > most:
            yield _violation(here, _most(field), len(value))
            continue
        room.left -= len(value) if most else 0
        if room.left < 0:
            yield FieldViolation(here, f"makes over {_ALL_MAX} items in all lists: send them in parts")
            return
        if field.message_type is not None:
            for there, each in values_of(field, here, value):
                if isinstance(each, Message):
                    yield from _too_long(each, f"{there}.", factor, room)


def _too_many_of_batch(request: Message) -> Iterator[FieldViolation]:
    for field, value in request.ListFields():
        most = _most(field)
        if most and len(value) > most:
            yield _violation(field.name, most, len(value))
        elif field.is_repeated and field.message_type is not None:
            for index, item in enumerate(value):
                if item.ByteSize() > _PLAIN_ITEM_BYTES_MAX:
                    yield from _too_long(item, f"{field.name}[{index}].", _BY_ITEM_FACTOR, _Room(_ALL_MAX))


def _violation(path: str, most: int, count: int) -> FieldViolation:
    return FieldViolation(path, f"must have at most {most} items, has {count}")


def _is_counted(field: FieldDescriptor) -> bool:
    return bool(_most(field))


@cache
def _most(field: FieldDescriptor) -> int:
    """Most items of a list, or entries of a map; 0 of what is neither."""
    rules = field.GetOptions().Extensions[validate_pb2.field]  # type: ignore[attr-defined]  # a stub without it
    most: int = rules.repeated.max_items or getattr(rules, "map").max_pairs  # noqa: B009 - `map` is a builtin
    return most or (_UNSTATED_MAX if field.is_repeated else 0)
