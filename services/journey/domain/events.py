"""The events that a definition names."""

from __future__ import annotations

from collections.abc import Iterator

from services.journey.domain.model import Definition, Trigger, Wait


def events_of(definition: Definition) -> Iterator[tuple[str, Trigger]]:
    """Path and event: what starts the journey, its goal, and what is waited for."""
    if definition.trigger is not None:
        yield "trigger", definition.trigger
    if definition.goal is not None:
        yield "goal.event", definition.goal
    for index, node in enumerate(definition.nodes):
        if isinstance(node.action, Wait) and node.action.event is not None:
            yield f"nodes[{index}].wait.event", node.action.event
