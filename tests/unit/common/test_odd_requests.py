"""Odd values in any field of any request: each is refused by its path before a handler sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from libs.common.errors import InvalidArgument
from libs.common.rpc.validation import check_of, plain_faults
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.points.v1 import points_service_pb2 as points
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.stats.v1 import stats_service_pb2 as stats

SERVICES: Final = (gateway, journey, points, segment, stats)
DEPTH_MAX: Final = 5
"""Types that hold themselves are followed so far."""
Setter = Callable[[Any], None]

_WELL_KNOWN: Final = {
    "google.protobuf.Timestamp": {"seconds": -62_135_596_800},
    "google.protobuf.Duration": {"seconds": 2**63 - 1, "nanos": -(2**31)},
}


def _odd(field: FieldDescriptor) -> Any:
    """A value that no field of the type may have; None where all are allowed or the contract says which."""
    if field.enum_type is not None:
        return 999
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING and field.type == FieldDescriptor.TYPE_STRING:
        return "a\0b"
    if field.cpp_type in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
        return float("nan")
    if field.message_type is not None:
        return _WELL_KNOWN.get(field.message_type.full_name)
    return None


def leaves(form: Descriptor, depth: int = 1) -> Iterator[tuple[str, Setter]]:
    """The path of each field that can be odd, and what makes it so."""
    for field in form.fields:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        odd = _odd(field)
        if odd is not None:
            yield _path(field), _setter(field, odd)
        elif field.message_type is not None and depth < DEPTH_MAX:
            for path, inner in leaves(field.message_type, depth + 1):
                yield f"{_path(field)}.{path}", _within(field, inner)


def _path(field: FieldDescriptor) -> str:
    return f"{field.name}[0]" if field.is_repeated else field.name


def _setter(field: FieldDescriptor, odd: Any) -> Setter:
    def apply(message: Any) -> None:
        if field.message_type is not None:
            place = getattr(message, field.name)
            (place.add() if field.is_repeated else place).MergeFrom(
                GetMessageClass(field.message_type)(**odd)
            )
        elif field.is_repeated:
            getattr(message, field.name).append(odd)
        else:
            setattr(message, field.name, odd)

    return apply


def _within(field: FieldDescriptor, inner: Setter) -> Setter:
    def apply(message: Any) -> None:
        place = getattr(message, field.name)
        inner(place.add() if field.is_repeated else place)

    return apply


def _requests() -> list[Descriptor]:
    return [
        method.input_type
        for module in SERVICES
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]


@pytest.mark.rule("X-01d")
@pytest.mark.parametrize("form", _requests(), ids=lambda form: form.name)
def test_every_field_of_every_request_is_held_to_what_can_be_kept(form: Descriptor) -> None:
    for path, make_odd in leaves(form):
        request: Message = GetMessageClass(form)()
        make_odd(request)
        assert [fault.field for fault in plain_faults(request)] == [path]


ODD_CALLS: Final[dict[str, tuple[str, dict[str, Any], str]]] = {
    "an unknown channel": (
        "channel_gateway/ListChannelAccounts",
        {"channel": 999},
        "channel",
    ),
    "a negative channel": (
        "channel_gateway/ListChannelAccounts",
        {"channel": -1},
        "channel",
    ),
    "a state that no column holds": (
        "channel_gateway/ListDeliveries",
        {"state": 2**31 - 1},
        "state",
    ),
    "the same of webhooks": (
        "channel_gateway/ListInboxRecords",
        {"state": 2**31 - 1},
        "state",
    ),
    "an unknown status": ("journey/ListJourneys", {"statuses": [999]}, "statuses[0]"),
    "an unknown state": ("journey/ListEnrolments", {"states": [999]}, "states[0]"),
    "a worker with U+0000": (
        "journey/ResumeWorker",
        {"worker_id": "\0"},
        "worker_id",
    ),
    "a request id with U+0000": (
        "channel_gateway/RetryInboxRecord",
        {"request_id": "a\0"},
        "request_id",
    ),
    "an attribute with U+0000": (
        "segment/RestoreAttribute",
        {"key": "a\0b"},
        "key",
    ),
    "a page of less than none": (
        "journey/ListJourneys",
        {"page_size": -1},
        "page_size",
    ),
    "a page of a year that is none": (
        "stats/GetJourneySeries",
        {"start_time": {"seconds": -(2**63)}},
        "start_time",
    ),
}


@pytest.mark.parametrize("odd", ODD_CALLS)
def test_calls_that_once_were_internal_errors_name_their_field(odd: str) -> None:
    call, fields, field = ODD_CALLS[odd]
    package, name = call.split("/")
    service = next(
        found
        for found in descriptor_pool.Default()
        .FindFileByName(f"omnijourney/{package}/v1/{package}_service.proto")
        .services_by_name.values()
    )
    request = GetMessageClass(service.methods_by_name[name].input_type)(**fields)
    check = check_of(f"{service.full_name}/{name}")
    assert check is not None
    with pytest.raises(InvalidArgument) as caught:
        check(request)
    assert field in {violation.field for violation in caught.value.violations}
