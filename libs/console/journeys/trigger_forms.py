"""What starts a journey, ends it by its goal, or is waited for: one form for all three, its fields behind a prefix."""

from __future__ import annotations

from libs.console.journeys.reading import Reader
from omnijourney.journey.v1 import trigger_pb2
from omnijourney.journey.v1.trigger_pb2 import Trigger
from omnijourney.segment.v1 import audience_pb2

STARTING = ("checkout_completed", "contact_added", "tag_applied", "attribute_changed", "system")
"""What can start a journey, by the contract's names in the order of the form."""
WAITED = ("checkout_completed", "contact_added", "tag_applied", "attribute_changed", "customer_replied")
"""What can be waited for."""
_IS, _CONTAINS = trigger_pb2.ITEM_MATCH_IS, trigger_pb2.ITEM_MATCH_CONTAINS


def read_trigger(reader: Reader, prefix: str, currency: str, before: Trigger) -> Trigger:
    """What the form says. A condition that it cannot show is kept as it was."""
    kind = reader.text(f"{prefix}kind")
    found = Trigger()
    if kind == "checkout_completed":
        _read_checkout(reader, prefix, currency, found.checkout_completed)
    elif kind == "tag_applied":
        found.tag_applied.tags.extend(reader.texts(f"{prefix}tags"))
        found.tag_applied.SetInParent()
    elif kind == "attribute_changed":
        found.attribute_changed.keys.extend(reader.all(f"{prefix}keys"))
        found.attribute_changed.SetInParent()
        _read_value(reader, prefix, found.attribute_changed, before)
    elif kind == "customer_replied":
        found.customer_replied.SetInParent()
        if texts := reader.texts(f"{prefix}texts"):
            match = _IS if reader.text(f"{prefix}reply_match") == "is" else _CONTAINS
            found.customer_replied.text.MergeFrom(trigger_pb2.TextReply(match=match, texts=texts))
        elif before.customer_replied.HasField("button"):
            found.customer_replied.button.CopyFrom(before.customer_replied.button)
    elif kind in {"contact_added", "system"}:
        getattr(found, kind).SetInParent()
    return found


def _read_checkout(
    reader: Reader, prefix: str, currency: str, checkout: trigger_pb2.CheckoutCompleted
) -> None:
    checkout.SetInParent()
    if names := reader.texts(f"{prefix}items"):
        match = _IS if reader.text(f"{prefix}match") == "is" else _CONTAINS
        checkout.item.MergeFrom(trigger_pb2.ItemCondition(match=match, names=names))
    for field in ("at_least", "at_most"):
        if (amount := reader.money(f"{prefix}{field}", currency)) is not None:
            getattr(checkout.amount, field).CopyFrom(amount)


def _read_value(reader: Reader, prefix: str, changed: trigger_pb2.AttributeChanged, before: Trigger) -> None:
    values, number = reader.texts(f"{prefix}values"), reader.text(f"{prefix}number")
    if values:
        changed.value.any_of.extend(values)
    elif number:
        operator = reader.number(f"{prefix}operator", audience_pb2.COMPARE_OPERATOR_GREATER_OR_EQUAL)
        if operator not in audience_pb2.CompareOperator.values():
            operator = audience_pb2.COMPARE_OPERATOR_GREATER_OR_EQUAL
        test = audience_pb2.NumberTest(
            operator=audience_pb2.CompareOperator.ValueType(operator),
            value=number,
            upper=reader.text(f"{prefix}upper"),
        )
        changed.value.number.CopyFrom(test)
    elif before.attribute_changed.value.WhichOneof("test") in {"text", "date", "boolean"}:
        changed.value.CopyFrom(before.attribute_changed.value)
