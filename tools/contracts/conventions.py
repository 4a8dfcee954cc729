"""The conventions of ``docs/contracts.md`` that a program can check, over the descriptors of all contracts.

`faults` names each place that breaks a rule. What is meant to stands in `EXCEPTIONS` with the reason; an entry that
nothing needs any more is a fault itself.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    MethodOptions,
)

PUBLIC: Final = re.compile(r"^omnijourney\.(common|journey|points|channel_gateway|segment|stats)\.v1$")
_INTERNAL: Final = "omnijourney/internal/"

_BYTES: Final = re.compile(r"^(csv|body|hash|.*_sha256|.*_digests?)$")
"""What may travel as bytes in public: files as people have them, bodies as they came in, digests."""
_REASONS: Final = re.compile(r"^(reason|error_reason|cause|fault|error)$")
_KEYS: Final = frozenset({"request_id", "event_key", "effect_key"})
"""What makes one item of a batch safe to repeat."""

EXCEPTIONS: Final[dict[str, str]] = {
    "long-work: omnijourney.points.v1.ImportState": "an import's life, from open to undone; its work is an Operation",
    "request-id: omnijourney.common.v1.InstallationService.SetClock": "the version that is expected does the same",
    "own-id: omnijourney.channel_gateway.v1.Delivery has no delivery_id": "the effect's key names it, at journey too",
    "own-id: omnijourney.channel_gateway.v1.TrackedLink has no tracked_link_id": "the token in its address names it",
    "own-id: omnijourney.points.v1.EarningFormula has no earning_formula_id": "a team has one",
    "own-id: omnijourney.segment.v1.Attribute has no attribute_id": "people choose its key, and expressions name it",
    "team-id: omnijourney.common.v1.InstallationService.GetClock": "operators: the installation's",
    "team-id: omnijourney.common.v1.InstallationService.GetLag": "operators: the installation's",
    "team-id: omnijourney.common.v1.InstallationService.SetClock": "operators: the installation's",
    "team-id: omnijourney.journey.v1.JourneyService.ListPartitions": "operators: the installation's",
    "team-id: omnijourney.journey.v1.JourneyService.DrainWorker": "operators: the installation's",
    "team-id: omnijourney.journey.v1.JourneyService.ResumeWorker": "operators: the installation's",
    "team-id: omnijourney.stats.v1.StatsService.ListProjectionStates": "operators: the installation's",
    "team-id: omnijourney.stats.v1.StatsService.ListRowsSetAside": "operators: the installation's",
    "team-id: omnijourney.stats.v1.StatsService.RetryRowsSetAside": "operators: the installation's",
    "team-id: omnijourney.points.v1.PointsService.ListRowsSetAside": "operators: the installation's",
    "team-id: omnijourney.points.v1.PointsService.RetryRowsSetAside": "operators: the installation's",
    "team-id: omnijourney.channel_gateway.v1.ChannelGatewayService.ListSecretKeys": "operators: the installation's",
    "team-id: omnijourney.channel_gateway.v1.ChannelGatewayService.RotateSecrets": "operators: the installation's",
    "page-fields: omnijourney.channel_gateway.v1.ChannelGatewayService.ListSecretKeys": "16 at most",
    "team-id: omnijourney.segment.v1.SegmentService.ListTeams": "operators: all teams",
    "team-id: omnijourney.segment.v1.SegmentService.CreateTeam": "the team is what is made",
    "request-id: omnijourney.points.v1.PointsService.CheckLedger": "moves a bookmark of its own forward, nothing else",
    "page-fields: omnijourney.channel_gateway.v1.ChannelGatewayService.ListMessagePrices": "one for each channel",
    "page-fields: omnijourney.journey.v1.JourneyService.ListPartitions": "64 of them, with their workers",
    "page-fields: omnijourney.points.v1.PointsService.ListDailyStatements": "one for each day of a bounded range",
    "page-fields: omnijourney.stats.v1.StatsService.ListNodeFigures": "at most 200 nodes",
    "page-fields: omnijourney.stats.v1.StatsService.ListMessageFigures": "bounded by nodes and steps",
    "page-fields: omnijourney.stats.v1.StatsService.ListProjectionStates": "one for each of four histories",
    "time-name: omnijourney.segment.v1.TimeBound.instant": "one of two forms of a bound, not when something happened",
    "time-name: omnijourney.common.v1.GetClockResponse.now": "the clock itself",
}
"""Place that breaks a rule (``rule: full name``) to why it is meant to."""

Types = dict[str, DescriptorProto]
Rule = Callable[[FileDescriptorProto, Types], Iterator[str]]


def check(image: FileDescriptorSet) -> list[str]:
    """Faults that no exception covers, and exceptions that cover no fault; empty if all is well."""
    found = dict.fromkeys(faults(image))
    broken = [fault for fault in found if fault not in EXCEPTIONS]
    needless = [
        f"not broken any more, drop the exception: {name}" for name in EXCEPTIONS if name not in found
    ]
    return broken + needless


def faults(image: FileDescriptorSet) -> Iterator[str]:
    """Each place of a public package that breaks a rule, as ``rule: full name``."""
    types = {
        name: message for file in image.file for name, message in _messages(file.message_type, file.package)
    }
    for file in image.file:
        if PUBLIC.match(file.package):
            for name, rule in RULES.items():
                yield from (f"{name}: {place}" for place in rule(file, types))


def _messages(messages: Iterable[DescriptorProto], scope: str) -> Iterator[tuple[str, DescriptorProto]]:
    """All messages with full names; the entries of maps are none."""
    for message in messages:
        if not message.options.map_entry:
            yield f"{scope}.{message.name}", message
            yield from _messages(message.nested_type, f"{scope}.{message.name}")


def _fields(file: FileDescriptorProto) -> Iterator[tuple[str, FieldDescriptorProto]]:
    for name, message in _messages(file.message_type, file.package):
        yield from ((f"{name}.{field.name}", field) for field in message.field)


def _enums(file: FileDescriptorProto) -> Iterator[tuple[str, EnumDescriptorProto]]:
    yield from ((f"{file.package}.{enum.name}", enum) for enum in file.enum_type)
    for name, message in _messages(file.message_type, file.package):
        yield from ((f"{name}.{enum.name}", enum) for enum in message.enum_type)


def _methods(file: FileDescriptorProto) -> Iterator[tuple[str, MethodDescriptorProto]]:
    for service in file.service:
        yield from ((f"{file.package}.{service.name}.{method.name}", method) for method in service.method)


def _input(method: MethodDescriptorProto, types: Types) -> DescriptorProto:
    return types[method.input_type.removeprefix(".")]


def _output(method: MethodDescriptorProto, types: Types) -> DescriptorProto:
    return types[method.output_type.removeprefix(".")]


def _names(message: DescriptorProto) -> set[str]:
    return {field.name for field in message.field}


def _is_list(field: FieldDescriptorProto) -> bool:
    return field.label == FieldDescriptorProto.LABEL_REPEATED


def _items(message: DescriptorProto, types: Types) -> Iterator[DescriptorProto]:
    """The types of the lists that a message holds."""
    for field in message.field:
        if _is_list(field) and field.type_name.removeprefix(".") in types:
            yield types[field.type_name.removeprefix(".")]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _own_id(file: FileDescriptorProto, types: Types) -> Iterator[str]:
    """A resource has `<noun>_id`; no field is just `id`."""
    yield from (place for place, field in _fields(file) if field.name == "id")
    for place, method in _methods(file):
        noun = re.sub(r"^(Create|Get)", "", method.name)
        resource = types.get(f"{file.package}.{noun}")
        if noun != method.name and resource is not None and "create_time" in _names(resource):
            wanted = f"{_snake(noun)}_id"
            if wanted not in _names(resource):
                yield f"{file.package}.{noun} has no {wanted}"
            elif method.name.startswith("Get") and wanted not in _names(_input(method, types)):
                yield f"{place} has no {wanted}"


def _team(file: FileDescriptorProto, types: Types) -> Iterator[str]:
    """A request names its team, or each of its items does."""
    for place, method in _methods(file):
        request = _input(method, types)
        items = list(_items(request, types))
        in_items = bool(items) and any("team_id" in _names(item) for item in items)
        if "team_id" not in _names(request) and not in_items:
            yield place


def _write(file: FileDescriptorProto, types: Types) -> Iterator[str]:
    """A write has a request id, or each of its items a key of its own; a read has none."""
    for place, method in _methods(file):
        request = _input(method, types)
        has_key = "request_id" in _names(request) or any(
            _KEYS & _names(item) for item in _items(request, types)
        )
        reads = method.options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS
        if has_key == reads:
            yield place


def _level(file: FileDescriptorProto, _: Types) -> Iterator[str]:
    """An RPC says whether it may be repeated."""
    unknown = MethodOptions.IDEMPOTENCY_UNKNOWN
    yield from (place for place, method in _methods(file) if method.options.idempotency_level == unknown)


def _update(file: FileDescriptorProto, types: Types) -> Iterator[str]:
    """An update carries the team, the request id, the resource, the mask and the etag."""
    for place, method in _methods(file):
        if method.name.startswith("Update"):
            missing = {"request_id", "update_mask", "etag"} - _names(_input(method, types))
            if missing:
                yield f"{place} has no {', '.join(sorted(missing))}"


def _time(file: FileDescriptorProto, _: Types) -> Iterator[str]:
    """A time is `<verb>_time`, and nothing else is."""
    for place, field in _fields(file):
        is_time = field.type_name == ".google.protobuf.Timestamp"
        if is_time != field.name.endswith("_time") or field.name.endswith("_at"):
            yield place


def _reason(file: FileDescriptorProto, _: Types) -> Iterator[str]:
    """A reason is an enum, never a text."""
    for place, field in _fields(file):
        if field.type == FieldDescriptorProto.TYPE_STRING and _REASONS.match(field.name):
            yield place


def _page(file: FileDescriptorProto, types: Types) -> Iterator[str]:
    """A listing has pages: size and token asked for, the next token and one list answered."""
    for place, method in _methods(file):
        if method.name.startswith("List"):
            answer = _output(method, types)
            asks = {"page_size", "page_token"} <= _names(_input(method, types))
            one_list = sum(map(_is_list, answer.field)) == 1
            if not (asks and one_list and "next_page_token" in _names(answer)):
                yield place


def _prefix(file: FileDescriptorProto, _: Types) -> Iterator[str]:
    """Values of an enum begin with the full name of the type; 0 is UNSPECIFIED."""
    for place, enum in _enums(file):
        prefix = "_".join(_snake(part) for part in place.removeprefix(f"{file.package}.").split(".")).upper()
        values = {value.number: value.name for value in enum.value}
        if values.get(0) != f"{prefix}_UNSPECIFIED" or not all(
            name.startswith(f"{prefix}_") for name in values.values()
        ):
            yield place


def _bytes(file: FileDescriptorProto, _: Types) -> Iterator[str]:
    """No private format travels in public."""
    for place, field in _fields(file):
        if field.type == FieldDescriptorProto.TYPE_BYTES and not _BYTES.match(field.name):
            yield place


def _long_work(file: FileDescriptorProto, _: Types) -> Iterator[str]:
    """Work that outlives its call is an Operation: no other type has a state of running."""
    for place, enum in _enums(file):
        if file.package != "omnijourney.common.v1" and any(v.name.endswith("_RUNNING") for v in enum.value):
            yield place


def _public_only(file: FileDescriptorProto, _: Types) -> Iterator[str]:
    """What callers rely on does not rest on what only our services say to each other."""
    yield from (f"{file.name} imports {name}" for name in file.dependency if name.startswith(_INTERNAL))


RULES: Final[dict[str, Rule]] = {
    "own-id": _own_id,
    "team-id": _team,
    "request-id": _write,
    "idempotency-level": _level,
    "update-fields": _update,
    "time-name": _time,
    "reason-enum": _reason,
    "page-fields": _page,
    "enum-prefix": _prefix,
    "no-private-bytes": _bytes,
    "long-work": _long_work,
    "public-only": _public_only,
}
