"""What the contracts say of their messages and fields: the comments in `protos/`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet

from libs.common.rpc.reflection import DESCRIBED

_MESSAGES, _NESTED, _FIELDS = 4, 3, 2
"""Numbers of the lists in FileDescriptorProto and DescriptorProto, which paths of comments are made of."""


@lru_cache(maxsize=1)
def comments() -> Mapping[str, str]:
    """The comment of each of our messages and fields that has one, by full name, as one line."""
    files = FileDescriptorSet.FromString(DESCRIBED.read_bytes()).file
    return {name: text for file in files for name, text in _of_file(file)}


def _of_file(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    leading = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
    for name, path in _places(file.package, file.message_type, (_MESSAGES,)):
        if text := leading.get(path, ""):
            yield name, " ".join(text.split())


def _places(
    scope: str, messages: Iterable[DescriptorProto], path: tuple[int, ...]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Full name and path of each message and field."""
    for index, message in enumerate(messages):
        name, here = f"{scope}.{message.name}", (*path, index)
        yield name, here
        for place, field in enumerate(message.field):
            yield f"{name}.{field.name}", (*here, _FIELDS, place)
        yield from _places(name, message.nested_type, (*here, _NESTED))
