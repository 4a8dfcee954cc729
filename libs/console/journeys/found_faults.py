"""What `ValidateJourney` says of a definition, by the node and the field that it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from libs.console.faults import Faults
from omnijourney.journey.v1.journey_pb2 import Definition
from omnijourney.journey.v1.validation_pb2 import DefinitionFault

_OF_NODE: Final = re.compile(r"(?:definition\.)?nodes\[(\d+)\]\.?(.*)")


class Found(NamedTuple):
    """One of them."""

    node_id: str
    """Empty: it is about the journey."""
    path: str
    """Within the node, or within the definition."""
    message: str


class FoundFaults:
    """All of one definition."""

    def __init__(
        self, definition: Definition, faults: list[DefinitionFault], warnings: list[DefinitionFault]
    ) -> None:
        """As the service told them."""
        self.faults: Final = [_found(definition, each) for each in faults]
        self.warnings: Final = [_found(definition, each) for each in warnings]

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


def _found(definition: Definition, fault: DefinitionFault) -> Found:
    match = _OF_NODE.match(fault.field)
    if match is not None and int(match[1]) < len(definition.nodes):
        return Found(definition.nodes[int(match[1])].node_id, match[2], fault.message)
    return Found("", fault.field.removeprefix("definition."), fault.message)


def _at_fields(faults: Iterator[Found], names: Mapping[str, str]) -> Faults:
    found = Faults()
    for each in faults:
        found.add(_name(each.path, names), each.message)
    return found


def _name(path: str, names: Mapping[str, str]) -> str:
    fitting = [known for known in names if path == known or path.startswith((f"{known}.", f"{known}["))]
    return names[max(fitting, key=len)] if fitting else ""
