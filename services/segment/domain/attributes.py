"""Which attributes, and which of their values, count."""

from __future__ import annotations

from libs.common.audience.expressions import AttributeType
from libs.common.audience.values import ValueFault, canonical
from libs.common.errors import FailedPrecondition, FieldViolation, InvalidArgument
from services.segment.domain.model import Attribute, AttributeValue


def is_usable(attribute: Attribute | None, kind: AttributeType | None = None) -> bool:
    """Whether the attribute exists, is active and, if one is asked for, of the type."""
    return attribute is not None and not attribute.archived and (kind is None or attribute.type == kind)


def check_merge(goes: Attribute, stays: Attribute) -> None:
    """Raises InvalidArgument for attributes of two types, FailedPrecondition `ATTRIBUTE_UNAVAILABLE` where the one that
    stays is archived."""
    if goes.type != stays.type:
        said = f"is of type {stays.type.name}, {goes.key} of {goes.type.name}: give one of them the other's type first"
        raise InvalidArgument.of(FieldViolation("into_key", said))
    if stays.archived:
        message = f"the attribute {stays.key} is archived: restore it first"
        raise FailedPrecondition("ATTRIBUTE_UNAVAILABLE", message, metadata={"key": stays.key})


def fitted(kind: AttributeType, text: str) -> str | None:
    """A value of another type as one of this, in canonical form; None: it does not fit."""
    try:
        return canonical(kind, text)
    except ValueFault:
        return None


def visible_text(attribute: Attribute | None, value: AttributeValue | None) -> str | None:
    """The value as it counts now: a value of a type before is none."""
    if attribute is None or value is None or value.type != attribute.type:
        return None
    return value.text
