"""The baseline that ``buf breaking`` compares with: the contracts that callers may rely on.

It holds the implemented RPCs and the types that they reach, and all of ``common.v1``. What only an RPC
without an implementation reaches is left out, and may therefore change freely.
"""

import subprocess
from collections.abc import Iterable, Iterator
from typing import Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

from tools.contracts import generate
from tools.paths import PROTOS, ROOT

BASELINE: Final = PROTOS / "baseline.binpb"
_CHANGELOG: Final = ROOT / "CHANGELOG.md"
_ALL_KEPT: Final = "omnijourney.common.v1"


class BaselineError(Exception):
    """The baseline may not move, with the reason."""


def write(missing: set[str]) -> int:
    """Moves the baseline to the present protos and returns the number of RPCs in it.

    ``missing``: full names of the RPCs without an implementation. Raises BaselineError when the change log
    has not changed since the baseline last moved.
    """
    if not _change_is_logged():
        raise BaselineError("say in CHANGELOG.md what changes for callers, then move the baseline")
    kept = prune(image(), missing)
    BASELINE.write_bytes(kept.SerializeToString(deterministic=True))
    return len(list(rpcs(kept)))


def unguarded(implemented: Iterable[str]) -> list[str]:
    """The implemented RPCs that the baseline does not hold yet."""
    held = FileDescriptorSet.FromString(BASELINE.read_bytes()) if BASELINE.exists() else FileDescriptorSet()
    return sorted(set(implemented) - set(rpcs(held)))


def rpcs(image: FileDescriptorSet) -> Iterator[str]:
    """Full names of all RPCs of an image."""
    for file in image.file:
        for service in file.service:
            for method in service.method:
                yield f"{file.package}.{service.name}.{method.name}"


def prune(image: FileDescriptorSet, missing: set[str]) -> FileDescriptorSet:
    """A copy of the image without the missing RPCs and without the types that only they reach."""
    kept = FileDescriptorSet()
    kept.CopyFrom(image)
    for file in kept.file:
        services = [_without(service, f"{file.package}.{service.name}", missing) for service in file.service]
        del file.service[:]
        file.service.extend(service for service in services if service.method)
    reached = _reached(kept)
    for file in kept.file:
        messages = [message for message in file.message_type if f"{file.package}.{message.name}" in reached]
        enums = [enum for enum in file.enum_type if f"{file.package}.{enum.name}" in reached]
        del file.message_type[:]
        del file.enum_type[:]
        file.message_type.extend(messages)
        file.enum_type.extend(enums)
    return _without_empty_files(kept)


def _without(service: ServiceDescriptorProto, name: str, missing: set[str]) -> ServiceDescriptorProto:
    copy = ServiceDescriptorProto()
    copy.CopyFrom(service)
    del copy.method[:]
    copy.method.extend(method for method in service.method if f"{name}.{method.name}" not in missing)
    return copy


def _reached(image: FileDescriptorSet) -> set[str]:
    """Full names of the top-level types that the image's RPCs, and the shared package, lead to."""
    top_level: dict[str, DescriptorProto | None] = {}
    waiting: list[str] = []
    for file in image.file:
        for message in file.message_type:
            top_level[f"{file.package}.{message.name}"] = message
        for enum in file.enum_type:
            top_level[f"{file.package}.{enum.name}"] = None
        waiting += [name for name in top_level if name.startswith(f"{_ALL_KEPT}.")]
        for service in file.service:
            waiting += [
                name.removeprefix(".")
                for method in service.method
                for name in (method.input_type, method.output_type)
            ]
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        message_or_enum = top_level.get(name)
        if message_or_enum is not None:
            waiting += [_outermost(used, top_level) for used in _used_types(message_or_enum)]
    return reached


def _used_types(message: DescriptorProto) -> Iterator[str]:
    """Full names of the types of all fields, nested messages' included."""
    for field in message.field:
        if field.type_name:
            yield field.type_name.removeprefix(".")
    for nested in message.nested_type:
        yield from _used_types(nested)


def _outermost(name: str, top_level: dict[str, DescriptorProto | None]) -> str:
    """The top-level type that a (possibly nested) type belongs to."""
    while name not in top_level and "." in name:
        name = name.rpartition(".")[0]
    return name


def _without_empty_files(image: FileDescriptorSet) -> FileDescriptorSet:
    files = [file for file in image.file if file.message_type or file.enum_type or file.service]
    names = {file.name for file in files}
    for file in files:
        _drop_dependencies(file, names)
    return FileDescriptorSet(file=files)


def _drop_dependencies(file: FileDescriptorProto, present: set[str]) -> None:
    kept = [name for name in file.dependency if name in present]
    del file.dependency[:]
    file.dependency.extend(kept)


def image() -> FileDescriptorSet:
    """All contracts, without comments. Raises ProtocError."""
    bare = FileDescriptorSet()
    bare.CopyFrom(generate.image())
    for file in bare.file:
        file.ClearField("source_code_info")
    return bare


def _change_is_logged() -> bool:
    """The change log differs from what it was when the baseline last moved (a first baseline needs none)."""
    moved = _git("log", "-1", "--format=%H", "--", str(BASELINE)).stdout.strip()
    return not moved or _git("diff", "--quiet", moved, "--", str(_CHANGELOG)).returncode != 0


def _git(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
