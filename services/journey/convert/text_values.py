"""Single values of contracts as people write them, and back. Pure.

Each reader raises ValueError with what would be right. Spans are `1d12h`, amounts `100.50 TWD`, times RFC 3339, values
of enums their names without the prefix that all of an enum share.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any, Final

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from libs.common.rpc.values import is_span, is_time
from libs.common.times import OUT_OF_RANGE, SPAN_OUT_OF_RANGE
from omnijourney.common.v1 import money_pb2
from services.journey.convert.text_items import Scalar

MONEY: Final = money_pb2.Money.DESCRIPTOR.full_name
SPAN_FORM: Final = "a span such as 90m, 1d12h or 30s"
TIME_FORM: Final = "a time with its zone, such as 2026-03-01T09:00:00+08:00"
AMOUNT_FORM: Final = "an amount such as 100.50 TWD, or 100 for any currency"
AMOUNT: Final = r"-?[0-9]{1,13}(\.[0-9]{1,6})?( [A-Z]{3})?"
SPAN: Final = r"([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,12}(\.[0-9]{1,9})?s)?"
_OFFSET: Final = r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
TIME: Final = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\.[0-9]{{1,9}})?{_OFFSET}"
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_MICROS: Final = 1_000_000
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}")
_SPAN: Final = re.compile(SPAN)
_TIME: Final = re.compile(TIME)
_AMOUNT: Final = re.compile(AMOUNT)
_RANGES: Final = {
    FieldDescriptor.CPPTYPE_INT32: range(-(2**31), 2**31),
    FieldDescriptor.CPPTYPE_INT64: range(-(2**63), 2**63),
}


# ---- messages that are written as one value --------------------------------------------------------------------


def read_message(form: str) -> Callable[[str], Message] | None:
    """The reader of a message (full name) that may be written as one value; None for all others."""
    return {Duration.DESCRIPTOR.full_name: _span, Timestamp.DESCRIPTOR.full_name: _time, MONEY: _amount}.get(
        form
    )


def write_message(message: Message) -> str | None:
    """Such a message as one value; None where it has to be written field by field."""
    match message:
        case Duration():
            return _span_text(message)
        case Timestamp():
            return str(message.ToJsonString())
        case money_pb2.Money():
            return _amount_text(message)
    return None


def _span(text: str) -> Message:
    if not text or not (found := _SPAN.fullmatch(text)):
        raise ValueError(f"must be {SPAN_FORM}")
    days, hours, minutes, seconds = (Decimal((part or "0x")[:-1]) for part in found.groups()[:4])
    nanos = int((days * 86_400 + hours * 3_600 + minutes * 60 + seconds) * 10**9)
    span = Duration(seconds=nanos // 10**9, nanos=nanos % 10**9)
    if not is_span(span):
        raise ValueError(SPAN_OUT_OF_RANGE)
    return span


def _span_text(span: Duration) -> str:
    if span.nanos:
        return str(span.ToJsonString())
    parts, left = "", span.seconds
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        parts += f"{count}{unit}" if count else ""
    return parts or "0s"


def _time(text: str) -> Message:
    at = Timestamp()
    try:
        if not _TIME.fullmatch(text):
            raise ValueError
        at.FromJsonString(text)
    except ValueError:
        raise ValueError(f"must be {TIME_FORM}") from None
    if not is_time(at):
        raise ValueError(OUT_OF_RANGE)
    return at


def _amount(text: str) -> Message:
    if not _AMOUNT.fullmatch(text):
        raise ValueError(f"must be {AMOUNT_FORM}")
    number, _, currency = text.partition(" ")
    micros = int(Decimal(number) * _MICROS)
    if micros not in _RANGES[FieldDescriptor.CPPTYPE_INT64]:
        raise ValueError("is too large")
    return money_pb2.Money(currency_code=currency, amount_micros=micros)


def _amount_text(money: money_pb2.Money) -> str | None:
    whole, micros = divmod(abs(money.amount_micros), _MICROS)
    number = f"{'-' if money.amount_micros < 0 else ''}{whole}" + f".{micros:06}".rstrip("0").rstrip(".")
    text = f"{number} {money.currency_code}".rstrip(" ")
    return text if _AMOUNT.fullmatch(text) and text.endswith(money.currency_code) else None


# ---- scalars ---------------------------------------------------------------------------------------------------


def read_scalar(field: FieldDescriptor, item: Scalar, *, words_are_texts: bool) -> Any:
    """The value of a field. `words_are_texts`: as in YAML, what stands without quotes may be a text."""
    if field.enum_type is not None:
        return _enum_number(field.enum_type, item.text)
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            return _text(item, words_are_texts=words_are_texts)
        case FieldDescriptor.CPPTYPE_BOOL:
            return _boolean(item)
        case FieldDescriptor.CPPTYPE_INT32 | FieldDescriptor.CPPTYPE_INT64:
            return _integer(field, item)
    raise ValueError("is of a type that texts do not have")


def write_scalar(field: FieldDescriptor, value: Any) -> str | int | bool:
    """The value as it is written."""
    if field.enum_type is not None:
        return short_names(field.enum_type)[value]
    assert isinstance(value, str | int | bool), "no other types are in definitions"
    return value


@cache
def short_names(enum: EnumDescriptor) -> dict[int, str]:
    """The names of an enum's values without their common prefix, by number."""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return {value.number: value.name.removeprefix(prefix) for value in enum.values}


@cache
def _numbers(enum: EnumDescriptor) -> dict[str, int]:
    """Numbers by short name; 0 stands for none, and cannot be written."""
    return {name: number for number, name in short_names(enum).items() if number}


def _enum_number(enum: EnumDescriptor, text: str) -> int:
    number = _numbers(enum).get(text)
    if number is None:
        raise ValueError(f"must be one of {', '.join(_numbers(enum))}")
    return number


def _text(item: Scalar, *, words_are_texts: bool) -> str:
    if not item.quoted and not words_are_texts:
        raise ValueError("must be a text in quotes")
    if item.is_null:
        raise ValueError('has no value: leave it out, or write ""')
    try:
        item.text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half a character") from None
    return item.text


def _boolean(item: Scalar) -> bool:
    if item.quoted or item.text not in {"true", "false"}:
        raise ValueError("must be true or false")
    return item.text == "true"


def _integer(field: FieldDescriptor, item: Scalar) -> int:
    known = _RANGES[field.cpp_type]
    if not _INTEGER.fullmatch(item.text) or int(item.text) not in known:
        raise ValueError(
            "must be a whole number" if known.stop > 2**31 else "must be a whole number below 2^31"
        )
    return int(item.text)
