"""Which condition of a trigger an event does not meet: what `matches` says in a word, for people."""

from __future__ import annotations

from typing import Final, NamedTuple

from libs.common.mailbox import mail as m
from services.journey.domain.entry_causes import EntryCause
from services.journey.domain.matching import has_item, matches
from services.journey.domain.model import (
    AttributeTrigger,
    Channel,
    CheckoutTrigger,
    ContactTrigger,
    Journey,
    SystemTriggerKind,
    TagTrigger,
)
from services.journey.domain.values import meets

VALUE_MAX: Final = 200
"""Characters of a value that are shown."""
_CHANNELS: Final = {channel.value: channel.name for channel in Channel}


class Unmet(NamedTuple):
    """A condition of a definition by its path, what the event had there, and both in a sentence."""

    field: str
    value: str
    message: str
    cause: EntryCause


def unmet(journey: Journey, body: m.Body) -> Unmet | None:
    """The first condition that the event does not meet, None if it meets the trigger (see `matches`)."""
    found = _unmet(journey, body)
    if found is None or matches(journey, body):
        return None
    return found._replace(value=found.value[:VALUE_MAX])


def _unmet(journey: Journey, body: m.Body) -> Unmet | None:
    match body, journey.definition.trigger:
        case m.Checkout(), CheckoutTrigger() as trigger:
            return _order(trigger, body)
        case m.ContactAdded(), ContactTrigger():
            value = f"{_CHANNELS.get(body.channel, body.channel)} {body.account_id}"
            return Unmet(
                "targets",
                value,
                "the customer joined an account that is no target of the journey",
                EntryCause.OTHER_ACCOUNT,
            )
        case m.TagApplied(), TagTrigger():
            return Unmet(
                "trigger.tag_applied.tags", body.tag, "another tag was applied", EntryCause.OTHER_TAG
            )
        case m.AttributeChanged(), AttributeTrigger() as trigger:
            return _attribute(trigger, body)
        case m.SystemTrigger(), SystemTriggerKind():
            return Unmet(
                "trigger.system",
                str(body.journey_id),
                "another journey was triggered",
                EntryCause.OTHER_JOURNEY,
            )
        case m.Unreadable(), _:
            return Unmet(
                "trigger",
                type(body).__name__,
                "segment could not read the event",
                EntryCause.UNREADABLE_EVENT,
            )
        case _:
            return Unmet(
                "trigger",
                type(body).__name__,
                "the trigger waits for another kind of event",
                EntryCause.OTHER_EVENT,
            )


def _order(trigger: CheckoutTrigger, order: m.Checkout) -> Unmet | None:
    path, amount = "trigger.checkout_completed", _amount(order)
    low, high = trigger.at_least, trigger.at_most
    if order.test:
        return Unmet(path, "test", "a test order starts no journeys", EntryCause.TEST_ORDER)
    if not order.earns:
        return Unmet(
            path,
            "uncounted",
            "an order that does not count, as of an unsigned source, starts no journeys",
            EntryCause.UNCOUNTED_ORDER,
        )
    if trigger.currency and order.currency != trigger.currency:
        end = "at_most" if low is None else "at_least"
        field = f"{path}.amount.{end}.currency_code"
        return Unmet(
            field, order.currency, f"the order was not in {trigger.currency}", EntryCause.OTHER_CURRENCY
        )
    if low is not None and order.amount_micros < low:
        return Unmet(
            f"{path}.amount.at_least", amount, "the order's amount was lower", EntryCause.AMOUNT_TOO_LOW
        )
    if high is not None and order.amount_micros > high:
        return Unmet(
            f"{path}.amount.at_most", amount, "the order's amount was higher", EntryCause.AMOUNT_TOO_HIGH
        )
    if not has_item(trigger, order.items):
        return Unmet(
            f"{path}.item.names",
            ", ".join(order.items),
            "no item of the order has such a name",
            EntryCause.NO_SUCH_ITEM,
        )
    return None


def _amount(order: m.Checkout) -> str:
    whole, micros = divmod(order.amount_micros, 1_000_000)
    return f"{whole}.{f'{micros:06}'.rstrip('0'):<02} {order.currency}"


def _attribute(trigger: AttributeTrigger, change: m.AttributeChanged) -> Unmet | None:
    path = "trigger.attribute_changed"
    if change.key not in trigger.keys:
        return Unmet(f"{path}.keys", change.key, "another attribute got a value", EntryCause.OTHER_ATTRIBUTE)
    if change.new is None:
        return Unmet(f"{path}.value", "", f"the value of {change.key} was removed", EntryCause.VALUE_REMOVED)
    if not meets(trigger, change.kind, change.new):
        return Unmet(
            f"{path}.value",
            change.new,
            f"the new value of {change.key} does not meet the condition",
            EntryCause.VALUE_NOT_MET,
        )
    return None
