"""What went along the ways of a tree, and what was lost on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from libs.console.formats import Formats
from libs.console.journeys.path import WAYS
from libs.console.journeys.tree import START
from libs.console.languages import noted
from omnijourney.journey.v1.journey_pb2 import Definition
from omnijourney.stats.v1.figures_pb2 import NodeFigures

_DROPPED = noted("%(dropped)s dropped off (%(share)s)")


class Flow(NamedTuple):
    """By the places of a tree, in words."""

    taken: dict[str, str]
    """How often a way was taken."""
    lost: dict[str, str]
    """How many dropped off between a node and the next one, with their share of those who came to the node: at its only
    way, or before its ways part (`<node id>.ways`)."""


def flow_of(
    formats: Formats, say: Callable[..., str], definition: Definition, figures: Iterable[NodeFigures]
) -> Flow:
    """What stats counted, at the ways of the definition; nothing where nobody has come to."""
    number, percent = formats.number, formats.percent
    flow = Flow({}, {})
    by_id = {each.node_id: each for each in figures}
    for index, node in enumerate(definition.nodes):
        found = by_id.get(node.node_id)
        if found is None:
            continue
        if index == 0:
            flow.taken[START] = number(found.entered_count)
        counted = _ways(node.WhichOneof("kind") or "", found)
        flow.taken.update((f"{node.node_id}.{way}", number(count)) for way, count in counted.items())
        if found.dropped_count:
            place = f"{node.node_id}.{'next' if 'next' in counted else 'ways'}"
            share = percent(found.drop_off.value if found.drop_off.HasField("value") else None)
            flow.lost[place] = say(_DROPPED, dropped=number(found.dropped_count), share=share)
    return flow


def _ways(kind: str, figures: NodeFigures) -> dict[str, int]:
    """How often each way of a node was taken."""
    if kind == "split":
        return {f"way{each.way - 1}": each.count for each in figures.ways}
    if kind in {"condition", "wait"}:
        return {WAYS[each.result]: each.count for each in figures.results if each.result in WAYS}
    return {"next": figures.passed_count}
