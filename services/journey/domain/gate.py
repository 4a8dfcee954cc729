"""What a definition names in other services, and what is wrong with it by what they answer. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

import msgspec

from libs.common.audience.expressions import AttributeType, Expression, IsBound, predicates
from libs.common.audience.values import KEY, ValueFault, canonical
from libs.common.errors import FieldViolation
from libs.common.text_variables import names_in, trigger_key
from services.journey.domain import model as d
from services.journey.domain.events import events_of
from services.journey.domain.references import attributes_in

MISSING = "MODULE_MISSING"
UNAVAILABLE = "ATTRIBUTE_UNAVAILABLE"
NOT_FOUND = "RESOURCE_NOT_FOUND"
MISMATCH = "TRIGGER_MISMATCH"
_STRANGE = frozenset({NOT_FOUND, "CHANNEL_UNSUPPORTED"})
"""Why nobody can be bound to an account; one that is disabled has those whom it had."""


class Module(IntEnum):
    """An add-on of a team; numbers as in the contract."""

    JOURNEYS = 1
    POINTS = 2
    CUSTOM_ATTRIBUTES = 3
    SOCIAL_CDP = 4


class NamedMessage(NamedTuple):
    """A message node, and the account that it sends through, if the journey has one on its channel."""

    path: str
    message: d.Message
    account_id: UUID | None
    number: int
    """Of the node, from 0."""


class NamedAccount(NamedTuple):
    """An account, and what it is named for."""

    path: str
    channel: d.Channel
    account_id: UUID
    sends: bool
    """Whether messages go through it; False: a condition asks who is bound to it."""


class Named(msgspec.Struct, frozen=True):
    """What a definition names, each with its path."""

    accounts: tuple[NamedAccount, ...]
    messages: tuple[NamedMessage, ...]
    audiences: tuple[tuple[str, bytes], ...]
    attribute_keys: frozenset[str]
    """Of trigger, attribute nodes and parameters of templates."""


class Finding(NamedTuple):
    """What another service says of something that was named."""

    field: str
    """Path below what was named; empty: the whole."""
    reason: str
    message: str


class AccountAnswer(NamedTuple):
    """The gateway's about an account."""

    faults: Sequence[Finding] = ()
    warnings: Sequence[Finding] = ()


class MessageAnswer(NamedTuple):
    """The gateway's about a message."""

    faults: Sequence[Finding] = ()
    attribute_keys: Sequence[str] = ()
    needs_points: bool = False
    trigger_keys: Sequence[str] = ()
    """Of the data that only triggers of the API bring."""
    warnings: Sequence[Finding] = ()


class KnownAttribute(NamedTuple):
    """An attribute of the team."""

    kind: AttributeType
    archived: bool


class Traits(msgspec.Struct, frozen=True):
    """Segment's answer about a team."""

    known: bool
    modules: frozenset[int]
    points_channels: frozenset[int]
    attributes: Mapping[str, KnownAttribute]
    audiences: Sequence[Sequence[Finding]]


class Verdict(NamedTuple):
    """Faults keep a definition from being published; warnings do not."""

    faults: list[FieldViolation]
    warnings: list[FieldViolation]


def named_by(definition: d.Definition, read_audience: Callable[[bytes], Expression]) -> Named:
    """Everything that has to be asked about before the definition goes live.

    `read_audience` reads a condition's audience, as far as it can be read.
    """
    accounts = [
        NamedAccount(f"{path}.account_id", target.channel, target.account_id, sends=True)
        for target, path in zip(definition.targets, definition.target_paths, strict=False)
        if target.account_id
    ]
    messages: list[NamedMessage] = []
    audiences: list[tuple[str, bytes]] = []
    keys: set[str] = set()
    if definition.quiet_zone is d.QuietZone.CUSTOMER:
        keys.add(definition.zone_attribute_key)
    for _, event in events_of(definition):
        if isinstance(event, d.AttributeTrigger):
            keys.update(event.keys)
    for index, node in enumerate(definition.nodes):
        path = f"nodes[{index}]"
        match node.action:
            case d.Message() as message:
                target = definition.target(message.channel)
                account_id = target.account_id if target else None
                messages.append(NamedMessage(f"{path}.message", message, account_id, index))
                keys.update(key for _, key in _parameter_keys(message))
            case d.Condition(audience=audience):
                audiences.append((f"{path}.condition.audience", audience))
                accounts += _bound_to(f"{path}.condition.audience", read_audience(audience))
            case d.Attribute(key=key):
                keys.add(key)
    return Named(
        tuple(accounts),
        tuple(messages),
        tuple(audiences),
        frozenset(key for key in keys if KEY.fullmatch(key)),
    )


def judged(
    definition: d.Definition,
    named: Named,
    accounts: Sequence[AccountAnswer],
    messages: Sequence[MessageAnswer],
    traits: Traits,
) -> Verdict:
    """What is wrong with what the definition names; answers in the order of what was named."""
    faults: list[FieldViolation] = []
    warnings: list[FieldViolation] = []
    for account, answer in zip(named.accounts, accounts, strict=True):
        if account.sends:
            faults += below(account.path, answer.faults)
            warnings += below(account.path, answer.warnings)
        else:
            faults += below(account.path, [found for found in answer.faults if found.reason in _STRANGE])
    for (path, *_), found in zip(named.messages, messages, strict=True):
        faults += below(path, found.faults)
        warnings += below(path, found.warnings)
    if not traits.known:
        return Verdict([*faults, FieldViolation("team_id", "there is no such team", NOT_FOUND)], warnings)
    for (path, _), found_faults in zip(named.audiences, traits.audiences, strict=True):
        faults += below(path, found_faults)
    faults += _module_faults(definition, named, messages, traits)
    faults += _attribute_faults(definition, named, messages, traits.attributes)
    faults += _trigger_data_faults(definition, named, messages)
    warnings += _closed_points(named, messages, traits)
    return Verdict(faults, warnings)


def _bound_to(path: str, expression: Expression) -> Iterator[NamedAccount]:
    for predicate in predicates(expression):
        if isinstance(predicate, IsBound) and (account_id := _uuid(predicate.account)):
            yield NamedAccount(path, d.Channel(predicate.channel), account_id, sends=False)


def _uuid(text: str) -> UUID | None:
    """None for any account, and for what is none: an audience with faults is read as far as it goes."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def below(path: str, findings: Sequence[Finding]) -> Iterator[FieldViolation]:
    """Findings as faults, where `path` is that of what was asked about."""
    for field, reason, message in findings:
        yield FieldViolation(f"{path}.{field}".rstrip("."), message, reason)


def _module_faults(
    definition: d.Definition, named: Named, messages: Sequence[MessageAnswer], traits: Traits
) -> Iterator[FieldViolation]:
    def lacks(path: str, module: Module) -> Iterator[FieldViolation]:
        if module not in traits.modules:
            yield FieldViolation(path, f"the team lacks the module {module.name}", MISSING)

    yield from lacks("team_id", Module.JOURNEYS)
    for index, node in enumerate(definition.nodes):
        if isinstance(node.action, d.Points):
            yield from lacks(f"nodes[{index}].points", Module.POINTS)
        elif isinstance(node.action, d.Attribute) and Module.SOCIAL_CDP not in traits.modules:
            yield from lacks(f"nodes[{index}].attribute", Module.CUSTOM_ATTRIBUTES)
    for place, answer in zip(named.messages, messages, strict=True):
        if answer.needs_points:
            yield from lacks(_content_path(place), Module.POINTS)


def _attribute_faults(
    definition: d.Definition,
    named: Named,
    messages: Sequence[MessageAnswer],
    attributes: Mapping[str, KnownAttribute],
) -> Iterator[FieldViolation]:
    if definition.quiet_zone is d.QuietZone.CUSTOMER:
        yield from _no_text("do_not_disturb.zone_attribute_key", definition.zone_attribute_key, attributes)
    for path, event in events_of(definition):
        if isinstance(event, d.AttributeTrigger):
            yield from _trigger_faults(f"{path}.attribute_changed", event, attributes)
    for index, node in enumerate(definition.nodes):
        if isinstance(node.action, d.Attribute):
            yield from _no_text(f"nodes[{index}].attribute.key", node.action.key, attributes)
    for place, answer in zip(named.messages, messages, strict=True):
        if place.message.template is None:
            for key in answer.attribute_keys:
                yield from _missing(_content_path(place), key, attributes)
        for field, key in _parameter_keys(place.message):
            yield from _missing(f"{place.path}.{field}", key, attributes)


def _trigger_faults(
    path: str, trigger: d.AttributeTrigger, attributes: Mapping[str, KnownAttribute]
) -> Iterator[FieldViolation]:
    for index, key in enumerate(trigger.keys):
        yield from _missing(f"{path}.keys[{index}]", key, attributes)
        known = attributes.get(key)
        if trigger.test and known and not known.archived and known.kind is not trigger.test.kind:
            wanted = trigger.test.kind.name
            yield FieldViolation(
                f"{path}.keys[{index}]",
                f"{key} is of type {known.kind.name}, the test is for {wanted}",
                UNAVAILABLE,
            )
    kinds = {known.kind for key in trigger.keys if (known := attributes.get(key)) and not known.archived}
    for index, value in enumerate(trigger.any_of):
        if kinds and not any(_is_value(kind, value) for kind in kinds):
            names = " or ".join(sorted(kind.name for kind in kinds))
            yield FieldViolation(f"{path}.value.any_of[{index}]", f"is no value of type {names}")


def _is_value(kind: AttributeType, text: str) -> bool:
    try:
        canonical(kind, text)
    except ValueFault:
        return False
    return True


def _no_text(path: str, key: str, attributes: Mapping[str, KnownAttribute]) -> Iterator[FieldViolation]:
    yield from _missing(path, key, attributes)
    known = attributes.get(key)
    if known and not known.archived and known.kind is not AttributeType.TEXT:
        yield FieldViolation(path, f"{key} is of type {known.kind.name}, not TEXT", UNAVAILABLE)


def _missing(path: str, key: str, attributes: Mapping[str, KnownAttribute]) -> Iterator[FieldViolation]:
    known = attributes.get(key)
    if not KEY.fullmatch(key):
        return  # what no attribute can have as its key is told as such
    if known is None:
        yield FieldViolation(path, f"there is no attribute {key}", UNAVAILABLE)
    elif known.archived:
        yield FieldViolation(path, f"the attribute {key} is archived", UNAVAILABLE)


def _trigger_data_faults(
    definition: d.Definition, named: Named, messages: Sequence[MessageAnswer]
) -> Iterator[FieldViolation]:
    """Variables that stay empty for everybody: only triggers of the API bring data."""
    if definition.trigger is None or isinstance(definition.trigger, d.SystemTriggerKind):
        return
    for place, answer in zip(named.messages, messages, strict=True):
        if place.message.template is None:
            named_keys = [(_content_path(place), key) for key in answer.trigger_keys]
        else:
            named_keys = [
                (f"{place.path}.template.{field}", key)
                for field, text in place.message.template.texts
                for key in dict.fromkeys(map(trigger_key, names_in(text)))
                if key
            ]
        for path, key in named_keys:
            message = (
                f"names {{{{trigger.{key}}}}}, but only a journey that the API starts has data of its trigger: "
                "take it out, or start the journey by trigger.system"
            )
            yield FieldViolation(path, message, MISMATCH)


def _closed_points(
    named: Named, messages: Sequence[MessageAnswer], traits: Traits
) -> Iterator[FieldViolation]:
    for place, answer in zip(named.messages, messages, strict=True):
        if answer.needs_points and place.message.channel not in traits.points_channels:
            yield FieldViolation(
                _content_path(place),
                f"points are closed on {place.message.channel.name}: variables of points take their defaults, "
                "coupons are left out",
            )


def _content_path(place: NamedMessage) -> str:
    field = "bot_module_id" if place.message.template is None else "template.parameters"
    return f"{place.path}.{field}"


def _parameter_keys(message: d.Message) -> Iterator[tuple[str, str]]:
    """(field, key) of the attributes that a template's parameters name."""
    if message.template is None:
        return
    for field, text in message.template.texts:
        for key in dict.fromkeys(attributes_in(text)):
            yield f"template.{field}", key
