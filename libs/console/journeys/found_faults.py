"""What `ValidateJourney` says of a definition, by the node and the field that it is about."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from libs.console.faults import Faults
from libs.console.field_faults import in_words
from libs.console.journeys.comparing import SETTINGS
from libs.console.journeys.words import NODES
from libs.console.languages import noted
from omnijourney.journey.v1.journey_pb2 import Definition
from omnijourney.journey.v1.validation_pb2 import DefinitionFault

_ABOUT: Final = {**SETTINGS, "nodes": noted("Nodes")}
"""What a fault is about that is of no node."""
_OF_NODE: Final = re.compile(r"(?:definition\.)?nodes\[(\d+)\]\.?(.*)")


class Found(NamedTuple):
    """One of them."""

    node_id: str
    """Empty: it is about the journey."""
    path: str
    """Within the node, or within the definition."""
    message: str
    about: str
    """What the node does, or the setting, in English as the catalogue has it; empty for what has no name."""


class FoundFaults:
    """All of one definition."""

    def __init__(
        self,
        definition: Definition,
        faults: list[DefinitionFault],
        warnings: list[DefinitionFault],
        say: Callable[..., str],
    ) -> None:
        """As the service told them, in the language of `say`."""
        self.faults: Final = [_found(definition, each, say) for each in faults]
        self.warnings: Final = [_found(definition, each, say) for each in warnings]

    @property
    def by_node(self) -> Mapping[str, list[Found]]:
        """Faults of each node that has some."""
        found: dict[str, list[Found]] = {}
        for each in self.faults:
            if each.node_id:
                found.setdefault(each.node_id, []).append(each)
        return found

    def of_node(self, node_id: str, names: Mapping[str, str]) -> Faults:
        """At the fields of a node's form; what has no field stands above it."""
        return _at_fields((each for each in self.faults if each.node_id == node_id), names)

    def of_settings(self, names: Mapping[str, str]) -> Faults:
        """At the fields of the settings."""
        fitting = (each for each in self.faults if not each.node_id and _name(each.path, names))
        return _at_fields(fitting, names)


def _found(definition: Definition, fault: DefinitionFault, say: Callable[..., str]) -> Found:
    message = _message(fault.message, say)
    match = _OF_NODE.match(fault.field)
    if match is not None and int(match[1]) < len(definition.nodes):
        node = definition.nodes[int(match[1])]
        return Found(node.node_id, match[2], message, NODES.get(node.WhichOneof("kind") or "", ""))
    path = fault.field.removeprefix("definition.")
    return Found("", path, message, _ABOUT.get(re.split(r"[.\[]", path)[0], ""))


def _message(given: str, say: Callable[..., str]) -> str:
    """In Chinese the service says of what kind a fault is, and then in English what is wrong in particular."""
    _, colon, particular = given.partition("：")
    if not colon:
        return in_words(say, given)
    said = in_words(say, particular)
    return given if said == particular else said


def _at_fields(faults: Iterator[Found], names: Mapping[str, str]) -> Faults:
    found = Faults()
    for each in faults:
        found.add(_name(each.path, names), each.message)
    return found


def _name(path: str, names: Mapping[str, str]) -> str:
    fitting = [known for known in names if path == known or path.startswith((f"{known}.", f"{known}["))]
    return names[max(fitting, key=len)] if fitting else ""
