"""The conventions of the contracts: each rule finds what breaks it, and the contracts keep them."""

import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    EnumValueDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    MethodOptions,
    ServiceDescriptorProto,
)

from tools.contracts import baseline, conventions

PACKAGE = "omnijourney.points.v1"
READS, WRITES = MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT
TEXT, BYTES, NUMBER = (
    FieldDescriptorProto.TYPE_STRING,
    FieldDescriptorProto.TYPE_BYTES,
    FieldDescriptorProto.TYPE_INT32,
)


def _field(name: str, kind: "FieldDescriptorProto.Type.ValueType" = TEXT) -> FieldDescriptorProto:
    return FieldDescriptorProto(name=name, type=kind)


def _of(name: str, type_name: str, *, many: bool = False) -> FieldDescriptorProto:
    label = FieldDescriptorProto.LABEL_REPEATED if many else FieldDescriptorProto.LABEL_OPTIONAL
    return FieldDescriptorProto(
        name=name, type=FieldDescriptorProto.TYPE_MESSAGE, type_name=type_name, label=label
    )


def _time(name: str) -> FieldDescriptorProto:
    return _of(name, ".google.protobuf.Timestamp")


def _message(name: str, *fields: FieldDescriptorProto) -> DescriptorProto:
    return DescriptorProto(name=name, field=fields)


def _enum(name: str, *values: str) -> EnumDescriptorProto:
    return EnumDescriptorProto(
        name=name,
        value=[EnumValueDescriptorProto(name=value, number=number) for number, value in enumerate(values)],
    )


def _rpc(
    name: str,
    asked: list[FieldDescriptorProto],
    answered: list[FieldDescriptorProto],
    level: "MethodOptions.IdempotencyLevel.ValueType" = READS,
) -> FileDescriptorProto:
    """A file with one RPC of these fields."""
    method = MethodDescriptorProto(
        name=name,
        input_type=f".{PACKAGE}.{name}Request",
        output_type=f".{PACKAGE}.{name}Response",
        options=MethodOptions(idempotency_level=level),
    )
    return FileDescriptorProto(
        package=PACKAGE,
        message_type=[_message(f"{name}Request", *asked), _message(f"{name}Response", *answered)],
        service=[ServiceDescriptorProto(name="S", method=[method])],
    )


def _faults(file: FileDescriptorProto) -> list[str]:
    file.package = file.package or PACKAGE
    return list(conventions.faults(FileDescriptorSet(file=[file])))


TEAM, REQUEST = _field("team_id"), _field("request_id")


@pytest.mark.parametrize(
    ("rule", "file"),
    [
        ("own-id", FileDescriptorProto(message_type=[_message("Coupon", _field("id"))])),
        ("team-id", _rpc("GetThing", [_field("thing_id")], [])),
        ("request-id", _rpc("PayThing", [TEAM], [], WRITES)),
        ("request-id", _rpc("ReadThing", [TEAM, REQUEST], [])),
        (
            "idempotency-level",
            _rpc("PayThing", [TEAM, REQUEST], [], MethodOptions.IDEMPOTENCY_UNKNOWN),
        ),
        ("update-fields", _rpc("UpdateThing", [TEAM, REQUEST, _field("etag")], [], WRITES)),
        ("time-name", FileDescriptorProto(message_type=[_message("Thing", _time("occurred_at"))])),
        ("time-name", FileDescriptorProto(message_type=[_message("Thing", _field("end_time"))])),
        ("reason-enum", FileDescriptorProto(message_type=[_message("Result", _field("reason"))])),
        ("page-fields", _rpc("ListThings", [TEAM, _field("page_size", NUMBER)], [])),
        ("enum-prefix", FileDescriptorProto(enum_type=[_enum("Kind", "KIND_UNSPECIFIED", "BLUE")])),
        ("enum-prefix", FileDescriptorProto(enum_type=[_enum("Kind", "KIND_BLUE")])),
        ("no-private-bytes", FileDescriptorProto(message_type=[_message("Page", _field("mails", BYTES))])),
        (
            "long-work",
            FileDescriptorProto(enum_type=[_enum("JobState", "JOB_STATE_UNSPECIFIED", "JOB_STATE_RUNNING")]),
        ),
        ("public-only", FileDescriptorProto(dependency=["omnijourney/internal/v1/mail_service.proto"])),
    ],
)
def test_a_contract_that_breaks_one_rule_is_told_which(rule: str, file: FileDescriptorProto) -> None:
    assert {fault.split(":")[0] for fault in _faults(file)} == {rule}


def test_a_resource_that_can_be_read_has_its_noun_for_an_id() -> None:
    file = _rpc("GetCoupon", [TEAM, _field("coupon_id")], [_of("coupon", f".{PACKAGE}.Coupon")])
    file.message_type.append(_message("Coupon", _field("code"), _time("create_time")))
    assert _faults(file) == [f"own-id: {PACKAGE}.Coupon has no coupon_id"]


def test_items_of_a_batch_may_carry_team_and_key() -> None:
    file = _rpc("RecordEvents", [_of("events", f".{PACKAGE}.Event", many=True)], [], WRITES)
    file.message_type.append(_message("Event", TEAM, _field("event_key")))
    assert _faults(file) == []


def test_internal_packages_are_free() -> None:
    file = _rpc("ListMail", [_field("id")], [_field("mails", BYTES)])
    file.package = "omnijourney.internal.v1"
    assert _faults(file) == []


@pytest.mark.rule("X-01c")
def test_the_contracts_keep_the_conventions() -> None:
    assert conventions.check(baseline.image()) == []


def test_an_exception_that_nothing_needs_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conventions, "EXCEPTIONS", {"own-id: x.Coupon.id": "there was one"})
    image = FileDescriptorSet(file=[_rpc("GetThing", [TEAM], [])])
    assert conventions.check(image) == ["not broken any more, drop the exception: own-id: x.Coupon.id"]
