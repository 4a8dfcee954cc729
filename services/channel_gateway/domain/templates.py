"""What becomes of our templates when their channel lists its own. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec

from services.channel_gateway.domain.content import Template, TemplateShape, TemplateState


class ListedTemplate(NamedTuple):
    """A template as its channel has it."""

    name: str
    language: str
    state: TemplateState
    category: str
    parameter_names: tuple[str, ...]
    parameter_count: int
    shape: TemplateShape
    rejected_reason: str = ""


class TemplateChanges(NamedTuple):
    """What a list of the channel's changes."""

    added: list[ListedTemplate]
    changed: list[Template]
    """As they are now."""
    gone: list[Template]
    """The channel has them no more: they are disabled."""
    stopping: list[UUID]
    """Those that were not disabled before."""


def compared(ours: Sequence[Template], found: Sequence[ListedTemplate]) -> TemplateChanges:
    """Templates go by name and language. `ours` are those of one account, `found` all that the channel has of it."""
    known = {(each.name, each.language): each for each in ours}
    listed = {(each.name, each.language): each for each in found}
    added = [each for key, each in listed.items() if key not in known]
    changed = [
        now
        for key, each in listed.items()
        if key in known and (now := _taken_over(known[key], each)) != known[key]
    ]
    missing = [each for key, each in known.items() if key not in listed]
    gone = [
        msgspec.structs.replace(each, state=TemplateState.DISABLED, rejected_reason="")
        for each in missing
        if each.state is not TemplateState.DISABLED
    ]
    before = {each.template_id: each.state for each in ours}
    stopping = [
        each.template_id
        for each in (*changed, *gone)
        if each.state is TemplateState.DISABLED and before[each.template_id] is not TemplateState.DISABLED
    ]
    return TemplateChanges(added, changed, gone, stopping)


def _taken_over(template: Template, found: ListedTemplate) -> Template:
    return msgspec.structs.replace(
        template,
        state=found.state,
        category=found.category,
        parameter_names=found.parameter_names,
        parameter_count=found.parameter_count,
        shape=found.shape,
        rejected_reason=found.rejected_reason,
    )
