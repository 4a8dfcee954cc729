"""A message to one customer that tries content: marked as a test, and in no figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from libs.console.faults import Faults
from libs.console.forms import refusal, status_of
from libs.console.languages import noted
from libs.console.previews import recipient
from libs.console.visits import Visit
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.client import CallError
from omnijourney.common.v1 import error_reason_pb2

FIELDS: Final = {
    "customer_id": "customer",
    "channel_account_id": "account",
    "parameters": "parameters",
    "header_parameter": "header_parameters",
    "header_media": "header_url",
    "button_parameters": "button_parameters",
    "message_template_id": "parameters",
}
_REASONS: Final[Mapping[int, str]] = {
    error_reason_pb2.ERROR_REASON_UNBOUND: noted("The customer is not bound to this account."),
    error_reason_pb2.ERROR_REASON_BLOCKED: noted("The customer has blocked this account."),
    error_reason_pb2.ERROR_REASON_OPTED_OUT: noted("The customer wants no messages."),
    error_reason_pb2.ERROR_REASON_OUTSIDE_WINDOW: noted(
        "The customer has not written for too long: WhatsApp takes a message template only."
    ),
    error_reason_pb2.ERROR_REASON_ACCOUNT_DISABLED: noted("The account is switched off."),
    error_reason_pb2.ERROR_REASON_ACCOUNT_UNUSABLE: noted("The channel refuses the account: check it."),
    error_reason_pb2.ERROR_REASON_WHATSAPP_BALANCE_EXHAUSTED: noted("The prepaid balance is used up."),
    error_reason_pb2.ERROR_REASON_LINE_QUOTA_EXHAUSTED: noted("The month's messages of LINE are used up."),
}
_SENT: Final = frozenset({delivery_pb2.SEND_STATE_SENT, delivery_pb2.SEND_STATE_ACCEPTED})


@dataclass(frozen=True, slots=True)
class Tested:
    """What became of a test."""

    faults: Faults
    """Of the form; without any it was asked for."""
    status: int = 200
    delivery: delivery_pb2.Delivery | None = None

    def shown(self, visit: Visit, path: str) -> web.Response:
        """The page `path`, with what became of it above."""
        assert self.delivery is not None
        if self.delivery.state in _SENT:
            return visit.go(path, noted("The test message is sent."))
        said = visit.say(noted("The test message was not sent: the customer cannot get it."))
        reason = visit.say(_REASONS[self.delivery.reason]) if self.delivery.reason in _REASONS else ""
        visit.session.note("fault", " ".join(filter(None, (said, reason, self.delivery.channel_code))))
        return visit.go(path)


async def send_test(visit: Visit, given: Mapping[str, str], **content: Any) -> Tested:
    """Sends `content` to the customer and through the account that a form names. Raises CallError."""
    customer_id, wrong = await recipient(visit, given.get("customer", ""))
    if wrong:
        return Tested(Faults({"customer": wrong}), 422)
    request = gateway.SendTestMessageRequest(
        team_id=visit.team_id,
        request_id=given["request_id"],
        customer_id=customer_id,
        channel_account_id=given.get("account", ""),
        **content,
    )
    try:
        answer = await visit.call(visit.client.channel_gateway.SendTestMessage, request)
    except CallError as error:
        return Tested(refusal(visit, error, FIELDS), status_of(error))
    return Tested(Faults(), delivery=answer.delivery)
