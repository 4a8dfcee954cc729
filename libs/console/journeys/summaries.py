"""What a node, a trigger or an active time is, in a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from libs.common.audience.describing import describe
from libs.console.formats import Formats, parts_of
from libs.console.journeys.choices import Choices
from libs.console.journeys.words import TRIGGERS
from libs.console.labels import CHANNELS
from libs.console.languages import noted
from libs.console.visits import Visit
from omnijourney.journey.v1.journey_pb2 import Journey
from omnijourney.journey.v1.node_pb2 import Node
from omnijourney.journey.v1.trigger_pb2 import Trigger

_INCOMPLETE: Final = noted("not filled in yet")


class Summaries:
    """For one visitor."""

    def __init__(self, visit: Visit, choices: Choices) -> None:
        """`choices` has the names of what is referred to."""
        self._visit = visit
        self._choices = choices
        self._say = visit.say

    def node(self, node: Node) -> str:
        """What a node does."""
        kind = node.WhichOneof("kind")
        return self._OF[kind](self, node) if kind else self._say(_INCOMPLETE)

    def trigger(self, trigger: Trigger) -> str:
        """What starts a journey."""
        kind = trigger.WhichOneof("kind")
        if kind is None:
            return self._say(_INCOMPLETE)
        label = self._say(TRIGGERS[kind.upper()])
        more = ""
        if kind == "tag_applied":
            more = ", ".join(trigger.tag_applied.tags)
        elif kind == "attribute_changed":
            more = ", ".join(trigger.attribute_changed.keys)
        elif kind == "checkout_completed":
            more = ", ".join(trigger.checkout_completed.item.names)
        elif kind == "customer_replied":
            more = ", ".join(trigger.customer_replied.text.texts)
        return f"{label}: {more}" if more else label

    def _message(self, node: Node) -> str:
        message = node.message
        thing = message.template.template_id or message.bot_module_id
        if not message.channel or not thing:
            return self._say(_INCOMPLETE)
        return f"{CHANNELS.get(message.channel, '')}: {self._choices.name_of(thing)}"

    def _delay(self, node: Node) -> str:
        return span(node.delay.delay, self._visit)

    def _condition(self, node: Node) -> str:
        if node.condition.audience.WhichOneof("expression") is None:
            return self._say(_INCOMPLETE)
        names = dict(self._choices.audience_pairs)
        zone = str(self._visit.formats.zone)
        try:
            return describe(node.condition.audience, self._visit.language, zone, names)
        except (KeyError, IndexError, ValueError):
            return self._say(_INCOMPLETE)

    def _tags(self, node: Node) -> str:
        parts = [f"＋ {tag}" for tag in node.tags.add] + [f"− {tag}" for tag in node.tags.remove]
        return ", ".join(parts) or self._say(_INCOMPLETE)

    def _attribute(self, node: Node) -> str:
        if not node.attribute.key:
            return self._say(_INCOMPLETE)
        label = dict(self._choices.attribute_pairs).get(node.attribute.key, node.attribute.key)
        return f"{label} = {node.attribute.text}"

    def _points(self, node: Node) -> str:
        add, deduct = node.points.add, node.points.deduct
        if not (add or deduct):
            return self._say(_INCOMPLETE)
        return f"＋{self._visit.formats.number(add)}" if add else f"−{self._visit.formats.number(deduct)}"

    def _wait(self, node: Node) -> str:
        if not node.wait.HasField("event"):
            return self._say(_INCOMPLETE)
        return f"{self.trigger(node.wait.event)} ({span(node.wait.timeout, self._visit)})"

    def _split(self, node: Node) -> str:
        return " / ".join(f"{way.share}%" for way in node.split.ways)

    _OF: Final[dict[str, Callable[[Summaries, Node], str]]] = {
        "message": _message,
        "delay": _delay,
        "condition": _condition,
        "tags": _tags,
        "attribute": _attribute,
        "points": _points,
        "wait": _wait,
        "split": _split,
    }


def span(value: object, visit: Visit) -> str:
    """A length of time in days, hours and minutes."""
    days, hours, minutes = parts_of(value)  # type: ignore[arg-type]
    parts = (
        visit.count(days, "%(n)s day", "%(n)s days") if days else "",
        visit.count(hours, "%(n)s hour", "%(n)s hours") if hours else "",
        visit.count(minutes, "%(n)s minute", "%(n)s minutes") if minutes else "",
    )
    return " ".join(filter(None, parts)) or visit.say(_INCOMPLETE)


def active_time(journey: Journey, formats: Formats, always: str) -> str:
    """When it is live, for a list."""
    if not journey.definition.HasField("schedule"):
        return always
    schedule = journey.definition.schedule
    return f"{formats.moment(schedule.start_time)} – {formats.moment(schedule.end_time)}"
