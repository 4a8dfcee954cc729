"""Canonical values of custom attributes."""

from __future__ import annotations

import pytest

from libs.common.audience.expressions import AttributeType
from libs.common.audience.values import ValueFault, canonical


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (AttributeType.NUMBER, "0012.500", "12.5"),
        (AttributeType.NUMBER, "-0", "0"),
        (AttributeType.NUMBER, "-0.10", "-0.1"),
        (AttributeType.NUMBER, "100", "100"),
        (AttributeType.DATE, "2026-02-28", "2026-02-28"),
        (AttributeType.BOOLEAN, "false", "false"),
        (AttributeType.TEXT, " Ａ ", " Ａ "),
    ],
)
def test_a_value_has_one_text(kind: AttributeType, text: str, expected: str) -> None:
    assert canonical(kind, text) == expected


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (AttributeType.NUMBER, "1e3"),
        (AttributeType.NUMBER, "+1"),
        (AttributeType.NUMBER, "1" * 31),
        (AttributeType.NUMBER, "１"),
        (AttributeType.DATE, "2026-2-1"),
        (AttributeType.DATE, "20260201"),
        (AttributeType.BOOLEAN, "yes"),
        (AttributeType.TEXT, ""),
        (AttributeType.TEXT, "x" * 2_001),
    ],
)
def test_anything_else_is_refused(kind: AttributeType, text: str) -> None:
    with pytest.raises(ValueFault):
        canonical(kind, text)
