"""What is wrong with an event that starts a journey, is waited for in one, or is its goal: each fault with its path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from libs.common.errors import FieldViolation
from libs.common.money import is_known_currency
from services.journey.domain.model import (
    AttributeTrigger,
    CheckoutTrigger,
    Definition,
    ReplyEvent,
    SystemTriggerKind,
    TagTrigger,
    Trigger,
    Wait,
)
from services.journey.domain.texts import (
    BUTTON_DATA_LENGTH_MAX,
    ITEM_LENGTH_MAX,
    REPLY_LENGTH_MAX,
    TAG_LENGTH_MAX,
    VALUE_LENGTH_MAX,
    key_faults,
    line_faults,
)

NAMES_MAX: Final = 100
SPAN: Final = "must be 1 minute to 365 days, in whole minutes"
"""Of delays and waits."""
_SECONDS_MAX: Final = 365 * 86_400
_ABOUT: Final = (CheckoutTrigger, AttributeTrigger, TagTrigger)
"""Events that are about something which others can be about as well."""


def is_span(seconds: int) -> bool:
    """Whether a delay, or a wait, may be so long."""
    return 60 <= seconds <= _SECONDS_MAX and seconds % 60 == 0


def inside_faults(path: str, event: Trigger, definition: Definition) -> Iterator[FieldViolation]:
    """Faults of an event that those who are inside are asked for."""
    if isinstance(event, ReplyEvent):
        yield from _reply(f"{path}.customer_replied", event, definition)
    if isinstance(event, SystemTriggerKind):
        yield FieldViolation(f"{path}.system", "is no event of the customer")
    yield from event_faults(path, event)


def wait_faults(path: str, wait: Wait, definition: Definition) -> Iterator[FieldViolation]:
    """Faults of a wait in a journey."""
    if not is_span(wait.seconds):
        yield FieldViolation(f"{path}.timeout", SPAN)
    if wait.event is not None:
        yield from inside_faults(f"{path}.event", wait.event, definition)
    compared = [event for event in (definition.trigger, wait.event) if event is not None]
    if wait.same_subject and not all(isinstance(event, _ABOUT) for event in compared):
        yield FieldViolation(
            f"{path}.same_subject",
            "is possible where trigger and event are each of an order, a tag or an attribute",
        )


def event_faults(path: str, event: Trigger) -> Iterator[FieldViolation]:
    """Faults of any event."""
    match event:
        case CheckoutTrigger() as checkout:
            yield from _checkout(f"{path}.checkout_completed", checkout)
        case TagTrigger(tags=tags):
            yield from _names(f"{path}.tag_applied.tags", tags, TAG_LENGTH_MAX)
        case AttributeTrigger(keys=keys, any_of=values):
            if not 1 <= len(keys) <= NAMES_MAX:
                yield FieldViolation(f"{path}.attribute_changed.keys", f"needs 1 to {NAMES_MAX} keys")
            yield from key_faults(f"{path}.attribute_changed.keys", keys)
            yield from line_faults(f"{path}.attribute_changed.value.any_of", values, VALUE_LENGTH_MAX)


def _reply(path: str, reply: ReplyEvent, definition: Definition) -> Iterator[FieldViolation]:
    if reply.text_match:
        yield from _names(f"{path}.text.texts", reply.texts, REPLY_LENGTH_MAX)
    if reply.button is None:
        return
    node_id, data = reply.button.message_node_id, reply.button.data
    if node_id and node_id not in definition.messages:
        field = f"{path}.button.message_node_id"
        yield FieldViolation(field, f"names no message node of the journey: {node_id!r}")
    if len(data) > NAMES_MAX:
        yield FieldViolation(f"{path}.button.data", f"may be {NAMES_MAX} at most")
    yield from line_faults(f"{path}.button.data", data, BUTTON_DATA_LENGTH_MAX)


def _names(field: str, texts: tuple[str, ...], length_max: int) -> Iterator[FieldViolation]:
    if not 1 <= len(texts) <= NAMES_MAX:
        yield FieldViolation(field, f"needs 1 to {NAMES_MAX} of them")
    yield from line_faults(field, texts, length_max)


def _checkout(path: str, trigger: CheckoutTrigger) -> Iterator[FieldViolation]:
    low, high = trigger.at_least, trigger.at_most
    if trigger.item_match:
        yield from _names(f"{path}.item.names", trigger.item_names, ITEM_LENGTH_MAX)
    if low is not None and high is not None and low > high:
        yield FieldViolation(f"{path}.amount", "at_least must not be above at_most")
    if trigger.currency and not is_known_currency(trigger.currency):
        end = "at_most" if low is None else "at_least"
        yield FieldViolation(
            f"{path}.amount.{end}.currency_code", "must be a code of ISO 4217, such as TWD, or empty"
        )
