"""What people should look at before they publish a definition, by itself. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from libs.common.errors import FieldViolation
from libs.common.text import fold
from libs.common.text_variables import POINTS, parts_of
from services.journey.domain import model as d

CIRCLE = "may start this journey again for the customer, up to 16 times in a chain"


def warnings_of(definition: d.Definition) -> Iterator[FieldViolation]:
    """Circles, and parameters that are empty for some customers."""
    for index, node in enumerate(definition.nodes):
        path = f"nodes[{index}]"
        match node.action, definition.trigger:
            case d.Tags(add=add), d.TagTrigger(tags=tags) if _folded(add) & _folded(tags):
                yield FieldViolation(f"{path}.tags.add", CIRCLE)
            case d.Attribute(key=key), d.AttributeTrigger(keys=keys) if key in keys:
                yield FieldViolation(f"{path}.attribute.key", CIRCLE)
            case d.Message(template=d.Template() as template), _:
                for field, text in template.texts:
                    if text and _may_be_empty(text):
                        yield FieldViolation(
                            f"{path}.message.template.{field}",
                            "is empty for customers without a value, and their message fails: give it a default",
                            "TEMPLATE_PARAMETERS",
                        )


def _may_be_empty(text: str) -> bool:
    """Whether there is nothing in it but variables without a default; points always have a value."""
    parts = parts_of(text)
    return bool(parts) and all(
        not part.strip() if isinstance(part, str) else not part.default and not part.name.startswith(POINTS)
        for part in parts
    )


def _folded(texts: tuple[str, ...]) -> set[str]:
    return {fold(text) for text in texts}
