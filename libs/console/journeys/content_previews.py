"""What a message node sends, as a phone shows it with the values of a sample customer."""

from __future__ import annotations

from dataclasses import dataclass

from libs.console.partial import part
from libs.console.previews import Pairs, Preview, chosen_sample, module_preview, samples_of, template_preview
from libs.console.visits import Visit
from omnijourney.journey.v1.node_pb2 import Node


@dataclass(frozen=True, slots=True)
class NodePreview:
    """For the form of a message node."""

    samples: Pairs
    """Customers whose values it can be shown with."""
    sample: str
    """Which of them was chosen; empty: nobody."""
    shown: Preview | None = None
    """None while channel or content are not chosen."""


async def preview_of(visit: Visit, node: Node | None) -> NodePreview | None:
    """With the sample customer whom the form or the address names. None for what sends nothing."""
    if node is None or not node.HasField("message"):
        return None
    message = node.message
    samples = (await part(visit, samples_of(visit, message.channel))).answer or []
    form = await visit.form()
    sample = chosen_sample(form if "sample" in form else visit.request.query, samples)
    shown = None
    if message.channel and message.bot_module_id:
        shown = await module_preview(visit, message.bot_module_id, message.channel, sample)
    elif message.channel and message.template.template_id:
        shown = await template_preview(visit, message.template, sample)
    return NodePreview(samples, sample, shown)
