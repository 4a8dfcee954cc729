"""What a definition refers to in other services, and at which paths."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from enum import IntEnum
from typing import Final
from uuid import UUID

import msgspec

from libs.common.audience.expressions import (
    Expression,
    HasAttribute,
    HasTags,
    InAudience,
    IsBound,
    predicates,
)
from libs.common.text import fold
from libs.common.text_variables import attribute_key, names_in
from services.journey.domain.events import events_of
from services.journey.domain.model import (
    Attribute,
    AttributeTrigger,
    Condition,
    Definition,
    Message,
    Node,
    QuietZone,
    StatusReason,
    Tags,
    TagTrigger,
)

THING_BYTES_MAX: Final = 1_000
"""Of an id, key or tag; nothing that exists has a longer one."""


class ReferenceKind(IntEnum):
    """Kinds of things that definitions name; the numbers are stored."""

    ACCOUNT = 1
    BOT_MODULE = 2
    TEMPLATE = 3
    ATTRIBUTE = 4
    TAG = 5
    BOUND_ACCOUNT = 6
    """An account that a condition asks about, and nothing is sent through."""
    SAVED_AUDIENCE = 7


class Reference(msgspec.Struct, frozen=True):
    """One thing that a definition names. `thing` is an id, an attribute's key, or a folded tag; `fields` are paths of
    the contract's definition."""

    kind: ReferenceKind
    thing: str
    fields: tuple[str, ...]


STOPS: Final[Mapping[ReferenceKind, StatusReason]] = {
    # An account that messages go through is the bot.
    ReferenceKind.ACCOUNT: StatusReason.BOT_MODULE_MISSING,
    ReferenceKind.BOT_MODULE: StatusReason.BOT_MODULE_MISSING,
    ReferenceKind.TEMPLATE: StatusReason.WHATSAPP_TEMPLATE_MISSING,
    ReferenceKind.ATTRIBUTE: StatusReason.ATTRIBUTE_UNAVAILABLE,
}
"""Why a live journey stops when a thing of a kind that it names goes (J-07 e to g)."""


class Change(msgspec.Struct, frozen=True):
    """What became of a thing at `at`, domain time.

    One that is gone for good, or archived, stops every journey that names it (`lasting`), until it is `back`; another
    change those that have named it since before.
    """

    team_id: UUID
    kind: ReferenceKind
    thing: str
    at: datetime
    lasting: bool = False
    back: bool = False
    reason: StatusReason | None = None
    """It is there, and cannot be used for now: who has named it since before stops by this."""


Named = Iterator[tuple[ReferenceKind, str, str]]
"""Kind, thing and one path."""


def references_of(
    definition: Definition, read_audience: Callable[[bytes], Expression]
) -> tuple[Reference, ...]:
    """Everything that a definition, complete or not, names, each thing once, in the order of first paths.

    `read_audience` reads a condition's audience, as far as it can be read.
    """
    fields: dict[tuple[ReferenceKind, str], list[str]] = {}
    for kind, thing, field in _named(definition, read_audience):
        if _may_exist(thing) and field not in (paths := fields.setdefault((kind, thing), [])):
            paths.append(field)
    return tuple(Reference(kind, thing, tuple(paths)) for (kind, thing), paths in fields.items())


def attributes_in(text: str) -> list[str]:
    """Keys of the attributes that a text has variables of."""
    return [key for name in names_in(text) if (key := attribute_key(name))]


def _may_exist(thing: str) -> bool:
    return 0 < len(thing.encode()) <= THING_BYTES_MAX and "\0" not in thing


def _named(definition: Definition, read_audience: Callable[[bytes], Expression]) -> Named:
    if definition.quiet_zone is QuietZone.CUSTOMER and definition.zone_attribute_key:
        yield ReferenceKind.ATTRIBUTE, definition.zone_attribute_key, "do_not_disturb.zone_attribute_key"
    for path, event in events_of(definition):
        match event:
            case TagTrigger(tags=tags):
                yield from _listed(ReferenceKind.TAG, map(fold, tags), f"{path}.tag_applied.tags")
            case AttributeTrigger(keys=keys):
                yield from _listed(ReferenceKind.ATTRIBUTE, iter(keys), f"{path}.attribute_changed.keys")
    for index, target in enumerate(definition.targets):
        if target.account_id is not None:
            yield ReferenceKind.ACCOUNT, str(target.account_id), f"targets[{index}].account_id"
    for index, node in enumerate(definition.nodes):
        yield from _named_by_node(node, f"nodes[{index}]", read_audience)


def _named_by_node(node: Node, path: str, read_audience: Callable[[bytes], Expression]) -> Named:
    match node.action:
        case Message() as message:
            yield from _named_by_message(message, f"{path}.message")
        case Condition(audience=audience):
            yield from _named_by_audience(read_audience(audience), f"{path}.condition.audience")
        case Tags(add=add, remove=remove):
            yield from _listed(ReferenceKind.TAG, map(fold, add), f"{path}.tags.add")
            yield from _listed(ReferenceKind.TAG, map(fold, remove), f"{path}.tags.remove")
        case Attribute(key=key):
            yield ReferenceKind.ATTRIBUTE, key, f"{path}.attribute.key"


def _named_by_message(message: Message, path: str) -> Named:
    if message.bot_module_id is not None:
        yield ReferenceKind.BOT_MODULE, str(message.bot_module_id), f"{path}.bot_module_id"
    if message.template is not None:
        template_id = str(message.template.template_id)
        yield ReferenceKind.TEMPLATE, template_id, f"{path}.template.template_id"
        for field, text in message.template.texts:
            for key in attributes_in(text):
                yield ReferenceKind.ATTRIBUTE, key, f"{path}.template.{field}"


def _named_by_audience(expression: Expression, path: str) -> Named:
    for predicate in predicates(expression):
        match predicate:
            case HasAttribute(key=key, path=inner):
                yield ReferenceKind.ATTRIBUTE, key, f"{path}.{inner}.key"
            case HasTags(tags=tags):
                for tag in sorted(tags):
                    yield ReferenceKind.TAG, tag, path
            case IsBound(account=account):
                yield ReferenceKind.BOUND_ACCOUNT, account, path
            case InAudience(audience_id=audience_id, path=inner):
                yield ReferenceKind.SAVED_AUDIENCE, audience_id, f"{path}.{inner}.saved_audience_id"


def _listed(kind: ReferenceKind, things: Iterator[str], path: str) -> Named:
    for index, thing in enumerate(things):
        yield kind, thing, f"{path}[{index}]"
