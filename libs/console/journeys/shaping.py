"""Changes of a tree: a node is put in at a place, taken out, and what nobody reaches any more goes with it."""

from __future__ import annotations

from typing import Final

from libs.console.journeys.tree import START, branch_at, ways_of
from omnijourney.journey.v1.journey_pb2 import Definition
from omnijourney.journey.v1.node_pb2 import Branch, Node

NODES_MAX: Final = 200


def insert(definition: Definition, place: str, kind: str) -> str:
    """Puts a new node of this kind in at a place; its id. What stood there follows it, on its first way.

    Raises KeyError for a place or a kind that there is not, ValueError where the journey is full.
    """
    if len(definition.nodes) >= NODES_MAX:
        raise ValueError(f"a journey has {NODES_MAX} nodes at most")
    node = _made(_free_id(definition, kind), kind)
    if place == START:
        _lead(node, definition.nodes[0].node_id if definition.nodes else "")
        definition.nodes.insert(0, node)
        return node.node_id
    before_id, _, way = place.rpartition(".")
    before = _find(definition, before_id)
    branch = branch_at(before, way)
    if branch is None:
        _lead(node, before.next_node_id)
        before.next_node_id = node.node_id
    else:
        _lead(node, branch.node_id)
        branch.node_id = node.node_id
    definition.nodes.append(node)
    return node.node_id


def remove(definition: Definition, node_id: str) -> None:
    """Takes a node out: what follows on its first way takes its place, and what nobody reaches any more is taken out,
    too. Raises KeyError for a node that there is not."""
    node = _find(definition, node_id)
    after = next((leads_to for _, leads_to in ways_of(node)), "")
    after = "" if after == node_id else after
    was_first = definition.nodes[0].node_id == node_id
    for other in definition.nodes:
        _redirect(other, node_id, after)
    definition.nodes.remove(node)
    if was_first and after:
        follower = _find(definition, after)
        copy = Node()
        copy.CopyFrom(follower)
        definition.nodes.remove(follower)
        definition.nodes.insert(0, copy)
    _drop_unreached(definition, nobody=was_first and not after)


def reshape_split(node: Node, shares: list[tuple[int, int, bool]]) -> None:
    """Gives a split these ways: each the number of the way that it was, its share, and whether it is the holdout. Ways
    that stay keep where they lead."""
    leads_to = dict(enumerate(way.target.node_id for way in node.split.ways))
    del node.split.ways[:]
    for before, share, holdout in shares:
        way = node.split.ways.add(share=share, holdout=holdout)
        if not holdout:
            _point(way.target, leads_to.get(before, ""))


def drop_unreached(definition: Definition) -> None:
    """Takes out what nobody reaches from the start."""
    _drop_unreached(definition, nobody=False)


def _made(node_id: str, kind: str) -> Node:
    node = Node(node_id=node_id)
    if kind not in {each.name for each in Node.DESCRIPTOR.oneofs_by_name["kind"].fields}:
        raise KeyError(kind)
    getattr(node, kind).SetInParent()
    if kind == "split":
        reshape_split(node, [(0, 50, False), (1, 50, False)])
    return node


def _lead(node: Node, leads_to: str) -> None:
    """The first way leads there, the others to the end."""
    ways = [way.place.rpartition(".")[2] for way, _ in ways_of(node)]
    for number, way in enumerate(ways):
        target = leads_to if number == 0 else ""
        branch = branch_at(node, way)
        if branch is None:
            node.next_node_id = target
        else:
            _point(branch, target)


def _point(branch: Branch, leads_to: str) -> None:
    if leads_to:
        branch.node_id = leads_to
    else:
        branch.end.SetInParent()


def _redirect(node: Node, away_from: str, leads_to: str) -> None:
    for way, present in list(ways_of(node)):
        if present != away_from:
            continue
        branch = branch_at(node, way.place.rpartition(".")[2])
        if branch is None:
            node.next_node_id = leads_to
        else:
            _point(branch, leads_to)


def _drop_unreached(definition: Definition, *, nobody: bool) -> None:
    known = {node.node_id: node for node in definition.nodes}
    reached: set[str] = set()
    waiting = [] if nobody or not definition.nodes else [definition.nodes[0].node_id]
    while waiting:
        node_id = waiting.pop()
        if node_id in reached or node_id not in known:
            continue
        reached.add(node_id)
        waiting += [leads_to for _, leads_to in ways_of(known[node_id])]
    for node in [each for each in definition.nodes if each.node_id not in reached]:
        definition.nodes.remove(node)


def _find(definition: Definition, node_id: str) -> Node:
    for node in definition.nodes:
        if node.node_id == node_id:
            return node
    raise KeyError(node_id)


def _free_id(definition: Definition, kind: str) -> str:
    taken = {node.node_id for node in definition.nodes}
    return next(name for number in range(1, NODES_MAX + 2) if (name := f"{kind}-{number}") not in taken)
