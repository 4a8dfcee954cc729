"""Everything that has to be right before a journey goes live, every fault with its path (J-11)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from libs.common.audience.values import KEY
from libs.common.errors import FieldViolation
from libs.common.text import shows
from services.journey.domain.event_faults import event_faults, inside_faults
from services.journey.domain.model import (
    Channel,
    Condition,
    Definition,
    Node,
    QuietWindow,
    QuietZone,
    Schedule,
    Split,
    Wait,
)
from services.journey.domain.node_faults import node_faults
from services.journey.domain.quiet import leaves_open_minute

NODES_MAX: Final = 200
NAME_MAX: Final = 200
WINDOWS_MAX: Final = 50
PRIORITY_MAX: Final = 100
_NODE_ID: Final = re.compile(r"[a-z0-9_-]{1,64}")
_CAPPED: Final = frozenset({Channel.LINE, Channel.WHATSAPP})


def faults_of(definition: Definition) -> list[FieldViolation]:
    """All faults that keep the definition from being live, whenever that is; empty if there is none."""
    gaps = dict(definition.draft.gaps) if definition.draft else {}
    found = [
        *_head(definition),
        *_events(definition),
        *_targets(definition),
        *_quiet(definition.quiet),
        *_quiet_zone(definition),
        *_nodes(definition),
        *_tree(definition.nodes),
    ]
    missing = [FieldViolation(field, need) for field, need in gaps.items()]
    return missing + [fault for fault in found if fault.field not in gaps]


def past_faults(schedule: Schedule | None, now: datetime) -> list[FieldViolation]:
    """What keeps a definition that may be live from becoming so at `now`: nobody could ever enter."""
    if schedule is None or now < schedule.end:
        return []
    return [FieldViolation("schedule.end_time", "has passed: nobody could enter")]


def new_faults(edited: Definition, present: Definition) -> list[FieldViolation]:
    """Faults of an edited definition that its present state has not.

    What an older release let pass, and no edit can mend while the journey is live, keeps no edit from being made.
    """
    known = set(faults_of(present))
    return [fault for fault in faults_of(edited) if fault not in known]


def _head(definition: Definition) -> Iterator[FieldViolation]:
    if not (shows(definition.name) and len(definition.name) <= NAME_MAX):
        yield FieldViolation("name", f"must have 1 to {NAME_MAX} characters")
    limit = definition.enrolments_per_customer_max
    if limit is not None and limit < 1:
        yield FieldViolation("enrolments_per_customer_max", "must be at least 1, or absent for no limit")
    if abs(definition.priority) > PRIORITY_MAX:
        yield FieldViolation("priority", f"must be -{PRIORITY_MAX} to {PRIORITY_MAX}")
    schedule = definition.schedule
    if schedule is not None and schedule.end <= schedule.start:
        yield FieldViolation("schedule.end_time", "must lie after start_time")


def _events(definition: Definition) -> Iterator[FieldViolation]:
    """Of what starts the journey, and of its goal."""
    if definition.trigger is None:
        yield FieldViolation("trigger", "is required")
    else:
        yield from event_faults("trigger", definition.trigger)
    if definition.goal is not None:
        yield from inside_faults("goal.event", definition.goal, definition)


def _targets(definition: Definition) -> Iterator[FieldViolation]:
    if not definition.targets and not definition.lacks("targets"):
        yield FieldViolation("targets", "needs at least one channel")
    seen: set[Channel] = set()
    for target, path in zip(definition.targets, definition.target_paths, strict=False):
        if target.channel in seen:
            yield FieldViolation(f"{path}.channel", "is there twice")
        seen.add(target.channel)
        if target.account_id is None:
            yield FieldViolation(f"{path}.account_id", "is required")
        if target.cap is not None and target.channel not in _CAPPED:
            yield FieldViolation(f"{path}.message_cap", "is possible on LINE and WhatsApp only")
        elif target.cap is not None and target.cap < 1:
            yield FieldViolation(f"{path}.message_cap", "must be at least 1, or absent for no cap")


def _quiet_zone(definition: Definition) -> Iterator[FieldViolation]:
    path, key = "do_not_disturb.zone_attribute_key", definition.zone_attribute_key
    if key and definition.quiet_zone is not QuietZone.CUSTOMER:
        yield FieldViolation(path, "is of use with the zone CUSTOMER only")
    elif key and not KEY.fullmatch(key):
        yield FieldViolation(path, "is no key of an attribute")


def _quiet(windows: tuple[QuietWindow, ...]) -> Iterator[FieldViolation]:
    if len(windows) > WINDOWS_MAX:
        yield FieldViolation("do_not_disturb.windows", f"may be {WINDOWS_MAX} at most")
        return
    for index, window in enumerate(windows):
        path = f"do_not_disturb.windows[{index}]"
        if not 0 <= window.start_minute <= 1439:
            yield FieldViolation(f"{path}.start_minute", "must be 0 to 1439")
        if not 1 <= window.end_minute <= 1440:
            yield FieldViolation(f"{path}.end_minute", "must be 1 to 1440")
        if any(not 1 <= day <= 7 for day in window.weekdays):
            yield FieldViolation(f"{path}.weekdays", "must be days of the week")
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
        yield from node_faults(path, node, definition)


def _exits(node: Node) -> Iterator[tuple[str, str]]:
    """Every way out of a node that names another one: field and node id."""
    return ((field, target) for field, target in _ways(node) if target is not None)


def _ways(node: Node) -> Iterator[tuple[str, str | None]]:
    match node.action:
        case Condition(yes=yes, no=no):
            yield from (("condition.yes", yes), ("condition.no", no))
        case Wait(happened=happened, timed_out=timed_out):
            yield from (("wait.happened", happened), ("wait.timed_out", timed_out))
        case Split(ways=ways):
            yield from ((f"split.ways[{place}].target", way.target) for place, way in enumerate(ways))
        case _:
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


def reached_from(definition: Definition, node_id: str) -> set[str]:
    """The node and all behind it, by ids; none for a node that is not there."""
    by_id = dict(definition.by_id)
    return _walk(by_id, node_id)[0] if node_id in by_id else set()


def _targets_of(node: Node) -> Iterator[str]:
    return (target for _, target in _exits(node))


def shape_of(definition: Definition) -> Iterable[object]:
    """What outside DRAFT stays as it is (J-06): trigger, node ids, kinds, the ways between nodes, splits, by which the
    same customer always goes the same way, and which waits ask for the same subject, of which note is taken when
    somebody enters."""
    return (
        definition.trigger,
        [(node.node_id, type(node.action), sorted(_exits(node))) for node in definition.nodes],
        [node.action for node in definition.nodes if isinstance(node.action, Split)],
        [wait.same_subject for wait in definition.waits.values()],
    )
