"""The content of each kind of node as its form has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from libs.console.audiences.tree import read_tree, written
from libs.console.journeys.choices import Choices
from libs.console.journeys.reading import Reader
from libs.console.journeys.shaping import reshape_split
from libs.console.journeys.trigger_forms import read_trigger
from omnijourney.channel_gateway.v1 import content_pb2
from omnijourney.channel_gateway.v1.content_pb2 import MessageTemplate, TemplateMedia
from omnijourney.common.v1 import channel_pb2
from omnijourney.journey.v1 import node_pb2
from omnijourney.journey.v1.node_pb2 import Node

WAYS_MAX: Final = 10
NAMES: Final[Mapping[str, str]] = {
    "message.channel": "channel",
    "message.bot_module_id": "bot_module_id",
    "message.template.parameters": "parameters",
    "message.template.header_parameters": "header_parameters",
    "message.template.button_parameters": "button_parameters",
    "message.template.header_media": "header_url",
    "message.template": "template_id",
    "message": "content",
    "delay": "delay_days",
    "condition": "a-joined",
    "tags.add": "add",
    "tags.remove": "remove",
    "tags": "add",
    "attribute.key": "key",
    "attribute": "text",
    "points": "points",
    "wait.timeout": "timeout_days",
    "wait": "event_kind",
    "split": "ways",
}
"""Paths within a node by the fields of its form."""
MEDIA_FIELDS: Final[Mapping[int, str]] = {
    content_pb2.TEMPLATE_HEADER_IMAGE: "image_url",
    content_pb2.TEMPLATE_HEADER_VIDEO: "video_url",
    content_pb2.TEMPLATE_HEADER_DOCUMENT: "document_url",
}
"""Where `TemplateMedia` has the address of what stands in the head of a template."""


def read_node(reader: Reader, node: Node, choices: Choices, currency: str, *, fixed: bool) -> None:
    """Takes over what the form says. `fixed`: the journey is published, and where ways lead and their shares stay."""
    kind = node.WhichOneof("kind")
    if kind == "split" and fixed:
        return
    if kind == "condition":
        known = {each.key: each for each in choices.attributes}
        tree = read_tree(reader.fields, known)
        if tree is not None:
            found = written(tree, known)
            node.condition.audience.CopyFrom(found.audience)
            for name, sentence in found.wrong:
                reader.faults.add(name, reader.say(sentence))
    elif kind == "wait":
        _read_wait(reader, node, currency)
    elif kind == "message":
        _read_message(reader, node, choices)
    elif kind is not None:
        _READERS[kind](reader, node)


def _read_message(reader: Reader, node: Node, choices: Choices) -> None:
    message = node.message
    channel = reader.number("channel")
    message.channel = channel_pb2.Channel.ValueType(channel if channel in channel_pb2.Channel.values() else 0)
    waits = reader.text("capped") == "wait"
    message.capped_action = node_pb2.CAPPED_ACTION_WAIT if waits else node_pb2.CAPPED_ACTION_SKIP
    if reader.text("content") == "template" and channel == channel_pb2.CHANNEL_WHATSAPP:
        chosen = reader.text("template_id")
        known = (each for each in choices.templates if each.message_template_id == chosen)
        template = next(known, MessageTemplate(message_template_id=chosen))
        media = message.template.header_media if message.template.HasField("header_media") else None
        message.template.CopyFrom(read_template(reader, template, media))
    else:
        message.bot_module_id = reader.text("bot_module_id")


def read_template(
    reader: Reader, template: MessageTemplate, media: TemplateMedia | None
) -> node_pb2.TemplateContent:
    """What fills a template, as its fields say; `media` stands in its head where the form has no field for it."""
    if (field := MEDIA_FIELDS.get(template.shape.header)) is not None:
        address = reader.text("header_url")
        kept = TemplateMedia(filename=media.filename if media is not None else "")
        setattr(kept, field, address)
        media = kept if address else None
    return node_pb2.TemplateContent(
        template_id=template.message_template_id,
        parameters=_lines(reader, "parameters"),
        header_parameters=_lines(reader, "header_parameters"),
        button_parameters=_lines(reader, "button_parameters"),
        header_media=media,
    )


def _lines(reader: Reader, name: str) -> list[str]:
    """One parameter a line; the last may be left empty."""
    text = reader.text(name)
    return [line.strip() for line in text.splitlines()] if text else []


def _read_delay(reader: Reader, node: Node) -> None:
    node.delay.delay.CopyFrom(reader.span("delay"))


def _read_tags(reader: Reader, node: Node) -> None:
    node.tags.CopyFrom(node_pb2.TagsNode(add=reader.texts("add"), remove=reader.texts("remove")))


def _read_attribute(reader: Reader, node: Node) -> None:
    node.attribute.CopyFrom(node_pb2.AttributeNode(key=reader.text("key"), text=reader.text("text")))


def _read_points(reader: Reader, node: Node) -> None:
    points = reader.number("points")
    if reader.text("direction") == "deduct":
        node.points.deduct = points
    else:
        node.points.add = points


def _read_wait(reader: Reader, node: Node, currency: str) -> None:
    node.wait.event.CopyFrom(read_trigger(reader, "event_", currency, node.wait.event))
    if node.wait.event.WhichOneof("kind") is None:
        node.wait.ClearField("event")
    node.wait.timeout.CopyFrom(reader.span("timeout"))
    node.wait.counts_earlier = reader.flag("counts_earlier")
    node.wait.same_subject = reader.flag("same_subject")


def _read_split(reader: Reader, node: Node) -> None:
    """A way whose share is empty is taken out; its nodes go with it."""
    holdout = reader.text("holdout")
    shares = [
        (number, min(reader.number(f"share_{number}"), 100), holdout == str(number))
        for number in range(WAYS_MAX)
        if reader.text(f"share_{number}")
    ]
    reshape_split(node, shares)


_READERS: Final[Mapping[str, Callable[[Reader, Node], None]]] = {
    "delay": _read_delay,
    "tags": _read_tags,
    "attribute": _read_attribute,
    "points": _read_points,
    "split": _read_split,
}
