"""Everything that has to be right before a journey goes live, every fault with its path (J-11)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from libs.common.errors import FieldViolation
from services.journey.domain.model import (
    Attribute,
    AttributeTrigger,
    Channel,
    CheckoutTrigger,
    Condition,
    Definition,
    Delay,
    Message,
    Node,
    Points,
    QuietWindow,
    Tags,
    TagTrigger,
    Target,
)
from services.journey.domain.quiet import leaves_open_minute

NODES_MAX: Final = 200
DELAY_SECONDS_MAX: Final = 365 * 86_400
NAMES_MAX: Final = 100
TAGS_MAX: Final = 50
ATTRIBUTE_TEXT_MAX: Final = 1_000
POINTS_MAX: Final = 10**12
NAME_MAX: Final = 200
_NODE_ID: Final = re.compile(r"[a-z0-9_-]{1,64}")
_CAPPED: Final = frozenset({Channel.LINE, Channel.WHATSAPP})


def faults_of(definition: Definition) -> list[FieldViolation]:
    """All faults that keep the definition from being published; empty if there is none."""
    return [
        *_head(definition),
        *_trigger(definition),
        *_targets(definition.targets),
        *_quiet(definition.quiet),
        *_nodes(definition),
        *_tree(definition.nodes),
    ]


def _head(definition: Definition) -> Iterator[FieldViolation]:
    if not 1 <= len(definition.name.strip()) <= NAME_MAX:
        yield FieldViolation("name", f"must have 1 to {NAME_MAX} characters")
    limit = definition.enrolments_per_customer_max
    if limit is not None and limit < 1:
        yield FieldViolation("enrolments_per_customer_max", "must be at least 1, or absent for no limit")
    schedule = definition.schedule
    if schedule is not None and schedule.end <= schedule.start:
        yield FieldViolation("schedule.end_time", "must lie after start_time")


def _trigger(definition: Definition) -> Iterator[FieldViolation]:
    match definition.trigger:
        case None:
            yield FieldViolation("trigger", "is required")
        case CheckoutTrigger(item_match=match, item_names=names, at_least=low, at_most=high):
            if match and not 1 <= len(names) <= NAMES_MAX:
                yield FieldViolation("trigger.checkout_completed.item.names", f"needs 1 to {NAMES_MAX} names")
            if any(not name for name in names):
                yield FieldViolation("trigger.checkout_completed.item.names", "must not hold an empty name")
            if low is not None and high is not None and low > high:
                yield FieldViolation(
                    "trigger.checkout_completed.amount", "at_least must not be above at_most"
                )
        case TagTrigger(tags=tags) if not 1 <= len(tags) <= NAMES_MAX:
            yield FieldViolation("trigger.tag_applied.tags", f"needs 1 to {NAMES_MAX} tags")
        case AttributeTrigger(keys=keys) if not 1 <= len(keys) <= NAMES_MAX:
            yield FieldViolation("trigger.attribute_changed.keys", f"needs 1 to {NAMES_MAX} keys")


def _targets(targets: tuple[Target, ...]) -> Iterator[FieldViolation]:
    if not targets:
        yield FieldViolation("targets", "needs at least one channel")
    seen: set[Channel] = set()
    for index, target in enumerate(targets):
        path = f"targets[{index}]"
        if target.channel in seen:
            yield FieldViolation(f"{path}.channel", "is there twice")
        seen.add(target.channel)
        if target.account_id is None:
            yield FieldViolation(f"{path}.account_id", "is required")
        if target.cap is not None and target.channel not in _CAPPED:
            yield FieldViolation(f"{path}.message_cap", "is possible on LINE and WhatsApp only")
        elif target.cap is not None and target.cap < 1:
            yield FieldViolation(f"{path}.message_cap", "must be at least 1, or absent for no cap")


def _quiet(windows: tuple[QuietWindow, ...]) -> Iterator[FieldViolation]:
    for index, window in enumerate(windows):
        path = f"do_not_disturb.windows[{index}]"
        if not 0 <= window.start_minute <= 1439:
            yield FieldViolation(f"{path}.start_minute", "must be 0 to 1439")
        if not 1 <= window.end_minute <= 1440:
            yield FieldViolation(f"{path}.end_minute", "must be 1 to 1440")
    if windows and not leaves_open_minute(windows):
        yield FieldViolation(
            "do_not_disturb.windows", "leave no minute of the week in which messages may be sent"
        )


def _nodes(definition: Definition) -> Iterator[FieldViolation]:
    nodes = definition.nodes
    if not 1 <= len(nodes) <= NODES_MAX:
        yield FieldViolation("nodes", f"needs 1 to {NODES_MAX} nodes, has {len(nodes)}")
    ids = {node.node_id for node in nodes}
    seen: set[str] = set()
    for index, node in enumerate(nodes):
        path = f"nodes[{index}]"
        if not _NODE_ID.fullmatch(node.node_id):
            yield FieldViolation(f"{path}.node_id", "must be 1 to 64 of a-z, 0-9, _ and -")
        elif node.node_id in seen:
            yield FieldViolation(f"{path}.node_id", "is there twice")
        seen.add(node.node_id)
        for field, target in _exits(node):
            if target not in ids:
                yield FieldViolation(f"{path}.{field}", f"names no node of the journey: {target!r}")
        yield from _action(path, node, definition)


def _action(  # noqa: C901 - a case for each kind of node
    path: str, node: Node, definition: Definition
) -> Iterator[FieldViolation]:
    match node.action:
        case None:
            yield FieldViolation(path, "says nothing to do: set one of message, delay, condition, tags, …")
        case Message() as message:
            yield from _message(f"{path}.message", message, definition)
        case Delay(seconds=seconds) if not 60 <= seconds <= DELAY_SECONDS_MAX or seconds % 60:
            yield FieldViolation(f"{path}.delay", "must be 1 minute to 365 days, in whole minutes")
        case Condition() if node.next is not None:
            yield FieldViolation(f"{path}.next_node_id", "is not used by a condition, which has branches")
        case Tags(add=add, remove=remove):
            yield from _tags(f"{path}.tags", add, remove)
        case Attribute(key=key, text=text):
            if not key:
                yield FieldViolation(f"{path}.attribute.key", "is required")
            if not 1 <= len(text) <= ATTRIBUTE_TEXT_MAX:
                yield FieldViolation(
                    f"{path}.attribute.text", f"must have 1 to {ATTRIBUTE_TEXT_MAX} characters"
                )
        case Points(delta=delta):
            if not 1 <= abs(delta) <= POINTS_MAX:
                yield FieldViolation(f"{path}.points", f"must be 1 to {POINTS_MAX}")


def _message(path: str, message: Message, definition: Definition) -> Iterator[FieldViolation]:
    if definition.target(message.channel) is None:
        yield FieldViolation(f"{path}.channel", f"{message.channel.name} is no target channel of the journey")
    if message.template is not None and message.channel is not Channel.WHATSAPP:
        yield FieldViolation(f"{path}.template", "is possible on WhatsApp only")
    if message.template is None and message.bot_module_id is None:
        yield FieldViolation(path, "needs a bot module or a template")


def _tags(path: str, add: tuple[str, ...], remove: tuple[str, ...]) -> Iterator[FieldViolation]:
    if not add and not remove:
        yield FieldViolation(path, "must add or remove at least one tag")
    if max(len(add), len(remove)) > TAGS_MAX:
        yield FieldViolation(path, f"may add and remove at most {TAGS_MAX} tags each")
    if both := sorted(set(add) & set(remove)):
        yield FieldViolation(path, f"adds and removes the same tag: {', '.join(both)}")
    if any(not tag.strip() for tag in (*add, *remove)):
        yield FieldViolation(path, "must not hold an empty tag")


def _attribute(path: str, attribute: Attribute) -> Iterator[FieldViolation]:
    if not attribute.key:
        yield FieldViolation(f"{path}.key", "is required")
    if not 1 <= len(attribute.text) <= ATTRIBUTE_TEXT_MAX:
        yield FieldViolation(f"{path}.text", f"must have 1 to {ATTRIBUTE_TEXT_MAX} characters")


def _exits(node: Node) -> Iterator[tuple[str, str]]:
    """Every way out of a node that names another one: field and node id."""
    if isinstance(node.action, Condition):
        if node.action.yes is not None:
            yield "condition.yes", node.action.yes
        if node.action.no is not None:
            yield "condition.no", node.action.no
    elif node.next is not None:
        yield "next_node_id", node.next


def _tree(nodes: tuple[Node, ...]) -> Iterator[FieldViolation]:
    """Cycles and nodes that nobody can reach."""
    if not nodes:
        return
    by_id = {node.node_id: node for node in nodes}
    reached, cyclic = _walk(by_id, nodes[0].node_id)
    for index, node in enumerate(nodes):
        if node.node_id in cyclic:
            yield FieldViolation(f"nodes[{index}]", "leads back to an earlier node: a journey has no cycles")
        if node.node_id not in reached:
            yield FieldViolation(f"nodes[{index}]", "cannot be reached from the first node")


def _walk(by_id: dict[str, Node], start: str) -> tuple[set[str], set[str]]:
    """Nodes reached from `start`, and those with a way back to a node above them. Depth first, without recursion."""
    reached: set[str] = set()
    cyclic: set[str] = set()
    above: list[str] = [start]
    exits: list[Iterator[str]] = [_targets_of(by_id[start])]
    reached.add(start)
    while above:
        following = next(exits[-1], None)
        if following is None:
            above.pop()
            exits.pop()
        elif following in above:
            cyclic.add(above[-1])
        elif following in by_id and following not in reached:
            reached.add(following)
            above.append(following)
            exits.append(_targets_of(by_id[following]))
    return reached, cyclic


def _targets_of(node: Node) -> Iterator[str]:
    return (target for _, target in _exits(node))


def shape_of(definition: Definition) -> Iterable[object]:
    """What outside DRAFT stays as it is (J-06): trigger, node ids, kinds and the ways between nodes."""
    return (
        definition.trigger,
        [(node.node_id, type(node.action), sorted(_exits(node))) for node in definition.nodes],
    )
