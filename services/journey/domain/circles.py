"""Circles of several journeys: what one does starts another, and in the end the first again. Pure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from libs.common.errors import FieldViolation
from libs.common.text import fold
from services.journey.domain import model as d
from services.journey.domain.matching import DEPTH_MAX
from services.journey.domain.references import ReferenceKind

Cause = tuple[int, str]
"""Kind and thing: a folded tag that is applied, an attribute that gets a value."""
_STARTS: Final = "trigger."
_DOES: Final = re.compile(r"nodes\[\d+\]\.(?:tags\.add\[\d+\]|attribute\.key)")
"""Paths of a definition at which it names what starts the journey, and what a node does that starts others."""


class Chained(NamedTuple):
    """A journey that customers may enter, as far as it can be a link of a circle."""

    journey_id: UUID
    name: str
    started_by: frozenset[Cause]
    does: frozenset[Cause]


def chained_of(journey_id: UUID, name: str, named: Iterable[tuple[Cause, Sequence[str]]]) -> Chained:
    """A journey by what its definition names, each with its paths."""
    started_by: set[Cause] = set()
    does: set[Cause] = set()
    for cause, paths in named:
        for path in paths:
            if path.startswith(_STARTS):
                started_by.add(cause)
            elif _DOES.fullmatch(path):
                does.add(cause)
    return Chained(journey_id, name, frozenset(started_by), frozenset(does))


def circles_of(definition: d.Definition, live: Iterable[Chained]) -> Iterator[FieldViolation]:
    """A warning for each node that may start the journey again by way of live ones, which it names in their order.

    Conditions and values are not looked at: it may, whether or not it does. What starts it at once is told elsewhere.
    """
    mine = _started_by(definition.trigger)
    if not mine:
        return
    started: dict[Cause, list[Chained]] = {}
    for journey in live:
        for cause in journey.started_by:
            started.setdefault(cause, []).append(journey)
    for path, causes in _done(definition):
        if names := _way_back(causes, mine, started):
            way = " → ".join(names)
            message = f"may start this journey again by way of {way}, up to {DEPTH_MAX} times in a chain"
            yield FieldViolation(path, message)


def _started_by(trigger: d.Trigger | None) -> frozenset[Cause]:
    match trigger:
        case d.TagTrigger(tags=tags):
            return frozenset((int(ReferenceKind.TAG), fold(tag)) for tag in tags)
        case d.AttributeTrigger(keys=keys):
            return frozenset((int(ReferenceKind.ATTRIBUTE), key) for key in keys)
        case _:
            return frozenset()


def _done(definition: d.Definition) -> Iterator[tuple[str, frozenset[Cause]]]:
    for index, node in enumerate(definition.nodes):
        match node.action:
            case d.Tags(add=add) if add:
                yield f"nodes[{index}].tags.add", _started_by(d.TagTrigger(add))
            case d.Attribute(key=key):
                yield f"nodes[{index}].attribute.key", _started_by(d.AttributeTrigger((key,)))


def _way_back(
    causes: frozenset[Cause], mine: frozenset[Cause], started: Mapping[Cause, Sequence[Chained]]
) -> tuple[str, ...]:
    """Names of the journeys of a shortest way from `causes` to `mine`; none if there is no way."""
    ways: deque[tuple[frozenset[Cause], tuple[str, ...]]] = deque([(causes, ())])
    seen: set[UUID] = set()
    while ways:
        reached, names = ways.popleft()
        for cause in sorted(reached):
            for journey in started.get(cause, ()):
                if journey.journey_id in seen:
                    continue
                seen.add(journey.journey_id)
                way = (*names, journey.name)
                if journey.does & mine:
                    return way
                ways.append((journey.does, way))
    return ()
