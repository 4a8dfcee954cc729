"""Definitions as texts that people write and keep, and back. Pure.

A text has the fields of the contract (`journey.v1.Definition`) by their names, in the order of their numbers, what is
not set left out. Accounts, bot modules and templates, whose ids differ from team to team, go by their names, under the
field's name without `_id`, wherever a name leads to one thing only; their ids are taken as well.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from libs.common.errors import FieldViolation, InvalidArgument
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.validation import faults_of, unimplemented_fields
from omnijourney.common.v1 import channel_pb2
from omnijourney.journey.v1 import journey_pb2, node_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb
from omnijourney.segment.v1 import audience_pb2
from services.journey.convert import text_values as values
from services.journey.convert.journeys import definition_from
from services.journey.convert.text_items import (
    Item,
    Listing,
    Plain,
    Scalar,
    TextFault,
    json_text,
    read_json,
    read_yaml,
    yaml_text,
)
from services.journey.domain import model as d
from services.journey.domain.names import ANYWHERE, NamedKind, Names

TEXT_BYTES_MAX: Final = 1024 * 1024
_FAULTS_MAX: Final = 100
_KEY_SHOWN_MAX: Final = 100
_REFERENCES: Final[Mapping[str, NamedKind]] = {
    journey_pb2.Target.DESCRIPTOR.fields_by_name["account_id"].full_name: NamedKind.ACCOUNT,
    audience_pb2.BindingPredicate.DESCRIPTOR.fields_by_name["account_id"].full_name: NamedKind.ACCOUNT,
    node_pb2.MessageNode.DESCRIPTOR.fields_by_name["bot_module_id"].full_name: NamedKind.BOT_MODULE,
    node_pb2.TemplateContent.DESCRIPTOR.fields_by_name["template_id"].full_name: NamedKind.TEMPLATE,
}
"""Fields with ids of what has a name."""
_LAST_STEP: Final = re.compile(r"(?:\.[^.\[]*|\[[^\]]*\])$")


class Key(NamedTuple):
    """What a key of a text stands for."""

    field: FieldDescriptor
    named: NamedKind | None = None
    """The value is a name of such a thing, not its id."""


@cache
def keys_of(message: Descriptor) -> Mapping[str, Key]:
    """The keys that a text may have where a message of the contract stands; what nothing acts on yet is not among
    them."""
    missing = frozenset(unimplemented_fields(message))
    keys: dict[str, Key] = {}
    for field in message.fields:
        if field.name in missing:
            continue
        keys[field.name] = Key(field)
        if kind := _REFERENCES.get(field.full_name):
            keys[field.name.removesuffix("_id")] = Key(field, kind)
    return keys


# ---- out -------------------------------------------------------------------------------------------------------


def kinds_in(message: Message) -> set[NamedKind]:
    """The kinds of things that a definition refers to."""
    found: set[NamedKind] = set()
    for field, value in message.ListFields():
        if kind := _REFERENCES.get(field.full_name):
            found.add(kind)
        elif field.message_type is not None:
            for each in value if field.is_repeated else (value,):
                found |= kinds_in(each)
    return found


def write(definition: journey_pb2.Definition, text_format: int, names: Names) -> str:
    """The text of a definition. The same definition and names always give the same text."""
    plain = _mapping(definition, definition, names)
    return json_text(plain) if text_format == pb.TEXT_FORMAT_JSON else yaml_text(plain)


def _mapping(message: Message, top: journey_pb2.Definition, names: Names) -> dict[str, Plain]:
    plain: dict[str, Plain] = {}
    for field, value in message.ListFields():
        kind = _REFERENCES.get(field.full_name)
        name = names.name_of(kind, value, _scope(message, kind, top)) if kind else ""
        if name:
            plain[field.name.removesuffix("_id")] = name
        elif field.is_repeated:
            plain[field.name] = [_value(field, each, top, names) for each in value]
        else:
            plain[field.name] = _value(field, value, top, names)
    return plain


def _value(field: FieldDescriptor, value: Any, top: journey_pb2.Definition, names: Names) -> Plain:
    if not isinstance(value, Message):
        return values.write_scalar(field, value)
    written = values.write_message(value)
    return _mapping(value, top, names) if written is None else written


def _scope(holder: Any, kind: NamedKind, top: journey_pb2.Definition) -> str:
    """Where a name is looked for: accounts on the channel beside them, templates on the journey's account."""
    match kind:
        case NamedKind.ACCOUNT:
            return str(holder.channel)
        case NamedKind.TEMPLATE:
            whatsapp = (t.account_id for t in top.targets if t.channel == channel_pb2.CHANNEL_WHATSAPP)
            return next(whatsapp, ANYWHERE)
    return ANYWHERE


# ---- in --------------------------------------------------------------------------------------------------------


class _Reference(NamedTuple):
    """A name that a text has where the contract has an id."""

    holder: Any
    key: Key
    name: str
    path: str


class Text:
    """A text as it was read: a definition without the ids of what it names."""

    def __init__(self, content: str, text_format: int) -> None:
        """Raises InvalidArgument for what is no YAML or no JSON, with its line."""
        if len(content.encode()) > TEXT_BYTES_MAX:
            raise InvalidArgument.of(FieldViolation("content", f"takes more than {TEXT_BYTES_MAX} bytes"))
        self._words_are_texts = text_format == pb.TEXT_FORMAT_YAML
        self._message = journey_pb2.Definition()
        self._lines: dict[str, int] = {}
        self._faults: dict[str, FieldViolation] = {}
        self._references: list[_Reference] = []
        try:
            item = read_yaml(content) if self._words_are_texts else read_json(content)
        except TextFault as fault:
            unreadable = FieldViolation("content", f"line {fault.line}: {fault.message}")
            raise InvalidArgument.of(unreadable) from None
        self._lines[""] = item.line
        self._fill(self._message, item, "")

    @property
    def kinds(self) -> set[NamedKind]:
        """The kinds of things that it names."""
        return {kind for reference in self._references if (kind := reference.key.named)}

    def definition(self, names: Names) -> d.Definition:
        """What it says, once it is known what its names stand for.

        Raises InvalidArgument with every fault, its line and path.
        """
        self._resolve_all(names)
        check = FieldCheck()
        definition = definition_from(self._message, check)
        self._note(faults_of(self._message))
        self._note(check.violations)
        self._refuse()
        return definition

    def message(self, names: Names) -> journey_pb2.Definition:
        """The same as the contract has it, not held to the contract's rules. Raises InvalidArgument for what cannot be
        read."""
        self._resolve_all(names)
        self._refuse()
        return self._message

    def line_of(self, path: str) -> int:
        """The line of a field, or of what it would be in."""
        while path not in self._lines and path:
            shorter = _LAST_STEP.sub("", path)
            path = shorter if shorter != path else ""
        return self._lines[path]

    def _resolve_all(self, names: Names) -> None:
        # Templates are looked for on the account of the target, which may itself go by its name.
        for reference in sorted(self._references, key=lambda each: each.key.named is NamedKind.TEMPLATE):
            self._resolve(reference, names)

    def _refuse(self) -> None:
        if self._faults:
            raise InvalidArgument.of(*list(self._faults.values())[:_FAULTS_MAX])

    def _note(self, faults: Iterable[FieldViolation]) -> None:
        for path, description, reason in ((each.field, each.description, each.reason) for each in faults):
            with_line = FieldViolation(path, f"line {self.line_of(path)}: {description}", reason)
            self._faults.setdefault(path, with_line)

    def _fault(self, path: str, line: int, description: str) -> None:
        self._faults.setdefault(path, FieldViolation(path or "content", f"line {line}: {description}"))

    def _resolve(self, reference: _Reference, names: Names) -> None:
        kind = reference.key.named
        assert kind is not None
        found = names.ids_of(kind, reference.name, _scope(reference.holder, kind, self._message))
        if len(found) == 1:
            setattr(reference.holder, reference.key.field.name, found[0])
            return
        where = _where(reference.holder, kind)
        description = (
            f"{len(found)} {kind}s are called {reference.name!r}{where}: give the id, one of {', '.join(found[:5])}"
            if found
            else f"there is no {kind} {reference.name!r}{where}"
        )
        self._fault(reference.path, self.line_of(reference.path), description)

    def _fill(self, message: Message, item: Item, path: str) -> None:
        """Takes over what `item` says of a message; a key with nothing behind it is an empty one."""
        if isinstance(item, Scalar) and item.is_null:
            return
        if isinstance(item, Scalar | Listing):
            self._fault(path, item.line, "must be a mapping of fields")
            return
        keys = keys_of(message.DESCRIPTOR)
        ways: dict[str, str] = {}
        for name, (line, value) in item.entries.items():
            key = keys.get(name)
            here = f"{path}.{(key.field.name if key else name)[:_KEY_SHOWN_MAX]}".lstrip(".")
            if key is None:
                self._unknown(here, line, name, message.DESCRIPTOR)
            elif here in self._lines:
                self._fault(here, line, f"{name} says the same as line {self._lines[here]}: keep one")
            elif other := _other_way(key.field, name, ways):
                self._fault(here, line, f"cannot stand beside {other}: one of them is chosen")
            else:
                self._lines[here] = line
                self._take(message, key, value, here)

    def _unknown(self, path: str, line: int, name: str, message: Any) -> None:
        # Looking for what may be meant takes a while, and there may be a hundred thousand of them.
        if len(self._faults) < _FAULTS_MAX:
            self._fault(path, line, _unknown(name, message))

    def _take(self, message: Message, key: Key, item: Item, path: str) -> None:
        """Takes over one field."""
        field = key.field
        if field.is_repeated:
            self._take_list(getattr(message, field.name), field, item, path)
        elif field.message_type is not None:
            inner = getattr(message, field.name)
            inner.SetInParent()
            self._fill_or_read(inner, item, path)
        elif (value := self._scalar(field, item, path)) is not None:
            if key.named:
                self._references.append(_Reference(message, key, value, path))
            else:
                setattr(message, field.name, value)

    def _take_list(self, taken: Any, field: FieldDescriptor, item: Item, path: str) -> None:
        if not isinstance(item, Listing):
            self._fault(path, item.line, "must be a list")
            return
        for index, each in enumerate(item.items):
            here = f"{path}[{index}]"
            self._lines[here] = each.line
            if field.message_type is not None:
                self._fill_or_read(taken.add(), each, here)
            elif (value := self._scalar(field, each, here)) is not None:
                taken.append(value)

    def _fill_or_read(self, message: Message, item: Item, path: str) -> None:
        read = values.read_message(message.DESCRIPTOR.full_name)
        if read is None or (not isinstance(item, Scalar) and message.DESCRIPTOR.full_name == values.MONEY):
            self._fill(message, item, path)
            return
        try:
            message.CopyFrom(read(item.text if isinstance(item, Scalar) else ""))
        except ValueError as fault:
            self._fault(path, item.line, str(fault))

    def _scalar(self, field: FieldDescriptor, item: Item, path: str) -> Any:
        """The value; None, with a fault, for what is none."""
        if not isinstance(item, Scalar):
            self._fault(path, item.line, "must be a single value")
            return None
        try:
            return values.read_scalar(field, item, words_are_texts=self._words_are_texts)
        except ValueError as fault:
            self._fault(path, item.line, str(fault))
            return None


def _other_way(field: FieldDescriptor, name: str, ways: dict[str, str]) -> str:
    """The key that has chosen another member of the field's `oneof`; empty: none has, and this one does now."""
    if field.containing_oneof is None:
        return ""
    chosen = ways.setdefault(field.containing_oneof.name, name)
    return "" if chosen == name else chosen


def _unknown(name: str, message: Descriptor) -> str:
    if name in message.fields_by_name:
        return "is not in this release: leave it out"
    close = difflib.get_close_matches(name[:_KEY_SHOWN_MAX], _proper(message), n=1)
    known = f"is {close[0]} meant?" if close else f"known are {', '.join(_proper(message)) or 'none'}"
    return f"is not known here; {known}"


def _proper(message: Descriptor) -> list[str]:
    """The keys that people get to see: names where there are, not ids."""
    keys = keys_of(message)
    return [name for name, key in keys.items() if key.named or key.field.full_name not in _REFERENCES]


def _where(holder: Any, kind: NamedKind) -> str:
    if kind is not NamedKind.ACCOUNT:
        return ""
    if not holder.channel:
        return ", since no channel is given beside it"
    return f" on {values.short_names(channel_pb2.Channel.DESCRIPTOR)[holder.channel]}"
