"""A definition as it is drawn: from the start downwards, branches side by side, "＋" wherever a node fits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol, TypeVar

from libs.console.languages import noted
from omnijourney.journey.v1.journey_pb2 import Definition
from omnijourney.journey.v1.node_pb2 import Branch, Node

START: Final = "start"
"""The place before the first node."""
YES: Final = noted("Yes")
NO: Final = noted("No")
HAPPENED: Final = noted("Happened")
TIMED_OUT: Final = noted("Timed out")
HOLDOUT: Final = noted("Holdout")


@dataclass(slots=True)
class Way:
    """One way on from a node."""

    place: str
    """Names it: `<node id>.next`, `.yes`, `.no`, `.happened`, `.timed_out` or `.way<number>`; `.ways` is where several
    part."""
    label: str = ""
    """In English, as the catalogue has it; empty for the only way on."""
    share: int | None = None
    """Per cent, of a split."""
    first: Step | None = None
    """What stands there; None: the journey ends."""
    jump: str = ""
    """The node that is drawn elsewhere and goes on from here; empty for none."""
    is_open: bool = True
    """Whether a node can be put here; not after a holdout."""


@dataclass(slots=True)
class Step:
    """One node in its place."""

    node: Node
    index: int
    """In the definition, as faults name it."""
    kind: str
    """As the contract names it; empty for a node that does nothing yet."""
    ways: list[Way] = field(default_factory=list)


@dataclass(slots=True)
class Tree:
    """All of it."""

    start: Way
    unreached: list[Step]
    """Nodes that no way leads to."""

    def drawn(self) -> Iterator[Drawn]:
        """What is drawn, one after another from the top; nothing in it is nested, however deep the tree is."""
        waiting: list[Drawn] = [Drawn("way", self.start)]
        while waiting:
            one = waiting.pop()
            yield one
            if one.what != "way":
                continue
            step = one.way.first
            if step is None:
                waiting.append(Drawn("jump" if one.way.jump else "end", one.way))
                continue
            after = [Drawn("way", step.ways[0])] if len(step.ways) == 1 else _side_by_side(step)
            waiting += reversed([Drawn("node", one.way, step), *after])


class Drawn(NamedTuple):
    """One thing of a drawing."""

    what: str
    """`way` (what leads to the next), `node`, `end`, `jump` (goes on at a node that is drawn elsewhere), and `ways`,
    `branch`, `branch_end`, `ways_end` around what stands side by side."""
    way: Way
    step: Step | None = None


def _side_by_side(step: Step) -> list[Drawn]:
    own = Way(f"{step.node.node_id}.ways")
    drawn = [Drawn("ways", own)]
    for way in step.ways:
        drawn += [Drawn("branch", way), Drawn("way", way), Drawn("branch_end", way)]
    return [*drawn, Drawn("ways_end", own)]


def tree_of(definition: Definition) -> Tree:
    """As it is drawn. A node to which several ways lead stands where the first of them does."""
    known = {
        node.node_id: Step(node, index, node.WhichOneof("kind") or "")
        for index, node in enumerate(definition.nodes)
    }
    drawn: set[str] = set()
    first = definition.nodes[0].node_id if definition.nodes else ""
    start = Way(START)
    waiting = [(start, first)]
    while waiting:
        way, node_id = waiting.pop()
        step = known.get(node_id)
        if step is None:
            continue
        if node_id in drawn:
            way.jump = node_id
            continue
        drawn.add(node_id)
        way.first = step
        pairs = list(ways_of(step.node))
        step.ways = [each for each, _ in pairs]
        waiting += reversed(pairs)
    unreached = [step for node_id, step in known.items() if node_id not in drawn]
    return Tree(start, unreached)


class _OfNode(Protocol):
    node_id: str


OfNodeT = TypeVar("OfNodeT", bound=_OfNode)


def in_order(definition: Definition, found: Iterable[OfNodeT]) -> list[OfNodeT]:
    """What is known of nodes in the order in which they are drawn; what is of none of them comes last."""
    drawn = [each.step.node.node_id for each in tree_of(definition).drawn() if each.step is not None]
    places = {node_id: place for place, node_id in enumerate(drawn)}
    return sorted(found, key=lambda each: places.get(each.node_id, len(places)))


def ways_of(node: Node) -> Iterator[tuple[Way, str]]:
    """The ways on from a node, each with the node that it leads to (empty: the end)."""
    kind = node.WhichOneof("kind")
    at = node.node_id
    if kind == "condition":
        yield Way(f"{at}.yes", YES), node.condition.yes.node_id
        yield Way(f"{at}.no", NO), node.condition.no.node_id
    elif kind == "wait":
        yield Way(f"{at}.happened", HAPPENED), node.wait.happened.node_id
        yield Way(f"{at}.timed_out", TIMED_OUT), node.wait.timed_out.node_id
    elif kind == "split":
        for number, way in enumerate(node.split.ways):
            label = HOLDOUT if way.holdout else ""
            yield (
                Way(f"{at}.way{number}", label, way.share, is_open=not way.holdout),
                "" if way.holdout else way.target.node_id,
            )
    else:
        yield Way(f"{at}.next"), node.next_node_id


def branch_at(node: Node, way: str) -> Branch | None:
    """The branch that a place of a node names; None for `next`. Raises KeyError for a way that the node has not."""
    kind = node.WhichOneof("kind")
    if kind == "condition" and way in {"yes", "no"}:
        return node.condition.yes if way == "yes" else node.condition.no
    if kind == "wait" and way in {"happened", "timed_out"}:
        return node.wait.happened if way == "happened" else node.wait.timed_out
    if kind == "split" and way.removeprefix("way").isdecimal():
        number = int(way.removeprefix("way"))
        if number < len(node.split.ways) and not node.split.ways[number].holdout:
            return node.split.ways[number].target
    elif kind not in {"condition", "wait", "split"} and way == "next":
        return None
    raise KeyError(way)
