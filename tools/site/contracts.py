"""A page for each public package of the contracts, made of their descriptors and comments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    MethodOptions,
    ServiceDescriptorProto,
)

from libs.common.rpc.reflection import DESCRIBED
from omnijourney.common.v1 import options_pb2
from omnijourney.common.v1.scope_pb2 import Scope

_MESSAGES, _ENUMS, _SERVICES, _SYNTAX = 4, 5, 6, 12
_FIELDS, _NESTED, _OWN_ENUMS, _METHODS, _VALUES = 2, 3, 4, 2, 2
"""Numbers of the lists in descriptors, which paths of comments are made of."""
_INTERNAL: Final = "omnijourney.internal."
_OURS: Final = "omnijourney."
_REPEATABLE: Final = {
    MethodOptions.NO_SIDE_EFFECTS: "changes nothing",
    MethodOptions.IDEMPOTENT: "may be repeated",
}


@dataclass
class _Found:
    """What the files of a package hold, with comments."""

    about: list[str] = field(default_factory=list)
    services: list[tuple[ServiceDescriptorProto, str, list[str]]] = field(default_factory=list)
    messages: list[tuple[str, DescriptorProto, str, list[str]]] = field(default_factory=list)
    enums: list[tuple[str, EnumDescriptorProto, str, list[str]]] = field(default_factory=list)


def pages() -> dict[str, str]:
    """The pages by the names of their files, and `README.md` over them."""
    files = FileDescriptorSet.FromString(DESCRIBED.read_bytes()).file
    packages: dict[str, _Found] = {}
    for file in files:
        if file.package.startswith(_OURS) and not file.package.startswith(_INTERNAL):
            _read(file, packages.setdefault(file.package, _Found()))
    written = {f"{package}.md": "\n".join(_page(package, found)) for package, found in packages.items()}
    index = ["# Contracts, message by message", "", "Written from the comments in `protos/`.", ""]
    index += [f"- [{name.removesuffix('.md')}]({name})" for name in sorted(written)]
    return {"README.md": "\n".join(index) + "\n", **written}


def _read(file: FileDescriptorProto, found: _Found) -> None:
    said = {tuple(place.path): place.leading_comments.strip() for place in file.source_code_info.location}
    if (about := said.get((_SYNTAX,), "")) and file.service:
        found.about.append(about)
    for index, service in enumerate(file.service):
        path = (_SERVICES, index)
        methods = [said.get((*path, _METHODS, place), "") for place in range(len(service.method))]
        found.services.append((service, said.get(path, ""), methods))
    for index, message in enumerate(file.message_type):
        _read_message(found, message.name, message, (_MESSAGES, index), said)
    for index, enum in enumerate(file.enum_type):
        _read_enum(found, enum.name, enum, (_ENUMS, index), said)


def _read_message(
    found: _Found,
    name: str,
    message: DescriptorProto,
    path: tuple[int, ...],
    said: dict[tuple[int, ...], str],
) -> None:
    if message.options.map_entry:
        return
    fields = [said.get((*path, _FIELDS, place), "") for place in range(len(message.field))]
    found.messages.append((name, message, said.get(path, ""), fields))
    for index, nested in enumerate(message.nested_type):
        _read_message(found, f"{name}.{nested.name}", nested, (*path, _NESTED, index), said)
    for index, enum in enumerate(message.enum_type):
        _read_enum(found, f"{name}.{enum.name}", enum, (*path, _OWN_ENUMS, index), said)


def _read_enum(
    found: _Found,
    name: str,
    enum: EnumDescriptorProto,
    path: tuple[int, ...],
    said: dict[tuple[int, ...], str],
) -> None:
    values = [said.get((*path, _VALUES, place), "") for place in range(len(enum.value))]
    found.enums.append((name, enum, said.get(path, ""), values))


# ---------------------------------------------------------------- as text
def _page(package: str, found: _Found) -> Iterator[str]:
    yield f"# {package}\n"
    yield from (_prose(about) + "\n" for about in found.about)
    for service, about, methods in found.services:
        yield f"## {service.name} {{ #{_anchor(package, service.name)} }}\n\n{_prose(about)}\n"
        for method, said in zip(service.method, methods, strict=True):
            yield from _method(package, service.name, method, said)
    for heading, entries in (("Messages", sorted(found.messages, key=_name)), ("Enums", [])):
        if entries:
            yield f"## {heading}\n"
        for name, message, about, fields in entries:
            yield f"### {name} {{ #{_anchor(package, name)} }}\n\n{_prose(about)}\n"
            yield from _table(
                ("field", "type", ""),
                (
                    (f"`{each.name}`", _type(each, message), _cell(said))
                    for each, said in zip(message.field, fields, strict=True)
                ),
            )
    if found.enums:
        yield "## Enums\n"
    for name, enum, about, values in sorted(found.enums, key=_name):
        yield f"### {name} {{ #{_anchor(package, name)} }}\n\n{_prose(about)}\n"
        yield from _table(
            ("value", "number", ""),
            (
                (f"`{each.name}`", str(each.number), _cell(said))
                for each, said in zip(enum.value, values, strict=True)
            ),
        )


def _name(entry: tuple[str, object, object, object]) -> str:
    return entry[0]


def _method(package: str, service: str, method: MethodDescriptorProto, said: str) -> Iterator[str]:
    yield f"### {method.name} {{ #{_anchor(package, f'{service}.{method.name}')} }}\n"
    options = MethodOptions.FromString(method.options.SerializeToString())
    remarks = [f"scope `{Scope.Name(options.Extensions[options_pb2.scope])}`"]
    remarks += [_REPEATABLE[options.idempotency_level]] if options.idempotency_level in _REPEATABLE else []
    stream = "stream of " if method.server_streaming else ""
    yield f"{_link(method.input_type)} → {stream}{_link(method.output_type)}; {', '.join(remarks)}\n\n{_prose(said)}\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if lines:
        yield "\n".join((f"| {' | '.join(head)} |", "|---" * len(head) + "|", *lines)) + "\n"


def _type(each: FieldDescriptorProto, message: DescriptorProto) -> str:
    for nested in message.nested_type:
        if nested.options.map_entry and each.type_name.endswith(f".{message.name}.{nested.name}"):
            key, value = nested.field
            return f"map of {_plain(key)} to {_plain(value)}"
    many = "repeated " if each.label == FieldDescriptorProto.LABEL_REPEATED else ""
    optional = "optional " if each.proto3_optional else ""
    return f"{many}{optional}{_plain(each)}"


def _plain(each: FieldDescriptorProto) -> str:
    if each.type_name:
        return _link(each.type_name)
    return f"`{FieldDescriptorProto.Type.Name(each.type).removeprefix('TYPE_').lower()}`"


def _link(type_name: str) -> str:
    full = type_name.removeprefix(".")
    found = re.match(r"(omnijourney\.\w+\.v\d+)\.(.+)", full)
    if found is None or full.startswith(_INTERNAL):
        return f"`{full}`"
    return f"[{found[2]}]({found[1]}.md#{_anchor(found[1], found[2])})"


def _anchor(package: str, name: str) -> str:
    return f"{package.removeprefix(_OURS)}.{name}"


def _prose(text: str) -> str:
    """A comment as a paragraph; what looks like markup in it is text."""
    lines = [line.strip() for line in text.splitlines()]
    return re.sub(r"(?<!`)<(?=\w)", "&lt;", "\n".join(lines))


def _cell(text: str) -> str:
    return _prose(" ".join(text.split())).replace("|", "\\|")
