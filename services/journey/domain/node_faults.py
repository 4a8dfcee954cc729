"""What is wrong with a node by itself: each fault with the path of its field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from libs.common.audience.values import KEY
from libs.common.errors import FieldViolation
from libs.common.text import trimmed
from services.journey.domain import model as d
from services.journey.domain.event_faults import SPAN, is_span, wait_faults
from services.journey.domain.splits import WHOLE
from services.journey.domain.texts import TAG_LENGTH_MAX, in_both, line_faults, template_faults

TAGS_MAX: Final = 50
ATTRIBUTE_TEXT_MAX: Final = 1_000
POINTS_MAX: Final = 10**12
POINTS_NEED: Final = f"must be 1 to {POINTS_MAX}"
"""What a change of points has to be."""
WAYS_MAX: Final = 10
_BRANCHING: Final[Mapping[type, str]] = {
    d.Condition: "condition, which has branches",
    d.Wait: "wait, which has branches",
    d.Split: "split, which has ways",
}


def node_faults(path: str, node: d.Node, definition: d.Definition) -> Iterator[FieldViolation]:
    """Faults of what a node does, where `path` is the node's."""
    yield from _next(path, node)
    match node.action:
        case None:
            if not definition.lacks(path):
                yield FieldViolation(
                    path, "says nothing to do: set one of message, delay, condition, tags, …"
                )
        case d.Message() as message:
            yield from _message(f"{path}.message", message, definition)
        case d.Delay(seconds=seconds) if not is_span(seconds):
            yield FieldViolation(f"{path}.delay", SPAN)
        case d.Wait() as wait:
            yield from wait_faults(f"{path}.wait", wait, definition)
        case d.Split(ways=ways):
            yield from _split(f"{path}.split.ways", ways)
        case d.Tags(add=add, remove=remove):
            yield from _tags(f"{path}.tags", add, remove)
        case d.Attribute() as attribute:
            yield from _attribute(f"{path}.attribute", attribute)
        case d.Points(delta=delta) if not 1 <= abs(delta) <= POINTS_MAX and not definition.lacks(
            f"{path}.points"
        ):
            yield FieldViolation(f"{path}.points", POINTS_NEED)


def _message(path: str, message: d.Message, definition: d.Definition) -> Iterator[FieldViolation]:
    if definition.target(message.channel) is None:
        yield FieldViolation(f"{path}.channel", f"{message.channel.name} is no target channel of the journey")
    template = message.template
    if template is None:
        if message.bot_module_id is None and not definition.lacks(path):
            yield FieldViolation(path, "needs a bot module or a template")
        return
    if message.channel is not d.Channel.WHATSAPP:
        yield FieldViolation(f"{path}.template", "is possible on WhatsApp only")
    media = template.header_media
    yield from template_faults(
        f"{path}.template",
        template.parameters,
        template.header_parameters,
        template.button_parameters,
        ((media.kind, media.url), ("filename", media.filename)) if media is not None else (),
    )


def _next(path: str, node: d.Node) -> Iterator[FieldViolation]:
    if node.next is not None and (what := _BRANCHING.get(type(node.action))):
        yield FieldViolation(f"{path}.next_node_id", f"is not used by a {what}")


def _split(path: str, ways: tuple[d.Way, ...]) -> Iterator[FieldViolation]:
    if not 2 <= len(ways) <= WAYS_MAX:
        yield FieldViolation(path, f"must be 2 to {WAYS_MAX}")
    if (whole := sum(way.share for way in ways)) != WHOLE:
        yield FieldViolation(path, f"must have shares that add up to {WHOLE}, not {whole}")
    for place, way in enumerate(ways):
        if not 0 <= way.share <= WHOLE:
            yield FieldViolation(f"{path}[{place}].share", f"must be 0 to {WHOLE}")
    for place in [place for place, way in enumerate(ways) if way.holdout][1:]:
        yield FieldViolation(f"{path}[{place}].holdout", "is possible for one way only")


def _tags(path: str, add: tuple[str, ...], remove: tuple[str, ...]) -> Iterator[FieldViolation]:
    if not add and not remove:
        yield FieldViolation(path, "must add or remove at least one tag")
    if max(len(add), len(remove)) > TAGS_MAX:
        yield FieldViolation(path, f"may add and remove at most {TAGS_MAX} tags each")
    if both := in_both(add, remove):
        yield FieldViolation(path, f"adds and removes the same tag: {', '.join(both)}")
    yield from line_faults(f"{path}.add", add, TAG_LENGTH_MAX)
    yield from line_faults(f"{path}.remove", remove, TAG_LENGTH_MAX)


def _attribute(path: str, attribute: d.Attribute) -> Iterator[FieldViolation]:
    if not attribute.key:
        yield FieldViolation(f"{path}.key", "is required")
    elif not KEY.fullmatch(attribute.key):
        yield FieldViolation(f"{path}.key", "is no key of an attribute")
    if not trimmed(attribute.text):
        yield FieldViolation(f"{path}.text", "is required")
    elif len(attribute.text) > ATTRIBUTE_TEXT_MAX:
        yield FieldViolation(f"{path}.text", f"must have 1 to {ATTRIBUTE_TEXT_MAX} characters")
