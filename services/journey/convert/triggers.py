"""Contract to domain and back: events that start a journey, are waited for in one, or are its goal."""

from __future__ import annotations

from typing import Any, Final

from libs.common.text import as_seen
from omnijourney.common.v1 import money_pb2
from omnijourney.journey.v1 import trigger_pb2
from services.journey.convert.reading import Reading
from services.journey.convert.value_tests import add_value_test, value_test_from
from services.journey.domain import model as d

_MATCHES: Final = {
    trigger_pb2.ITEM_MATCH_IS: "is",
    trigger_pb2.ITEM_MATCH_CONTAINS: "contains",
}
_MATCH_NUMBERS: Final = {text: number for number, text in _MATCHES.items()}


def trigger_from(holder: Any, field: str, path: str, check: Reading) -> d.Trigger | None:
    """The event in a field of a message, None where there is none that can be read. `path` is the field's in the
    definition."""
    if not holder.HasField(field):
        return None
    sent: trigger_pb2.Trigger = getattr(holder, field)
    match sent.WhichOneof("kind"):
        case "checkout_completed":
            return _checkout_from(sent.checkout_completed, f"{path}.checkout_completed", check)
        case "contact_added":
            return d.ContactTrigger()
        case "tag_applied":
            return d.TagTrigger(tuple(map(as_seen, sent.tag_applied.tags)))
        case "attribute_changed":
            changed = sent.attribute_changed
            test = value_test_from(changed, f"{path}.attribute_changed.value", check.gap)
            return d.AttributeTrigger(tuple(changed.keys), tuple(changed.value.any_of), test)
        case "system":
            return d.SystemTriggerKind()
        case "customer_replied":
            return _reply_from(sent.customer_replied, f"{path}.customer_replied", check)
        case _:
            check.gap(path, "names no kind of event")
            return None


def _checkout_from(sent: trigger_pb2.CheckoutCompleted, path: str, check: Reading) -> d.CheckoutTrigger:
    match = ""
    if sent.HasField("item"):
        match = _MATCHES.get(sent.item.match, "")
        if not match:
            check.gap(f"{path}.item.match", "is required: IS or CONTAINS")
    low, high = sent.amount.at_least, sent.amount.at_most
    currencies = {money.currency_code for money in (low, high)} - {""}
    if len(currencies) > 1:
        check.gap(f"{path}.amount", "has two currencies")
    return d.CheckoutTrigger(
        item_match=match,
        # What a name is to contain may begin with a blank.
        item_names=tuple(map(as_seen, sent.item.names) if match == "is" else sent.item.names),
        at_least=low.amount_micros if sent.amount.HasField("at_least") else None,
        at_most=high.amount_micros if sent.amount.HasField("at_most") else None,
        currency=min(currencies, default=""),
    )


def _reply_from(sent: trigger_pb2.CustomerReplied, path: str, check: Reading) -> d.ReplyEvent:
    match sent.WhichOneof("kind"):
        case "text":
            how = _MATCHES.get(sent.text.match, "")
            if not how:
                check.gap(f"{path}.text.match", "is required: IS or CONTAINS")
            return d.ReplyEvent(how, tuple(sent.text.texts))
        case "button":
            button = d.ButtonReply(sent.button.message_node_id, tuple(sent.button.data))
            return d.ReplyEvent(button=button)
        case _:
            return d.ReplyEvent()


def _reply_message(reply: d.ReplyEvent) -> trigger_pb2.CustomerReplied:
    message = trigger_pb2.CustomerReplied()
    if reply.text_match:
        message.text.match = _MATCH_NUMBERS[reply.text_match]
        message.text.texts.extend(reply.texts)
    if reply.button is not None:
        message.button.message_node_id = reply.button.message_node_id
        message.button.data.extend(reply.button.data)
        message.button.SetInParent()
    return message


def trigger_message(trigger: d.Trigger) -> trigger_pb2.Trigger:
    """An event as the contract has it."""
    message = trigger_pb2.Trigger()
    match trigger:
        case d.CheckoutTrigger():
            message.checkout_completed.CopyFrom(_checkout_message(trigger))
        case d.ContactTrigger():
            message.contact_added.SetInParent()
        case d.TagTrigger():
            message.tag_applied.tags.extend(trigger.tags)
        case d.AttributeTrigger():
            message.attribute_changed.keys.extend(trigger.keys)
            if trigger.any_of:
                message.attribute_changed.value.any_of.extend(trigger.any_of)
            if trigger.test is not None:
                add_value_test(message.attribute_changed.value, trigger.test)
        case d.SystemTriggerKind():
            message.system.SetInParent()
        case d.ReplyEvent():
            message.customer_replied.CopyFrom(_reply_message(trigger))
    return message


def _checkout_message(trigger: d.CheckoutTrigger) -> trigger_pb2.CheckoutCompleted:
    message = trigger_pb2.CheckoutCompleted()
    if trigger.item_match:
        message.item.match = _MATCH_NUMBERS[trigger.item_match]
        message.item.names.extend(trigger.item_names)
    if trigger.at_least is not None:
        message.amount.at_least.CopyFrom(_money(trigger.currency, trigger.at_least))
    if trigger.at_most is not None:
        message.amount.at_most.CopyFrom(_money(trigger.currency, trigger.at_most))
    return message


def _money(currency: str, micros: int) -> money_pb2.Money:
    return money_pb2.Money(currency_code=currency, amount_micros=micros)
