"""Two revisions of a journey beside each other: what was added, taken out and changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from libs.console.formats import Formats
from libs.console.journeys.summaries import Summaries, active_time
from libs.console.journeys.words import NODES, WEEKDAYS
from libs.console.labels import CHANNELS
from libs.console.languages import noted
from libs.console.visits import Visit
from omnijourney.journey.v1.journey_pb2 import Definition, Journey, QuietWindow
from omnijourney.journey.v1.node_pb2 import Node
from omnijourney.journey.v1.validation_pb2 import DefinitionChange

ADDED: Final = noted("Added")
REMOVED: Final = noted("Taken out")
CHANGED: Final = noted("Changed here")
BADGES: Final[Mapping[str, str]] = {ADDED: "good", REMOVED: "bad", CHANGED: "warn"}
SETTINGS: Final[Mapping[str, str]] = {
    "name": noted("Name of the journey"),
    "trigger": noted("Trigger"),
    "schedule": noted("Active time"),
    "do_not_disturb": noted("Do not disturb"),
    "enrolments_per_customer_max": noted("Most triggers of each customer"),
    "targets": noted("Target channels"),
    "goal": noted("Goal"),
    "priority": noted("Priority"),
    "nodes": noted("Order of the nodes"),
}
"""What a definition has, in the order in which it is shown; the nodes come after it, each by itself."""
_OF_NODE: Final = re.compile(r"nodes\[([a-z0-9_-]+)\]")


class Difference(NamedTuple):
    """What is different in one setting, or in one node."""

    what: str
    node_id: str
    """Empty: it is a setting."""
    kind: str
    """`ADDED`, `REMOVED` or `CHANGED`."""
    before: str
    after: str
    changes: Sequence[DefinitionChange]
    """The same field by field."""


class Comparison:
    """Of two definitions, for one visitor."""

    def __init__(self, visit: Visit, summaries: Summaries, before: Definition, after: Definition) -> None:
        """`summaries` says what nodes and triggers are."""
        self._visit = visit
        self._summaries = summaries
        self._before = before
        self._after = after

    def differences(self, changes: Sequence[DefinitionChange]) -> list[Difference]:
        """What the service found, put together by setting and node."""
        found: dict[tuple[str, str], list[DefinitionChange]] = {}
        for change in changes:
            of_node = _OF_NODE.match(change.field)
            key = ("", of_node[1]) if of_node else (re.split(r"[.\[]", change.field)[0], "")
            found.setdefault(key, []).append(change)
        settings = [self._setting(name, found[name, ""]) for name in SETTINGS if (name, "") in found]
        nodes = [self._node(node_id, of) for (_, node_id), of in found.items() if node_id]
        return settings + nodes

    def marks(self, differences: Sequence[Difference]) -> dict[str, str]:
        """What is said at the nodes of the two trees."""
        return {each.node_id: self._visit.say(each.kind) for each in differences if each.node_id}

    def _setting(self, name: str, changes: Sequence[DefinitionChange]) -> Difference:
        say = self._SAYS.get(name)
        before, after = (say(self, of) if say else "" for of in (self._before, self._after))
        return Difference(self._visit.say(SETTINGS[name]), "", CHANGED, before, after, changes)

    def _node(self, node_id: str, changes: Sequence[DefinitionChange]) -> Difference:
        before, after = _node_of(self._before, node_id), _node_of(self._after, node_id)
        kind = CHANGED if before and after else ADDED if after else REMOVED
        there = after or before
        label = NODES.get((there.WhichOneof("kind") if there else "") or "", "")
        said = [self._summaries.node(node) if node else "" for node in (before, after)]
        return Difference(self._visit.say(label), node_id, kind, said[0], said[1], changes)

    def _name(self, of: Definition) -> str:
        return of.name

    def _trigger(self, of: Definition) -> str:
        return self._summaries.trigger(of.trigger)

    def _schedule(self, of: Definition) -> str:
        return active_time(Journey(definition=of), self._formats, self._visit.say(noted("Always")))

    def _quiet(self, of: Definition) -> str:
        return "; ".join(map(self._window, of.do_not_disturb.windows)) or self._visit.say(noted("None"))

    def _window(self, window: QuietWindow) -> str:
        start, end = (
            f"{minute // 60:02d}:{minute % 60:02d}" for minute in (window.start_minute, window.end_minute)
        )
        days = ", ".join(self._visit.say(WEEKDAYS[day - 1]) for day in window.weekdays)
        return f"{days} {start}–{end}".strip()

    def _most(self, of: Definition) -> str:
        if not of.HasField("enrolments_per_customer_max"):
            return self._visit.say(noted("No limit"))
        return self._formats.number(of.enrolments_per_customer_max)

    def _targets(self, of: Definition) -> str:
        return ", ".join(
            f"{CHANNELS.get(each.channel, '')} ≤ {self._formats.number(each.message_cap)}"
            if each.HasField("message_cap")
            else CHANNELS.get(each.channel, "")
            for each in of.targets
        ) or self._visit.say(noted("None"))

    def _goal(self, of: Definition) -> str:
        if not of.HasField("goal"):
            return self._visit.say(noted("No goal"))
        return self._summaries.trigger(of.goal.event)

    def _priority(self, of: Definition) -> str:
        return self._formats.number(of.priority)

    @property
    def _formats(self) -> Formats:
        return self._visit.formats

    _SAYS: Final[dict[str, Callable[[Comparison, Definition], str]]] = {
        "name": _name,
        "trigger": _trigger,
        "schedule": _schedule,
        "do_not_disturb": _quiet,
        "enrolments_per_customer_max": _most,
        "targets": _targets,
        "goal": _goal,
        "priority": _priority,
    }


def _node_of(definition: Definition, node_id: str) -> Node | None:
    return next((each for each in definition.nodes if each.node_id == node_id), None)
