"""What every request is held to before its handler sees it: the rules of its contract, all faults told at once.

The rules are those of `buf.validate` in the protos. Some hold for every request without being stated: no text holds
U+0000, which PostgreSQL cannot store; no enum holds a number that the contract does not name; times lie in the years
that are believed, spans in what can be added to them, and fractions are numbers; nothing is nested so deep that an
answer which holds it could not be read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from protovalidate import Validator, Violation

from libs.common.errors import FieldViolation, InvalidArgument, NotImplementedYet
from libs.common.rpc.admission import method_of
from libs.common.rpc.values import is_span, is_time
from libs.common.times import OUT_OF_RANGE, SPAN_OUT_OF_RANGE
from omnijourney.common.v1 import options_pb2

BY_ITEM: Final = frozenset(
    {
        "omnijourney.internal.v1.CustomersService/ApplyChanges",
        "omnijourney.internal.v1.LedgerService/PostEntries",
        "omnijourney.internal.v1.SendsService/SendMessages",
        "omnijourney.journey.v1.JourneyService/TriggerJourneys",
        "omnijourney.points.v1.PointsService/AddImportRows",
        "omnijourney.segment.v1.SegmentService/BatchBindIdentities",
        "omnijourney.segment.v1.SegmentService/BatchCreateCustomers",
        "omnijourney.segment.v1.SegmentService/BatchFindCustomers",
        "omnijourney.segment.v1.SegmentService/RecordEvents",
    }
)
"""Batches of up to 500 whose items are judged by hand: one faulty item spoils no other, and some of them are the hot
paths. What stands beside the items is held to the contract as everywhere."""

Check = Callable[[Any], None]
"""Raises InvalidArgument with every fault of a request, NotImplementedYet for what nothing acts on."""

NESTED_MAX: Final = 50
"""Messages within each other, the request among them: half of what most clients read."""
VIOLATIONS_MAX: Final = 100
"""Faults that one answer tells; no more are looked for."""
_TIME: Final = "google.protobuf.Timestamp"
_SPAN: Final = "google.protobuf.Duration"
_VALIDATOR: Final = Validator()
_PLAIN: Final = {
    "required": "is required",
    "enum.not_in": "must be given: 0 stands for none",
    "string.uuid": "must be a UUID",
    "string.uuid_empty": "is required",
}
"""Sentences of our own for rules whose library says it less plainly."""
_PATTERNS: Final = {
    r"^\P{C}*$": "must hold printable characters only: no line breaks, no marks that nobody sees",
    "^[A-Za-z][A-Za-z0-9_]{0,63}$": "must be a letter, then up to 63 letters, digits and _",
    "^[a-z0-9_-]*$": "must hold a-z, 0-9, _ and - only",
}
"""The same for forms, by their expressions."""
_DAYS: Final = re.compile(r"\b(\d+)s\b")


def check_of(rpc: str) -> Check | None:
    """The check of an RPC (`package.Service/Method`); None where nothing is to be checked here.

    It raises InvalidArgument, and NotImplementedYet for fields that nothing acts on yet. Of batches that judge by item
    it leaves the items alone: a servicer whose items may have such fields asks `unimplemented_paths` of each.
    """
    method = method_of(rpc)
    if method is None:
        return None
    if rpc in BY_ITEM:
        return _check_of_batch(method.input_type)

    def check(request: Any) -> None:
        _refuse_unimplemented(request)
        refuse(faults_of(request))

    return check


def _check_of_batch(form: Descriptor) -> Check | None:
    """What a batch is held to apart from its items; None where it has nothing else."""
    own = [field.name for field in form.fields if not field.is_repeated]
    items = frozenset(field.name for field in form.fields if field.is_repeated and field.message_type)
    if not own:
        return None

    def check(request: Any) -> None:
        _refuse_unimplemented(request, items)
        beside = type(request)(**{field: getattr(request, field) for field in own})
        # How many items there are is judged with them.
        refuse([fault for fault in faults_of(beside) if fault.field in own])

    return check


def faults_of(request: Message) -> list[FieldViolation]:
    """Everything that the contract's rules find in a message, but for fields that nothing acts on yet."""
    plain = plain_faults(request)
    if len(plain) >= VIOLATIONS_MAX:
        return plain
    found = _VALIDATOR.collect_violations(request)
    return plain + [_violation(request, violation) for violation in found]


def refuse(faults: Sequence[FieldViolation]) -> None:
    """Raises InvalidArgument with all faults, one of each field."""
    if faults:
        raise InvalidArgument.of(*_once(faults))


def plain_faults(request: Message) -> list[FieldViolation]:
    """Everything that is refused wherever it is: see above."""
    # What holds no byte 0 holds no such text: the walk over all texts is for few requests.
    texts = _texts(request, "") if b"\0" in request.SerializeToString() else iter(())
    bounded = _bounded(request, "") if reaches(request.DESCRIPTOR, _is_bounded) else iter(())
    return [*islice(texts, VIOLATIONS_MAX), *islice(bounded, VIOLATIONS_MAX)]


def unimplemented_fields(message: Descriptor) -> list[str]:
    """Names of a message's own fields that are in the contract and that nothing acts on yet."""
    return [field.name for field in message.fields if _is_unimplemented(field)]


def unimplemented_paths(message: Message, left_out: frozenset[str] = frozenset()) -> list[str]:
    """Paths of what a message sets and nothing acts on yet; what lies within its fields `left_out` is not looked at."""
    return (
        list(_unimplemented(message, "", left_out)) if reaches(message.DESCRIPTOR, _is_unimplemented) else []
    )


def _refuse_unimplemented(request: Message, items: frozenset[str] = frozenset()) -> None:
    if found := unimplemented_paths(request, items):
        raise NotImplementedYet.fields(*found[:VIOLATIONS_MAX])


def _unimplemented(message: Message, path: str, left_out: frozenset[str] = frozenset()) -> Iterator[str]:
    wanted = fields_to(message.DESCRIPTOR, _is_unimplemented) - left_out
    for field, value in message.ListFields():
        if _is_unimplemented(field):
            yield f"{path}{field.name}"
        elif field.name in wanted:
            for here, each in values_of(field, f"{path}{field.name}", value):
                if isinstance(each, Message):
                    yield from _unimplemented(each, f"{here}.")


def _texts(message: Message, path: str) -> Iterator[FieldViolation]:
    for field, value in message.ListFields():
        for here, each in values_of(field, f"{path}{field.name}", value):
            if isinstance(each, Message):
                yield from _texts(each, f"{here}.")
            elif isinstance(each, str) and "\0" in each:
                yield FieldViolation(here, "must not hold U+0000: take it out")


def _bounded(message: Message, path: str, depth: int = 1) -> Iterator[FieldViolation]:
    """Types that hold themselves all lead to enums, so that this walk finds what is nested too deep, too."""
    if depth > NESTED_MAX:
        yield FieldViolation(path.rstrip("."), f"is nested deeper than {NESTED_MAX} levels")
        return
    fields = fields_to(message.DESCRIPTOR, _is_bounded)
    for field, value in message.ListFields():
        if field.name in fields:
            find_fault = _fault_finder(field)
            for here, each in values_of(field, f"{path}{field.name}", value):
                if find_fault is not None:
                    if fault := find_fault(field, each):
                        yield FieldViolation(here, fault)
                elif isinstance(each, Message):
                    yield from _bounded(each, f"{here}.", depth + 1)


@cache
def _fault_finder(field: FieldDescriptor) -> Callable[[FieldDescriptor, Any], str] | None:
    """Says what is wrong with a value of the field, or nothing; None for fields whose values have no bounds of their
    own."""
    if field.enum_type is not None:
        return _enum_fault
    if field.message_type is not None:
        return {_TIME: _time_fault, _SPAN: _span_fault}.get(field.message_type.full_name)
    if field.cpp_type in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
        return _fraction_fault
    return None


def _enum_fault(field: FieldDescriptor, number: Any) -> str:
    known = field.enum_type is None or number in field.enum_type.values_by_number
    return "" if known else _one_of(field, number)


def _time_fault(_: FieldDescriptor, time: Any) -> str:
    return "" if is_time(time) else OUT_OF_RANGE


def _span_fault(_: FieldDescriptor, span: Any) -> str:
    return "" if is_span(span) else SPAN_OUT_OF_RANGE


def _fraction_fault(_: FieldDescriptor, number: float) -> str:
    return "" if math.isfinite(number) else "must be a number, neither infinite nor NaN"


def values_of(field: FieldDescriptor, path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Each single value of a field with its path; keys of maps stand for themselves."""
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        for key in value:
            yield f'{path}["{key}"]', key
            yield f'{path}["{key}"]', value[key]
    elif field.is_repeated:
        for index, each in enumerate(value):
            yield f"{path}[{index}]", each
    else:
        yield path, value


def _is_bounded(field: FieldDescriptor) -> bool:
    return _fault_finder(field) is not None


@cache
def _is_unimplemented(field: FieldDescriptor) -> bool:
    marked: bool = field.GetOptions().Extensions[options_pb2.unimplemented]
    return marked


@cache
def fields_to(message: Descriptor, wanted: Callable[[FieldDescriptor], bool]) -> frozenset[str]:
    """Names of the fields that are wanted or lead to one that is."""
    return frozenset(
        field.name
        for field in message.fields
        if wanted(field) or (field.message_type is not None and reaches(field.message_type, wanted))
    )


@cache
def reaches(message: Descriptor, wanted: Callable[[FieldDescriptor], bool]) -> bool:
    """Whether a message or one within it, however deep, has a wanted field; types may hold themselves."""
    reached, waiting = {message}, [message]
    while waiting:
        for field in waiting.pop().fields:
            if wanted(field):
                return True
            if field.message_type is not None and field.message_type not in reached:
                reached.add(field.message_type)
                waiting.append(field.message_type)
    return False


def _one_of(field: FieldDescriptor, number: object) -> str:
    values = field.enum_type.values if field.enum_type is not None else ()
    names = ", ".join(value.name for value in values if value.number)
    return f"has no value {number}: must be one of {names}"


def _violation(request: Message, violation: Violation) -> FieldViolation:
    elements = violation.proto.field.elements if violation.proto.field else ()
    path = ".".join(_step(element) for element in elements)
    rule = violation.proto.rule_id or ""
    said = _PLAIN.get(rule) or violation.proto.message or rule
    if rule == "string.pattern":
        said = _PATTERNS.get(said.partition("`")[2].rstrip("`"), said)
    elif rule == "string.min_len" and not violation.field_value:
        said = _PLAIN["string.uuid_empty"]
    elif rule == "enum.in":
        said = f"must be one of {', '.join(_names(request, elements, violation.rule_value))}"
    return FieldViolation(path, _DAYS.sub(_days, said) if rule.startswith("duration.") else said)


def _names(request: Message, elements: Sequence[Any], numbers: Sequence[int]) -> Iterator[str]:
    """Of the values of an enum that a field of the request, however deep, may have."""
    *within, last = (element.field_name for element in elements)
    message: Any = request.DESCRIPTOR
    for name in within:
        message = message.fields_by_name[name].message_type
    enum = message.fields_by_name[last].enum_type
    return (enum.values_by_number[number].name for number in numbers)


def _days(seconds: re.Match[str]) -> str:
    """Spans of whole days, which the library says in seconds."""
    days, rest = divmod(int(seconds[1]), 86_400)
    return seconds[0] if rest else f"{days:,} days"


def _step(element: Any) -> str:
    subscript = element.subscript
    if subscript is None:
        return str(element.field_name)
    value = f'"{subscript.value}"' if isinstance(subscript.value, str) else subscript.value
    return f"{element.field_name}[{value}]"


def _once(faults: Sequence[FieldViolation]) -> list[FieldViolation]:
    """The first of each field, as many as an answer has room for."""
    seen: dict[str, FieldViolation] = {}
    for fault in faults:
        seen.setdefault(fault.field, fault)
    return list(seen.values())[:VIOLATIONS_MAX]
