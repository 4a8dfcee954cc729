"""Values of custom attributes: one canonical text per value, checked by type."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from libs.common.audience.expressions import AttributeType
from libs.common.audience.values import ValueFault, parse_date, parse_number
from services.segment.domain.model import Attribute, AttributeValue

TEXT_LENGTH_MAX: Final = 2_000


def canonical(kind: AttributeType, text: str) -> str:
    """The one text of a value of the type. Raises ValueFault."""
    match kind:
        case AttributeType.TEXT:
            if not 0 < len(text) <= TEXT_LENGTH_MAX:
                raise ValueFault("must have 1 to 2,000 characters")
            return text
        case AttributeType.NUMBER:
            return _canonical_number(parse_number(text))
        case AttributeType.DATE:
            return parse_date(text).isoformat()
        case AttributeType.BOOLEAN:
            if text not in {"true", "false"}:
                raise ValueFault("must be true or false")
            return text


def _canonical_number(number: Decimal) -> str:
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, point, fraction = digits.partition(".")
    digits = (whole.lstrip("0") or "0") + point + fraction
    return digits if digits == "0" else sign + digits


def is_usable(attribute: Attribute | None, kind: AttributeType | None = None) -> bool:
    """Whether the attribute exists, is active and, if one is asked for, of the type."""
    return attribute is not None and not attribute.archived and (kind is None or attribute.type == kind)


def visible_text(attribute: Attribute | None, value: AttributeValue | None) -> str | None:
    """The value as it counts now: a value of a type before is none."""
    if attribute is None or value is None or value.type != attribute.type:
        return None
    return value.text
