"""Why a journey did not let somebody in, or a message did not leave: the reasons of the contract in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from libs.console.languages import noted
from libs.console.visits import Visit
from omnijourney.common.v1.error_reason_pb2 import ErrorReason

_PREFIX: Final = "ERROR_REASON_"
REASONS: Final[Mapping[str, str]] = {
    "ACCOUNT_DISABLED": noted("the channel account is switched off"),
    "ACCOUNT_MISSING": noted("the channel account was deleted"),
    "ACCOUNT_UNUSABLE": noted("the channel refuses the account"),
    "ATTRIBUTE_UNAVAILABLE": noted("the attribute was archived or has another type"),
    "BLOCKED": noted("the customer blocked or left the account"),
    "BOT_MODULE_MISSING": noted("the bot module was deleted"),
    "CAUSATION_DEPTH": noted("journeys started each other more than 16 times in a row"),
    "CHANNEL_REFUSED": noted("the channel refused the message"),
    "CONTENT_INVALID": noted("the channel does not take the content"),
    "COUNTRY_RESTRICTED": noted("the channel does not deliver to the customer's country"),
    "CUSTOMER_ERASED": noted("the customer was erased"),
    "CUSTOMER_LIMIT": noted("the customer has entered as often as the journey allows"),
    "CUSTOMER_MERGED": noted("the customer was merged into another one"),
    "DELETED": noted("the content was deleted"),
    "DO_NOT_DISTURB": noted("do not disturb"),
    "ENROLMENT_ENDED": noted("somebody ended it"),
    "FLOW_BLOCKED": noted("the channel blocked the flow of the message"),
    "FREQUENCY_CAP_REACHED": noted("the team's frequency cap has no room"),
    "GONE_AT_CHANNEL": noted("the content is gone at the channel"),
    "IDENTITY_CHANGED": noted("the customer has another identity on the channel now"),
    "INSTAGRAM_CAP_REACHED": noted("the journey's limit of Instagram messages is reached"),
    "INSUFFICIENT_POINTS": noted("the customer has too few points"),
    "JOURNEY_STOPPED": noted("the journey was stopped"),
    "LINE_CAP_REACHED": noted("the journey's limit of LINE messages is reached"),
    "LINE_QUOTA_EXHAUSTED": noted("the LINE plan has no messages left this month"),
    "LIVE_LIMIT": noted("the customer is in too many journeys at once"),
    "MARKETING_OFF": noted("the customer takes no marketing messages on the channel"),
    "MESSENGER_CAP_REACHED": noted("the journey's limit of Messenger messages is reached"),
    "META_EXPERIMENT": noted("Meta held the message back for an experiment"),
    "META_LIMITED": noted("Meta held the message back to spare the customer"),
    "MODULE_MISSING": noted("the team does not have the module"),
    "NO_ANSWER": noted("the channel did not say whether it took the message"),
    "NOTHING_TO_SEND": noted("nothing is left of the content for this customer"),
    "OPTED_OUT": noted("the customer wants no messages"),
    "OUTSIDE_WINDOW": noted("the customer did not write within the last 24 hours"),
    "PLAN_LIMIT": noted("the plan's triggers of this month are used up"),
    "POINTS_OUT_OF_RANGE": noted("the points are out of range"),
    "RECIPIENT_INVALID": noted("the channel knows no such person"),
    "RECIPIENT_IS_SENDER": noted("the customer is the account itself"),
    "RECIPIENT_NOT_ALLOWED": noted("the account may not write to this customer"),
    "RETRIES_EXHAUSTED": noted("it did not leave within all attempts"),
    "SENDER_LOST": noted("the answer of the channel was lost"),
    "TEMPLATE_NOT_APPROVED": noted("the channel has not approved the template"),
    "TEMPLATE_PARAMETERS": noted("the parameters do not fit the template"),
    "TEMPLATE_PAUSED": noted("the channel paused the template"),
    "TEMPLATE_POLICY": noted("the template breaks a policy of the channel"),
    "TEMPLATE_TOO_LONG": noted("the text is too long with its parameters"),
    "UNBOUND": noted("the customer is not on the account"),
    "UNDELIVERABLE": noted("the channel could not deliver it"),
    "WHATSAPP_BALANCE_EXHAUSTED": noted("the prepaid balance does not cover the message"),
    "WHATSAPP_CAP_REACHED": noted("the journey's limit of WhatsApp messages is reached"),
    "WHATSAPP_TEMPLATE_MISSING": noted("the template was deleted"),
}
"""By their names without the prefix, as the details of steps have them."""


def in_words(visit: Visit, name: str) -> str:
    """A reason by its name; what is none of ours, such as a channel's own code, stays as it is."""
    return visit.say(REASONS[name]) if name in REASONS else name


def reason_in_words(visit: Visit, reason: ErrorReason.ValueType) -> str:
    """A reason of the contract; empty where there is none."""
    return in_words(visit, ErrorReason.Name(reason).removeprefix(_PREFIX)) if reason else ""
