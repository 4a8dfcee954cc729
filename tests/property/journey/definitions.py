"""Definitions of every shape that the contract has, made from its descriptor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import strategies as st

from libs.common.rpc.validation import unimplemented_fields
from libs.common.times import EARLIEST, LATEST, SPAN_MAX
from omnijourney.common.v1 import money_pb2
from omnijourney.journey.v1 import journey_pb2

IDS = [f"00000000-0000-7000-8000-{number:012}" for number in range(6)]
TRICKY = [
    *("yes", "No", "null", "~", "1e3", "0o17", "1_000", "2026-01-01", "a: b", "# no", "- x", " x ", "x\ny"),
    *("{", "'", '"', "\u0085", "\u2028", "\ufeff", "\x7f", "\U0001f600", "3d", "100 TWD", "=", "<<", "!tag"),
    *("&a", "*a", "%", "@", "\t", "\\"),
]
TEXTS = st.one_of(
    st.sampled_from(TRICKY),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
)
DEPTH_MAX = 7


def definitions() -> st.SearchStrategy[journey_pb2.Definition]:
    """Any, whole or not."""
    return messages(journey_pb2.Definition)


@st.composite
def messages(draw: st.DrawFn, form: Callable[[], Any], depth: int = 0) -> Any:
    """A message of a form: any of its fields, at most one of each `oneof`."""
    message = form()
    special = _SPECIAL.get(message.DESCRIPTOR.full_name)
    if special is not None:
        return draw(special)
    for field in _chosen(draw, message.DESCRIPTOR):
        _fill(draw, message, field, depth)
    return message


def _chosen(draw: st.DrawFn, message: Descriptor) -> list[FieldDescriptor]:
    """The fields that are set."""
    missing = unimplemented_fields(message)
    ways: list[list[Any]] = [
        [field] for field in message.fields if field.containing_oneof is None and field.name not in missing
    ]
    ways += [[field for field in oneof.fields if field.name not in missing] for oneof in message.oneofs]
    return [
        draw(st.sampled_from(fields))
        for fields in ways
        if fields and draw(st.sampled_from([False, True, True]))
    ]


def _fill(draw: st.DrawFn, message: Any, field: FieldDescriptor, depth: int) -> None:
    if field.message_type is not None and depth > DEPTH_MAX and field.message_type.fields:
        return
    if field.is_repeated:
        size = draw(st.integers(0, 3))
        taken = getattr(message, field.name)
        for _ in range(size):
            value = _value(draw, field, depth)
            taken.add().CopyFrom(value) if isinstance(value, Message) else taken.append(value)
        return
    value = _value(draw, field, depth)
    if isinstance(value, Message):
        getattr(message, field.name).CopyFrom(value)
        getattr(message, field.name).SetInParent()
    else:
        setattr(message, field.name, value)


def _value(draw: st.DrawFn, field: FieldDescriptor, depth: int) -> Any:
    if field.message_type is not None:
        form = field.message_type._concrete_class  # type: ignore[attr-defined]  # its stub lacks it
        return draw(messages(form, depth + 1))
    if field.enum_type is not None:
        return draw(st.sampled_from([value.number for value in field.enum_type.values if value.number]))
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_BOOL:
            return draw(st.booleans())
        case FieldDescriptor.CPPTYPE_INT32:
            return draw(st.integers(0, 2**31 - 1))
        case FieldDescriptor.CPPTYPE_INT64:
            return draw(st.integers(0, 2**63 - 1))
    return draw(st.sampled_from(IDS) | TEXTS if field.name.endswith("_id") else TEXTS)


_SPECIAL: dict[str, st.SearchStrategy[Any]] = {
    Timestamp.DESCRIPTOR.full_name: st.builds(
        Timestamp,
        seconds=st.integers(int(EARLIEST.timestamp()), int(LATEST.timestamp()) - 1),
        nanos=st.just(0) | st.integers(0, 999_999_999),
    ),
    Duration.DESCRIPTOR.full_name: st.builds(
        Duration,
        seconds=st.integers(0, int(SPAN_MAX.total_seconds())),
        nanos=st.just(0) | st.integers(0, 999_999_999),
    ),
    money_pb2.Money.DESCRIPTOR.full_name: st.builds(
        money_pb2.Money,
        currency_code=st.sampled_from(["", "TWD", "twd", "TWDX", "100", " "]),
        amount_micros=st.integers(-(2**63), 2**63 - 1),
    ),
}
