"""Proto ⇄ domain for sends and deliveries. Pure; collects every fault of a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import structlog

from libs.common.rpc.errors import reason_named
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.validation import plain_faults
from libs.common.rpc.values import timestamp
from libs.common.tracing import read_context
from omnijourney.channel_gateway.v1 import delivery_pb2, quota_pb2
from omnijourney.common.v1 import error_reason_pb2, money_pb2
from omnijourney.internal.v1 import send_pb2, sends_service_pb2
from services.channel_gateway.convert.templates import template_content_of
from services.channel_gateway.domain.content import ModuleContent, TemplateContent
from services.channel_gateway.domain.model import (
    NODE_ID_MAX,
    SENDS_MAX,
    AwaitedSend,
    Channel,
    Reason,
    Recipient,
    Send,
    SendAnswer,
    SendState,
    is_test,
)
from services.channel_gateway.domain.receipts import ReceiptKind, shown

DEPTH_MAX: Final = 1_000
EXTERNAL_ID_MAX: Final = 200
_LOGGED_MAX: Final = 50

_log = structlog.get_logger(__name__)
Row = Mapping[str, Any]


def sends_of(request: sends_service_pb2.SendMessagesRequest) -> list[Send | SendAnswer]:
    """The sends of a batch, or the answers to those that are faulty whatever is stored. Raises InvalidArgument."""
    check = FieldCheck()
    check.count("sends", request.sends, least=1, most=SENDS_MAX)
    check.done()
    # What holds no byte 0 holds no text with U+0000: the walk over all texts is for few batches.
    suspect = b"\0" in request.SerializeToString()
    faulty: list[list[str]] = []
    read = [_read(message, faulty, suspect=suspect) for message in request.sends]
    if faulty:
        # What they hold is not said: it may be anything.
        _log.error("sends are faulty", count=len(faulty), faults_of_first=faulty[0])
    return read


def awaited_sends_of(request: sends_service_pb2.FindLostSendsRequest) -> list[AwaitedSend]:
    """The sends that are asked about. Raises InvalidArgument."""
    check = FieldCheck()
    check.count("sends", request.sends, least=1, most=SENDS_MAX)
    check.done()
    sends = [
        AwaitedSend(
            check.uuid(f"sends[{place}].team_id", send.team_id),
            check.uuid(f"sends[{place}].customer_id", send.customer_id),
            check.uuid(f"sends[{place}].effect_key", send.effect_key),
            check.whole(f"sends[{place}].after_number", send.after_number, least=0, most=2**62),
        )
        for place, send in enumerate(request.sends)
    ]
    check.done()
    return sends


def _read(message: send_pb2.Send, faulty: list[list[str]], *, suspect: bool) -> Send | SendAnswer:
    check = FieldCheck()
    send = _send_of(check, message)
    if suspect:
        check.violations += plain_faults(message)
    if not check.violations:
        return send
    faulty.append([f"{fault.field} {fault.description}" for fault in check.violations[:_LOGGED_MAX]])
    return SendAnswer(SendState.FAILED, Reason.INVALID_FIELDS)


def _send_of(check: FieldCheck, message: send_pb2.Send) -> Send:
    return Send(
        check.uuid("effect_key", message.effect_key),
        check.uuid("team_id", message.team_id),
        check.uuid("customer_id", message.customer_id),
        check.uuid("enrolment_id", message.enrolment_id),
        check.uuid("journey_id", message.journey_id),
        check.text("node_id", message.node_id, length_max=NODE_ID_MAX),
        channel_of(check, "channel", message.channel),
        check.optional_uuid("account_id", message.account_id),
        _content_of(check, message),
        check.whole("cap", message.cap, least=0, most=10**12) if message.HasField("cap") else None,
        check.time("not_after", message, "not_after") if message.HasField("not_after") else None,
        check.whole("stop_epoch", message.stop_epoch, least=0, most=2**62),
        check.whole("depth", message.depth, least=0, most=DEPTH_MAX),
        _recipient_of(check, message.recipient) if message.HasField("recipient") else None,
        message.waits_for_room,
        dict(message.trigger_data) or None,
        read_context(message.trace_context),
    )


def _recipient_of(check: FieldCheck, message: send_pb2.Recipient) -> Recipient:
    external_id = check.text("recipient.external_id", message.external_id, length_max=EXTERNAL_ID_MAX)
    return Recipient(external_id, message.name)


def _content_of(check: FieldCheck, message: send_pb2.Send) -> ModuleContent | TemplateContent:
    kind = message.WhichOneof("content")
    if kind == "template":
        return template_content_of(
            check, "template.", "template_id", message.template.template_id, message.template
        )
    if kind is None:
        check.fault("content", "is required: a bot module or a template")
    return ModuleContent(check.uuid("bot_module_id", message.bot_module_id))


def channel_of(check: FieldCheck, field: str, number: int) -> Channel:
    """A required channel."""
    try:
        return Channel(number)
    except ValueError:
        check.fault(field, "is required: one of the four channels")
        return Channel.LINE


def result_of(answer: SendAnswer) -> send_pb2.SendResult:
    """The answer to one send."""
    return send_pb2.SendResult(
        state=delivery_pb2.SendState.ValueType(answer.state),
        reason=answer.reason,
        messages=answer.messages,
        replayed=answer.replayed,
        settle_time=timestamp(answer.settled_at) if answer.settled_at else None,
        room_time=timestamp(answer.room_at) if answer.room_at else None,
    )


def shown_state(state: int) -> delivery_pb2.SendState.ValueType:
    """A state as callers see it: in flight is still accepted."""
    shown = SendState.ACCEPTED if state == SendState.IN_FLIGHT else state
    return delivery_pb2.SendState.ValueType(shown)


def stored_states(state: int) -> list[int] | None:
    """The states that a filter means; None for any."""
    if not state:
        return None
    return [SendState.ACCEPTED, SendState.IN_FLIGHT] if state == SendState.ACCEPTED else [state]


_PREFIX: Final = "ERROR_REASON_"
_OWN_REASONS: Final = [
    "",
    Reason.KEY_REUSED.value,
    *(
        name.removeprefix(_PREFIX)
        for name, number in error_reason_pb2.ErrorReason.items()
        if number not in {0, error_reason_pb2.ERROR_REASON_CHANNEL_REFUSED}
        and name.removeprefix(_PREFIX) != "REFUSED"
    ),
]
"""All that `reason_of` does not take for a channel's own code."""


def reason_of(reason: str) -> error_reason_pb2.ErrorReason.ValueType:
    """Why a send ended as it did; what the contract has no name for is the channel's own."""
    if reason == Reason.KEY_REUSED:
        return error_reason_pb2.ERROR_REASON_EFFECT_KEY_REUSED
    if reason == "REFUSED":
        return error_reason_pb2.ERROR_REASON_CHANNEL_REFUSED
    try:
        return reason_named(reason)
    except ValueError:
        return error_reason_pb2.ERROR_REASON_CHANNEL_REFUSED


def stored_reasons(number: int) -> tuple[Sequence[str] | None, bool]:
    """The reasons that a filter means, None for any, and whether it is one of these or none of these."""
    if not number:
        return None, True
    if number == error_reason_pb2.ERROR_REASON_CHANNEL_REFUSED:
        return _OWN_REASONS, False
    if number == error_reason_pb2.ERROR_REASON_EFFECT_KEY_REUSED:
        return [Reason.KEY_REUSED], True
    return [error_reason_pb2.ErrorReason.Name(number).removeprefix(_PREFIX)], True  # type: ignore[arg-type]


def delivery_of(row: Row) -> delivery_pb2.Delivery:
    """A delivery for people."""
    reason = reason_of(row["reason"])
    test = is_test(row["journey_id"], row["node_id"])
    return delivery_pb2.Delivery(
        effect_key=str(row["effect_key"]),
        team_id=str(row["team_id"]),
        customer_id=str(row["customer_id"]),
        journey_id="" if test else str(row["journey_id"]),
        node_id="" if test else row["node_id"],
        enrolment_id="" if test else str(row["enrolment_id"]),
        channel=row["channel"],
        account_id=_id(row["account_id"]),
        state=shown_state(row["state"]),
        reason=reason,
        attempts=row["attempts"],
        messages=row["messages"],
        price=money_pb2.Money(
            currency_code=row["currency"], amount_micros=row["price_micros"] * row["messages"]
        ),
        channel_message_ids=row["message_ids"],
        create_time=timestamp(row["created_at"]),
        settle_time=timestamp(row["settled_at"]) if row["settled_at"] else None,
        receipt=shown(row["receipt"]),  # type: ignore[arg-type]  # the numbers are those of the contract
        test=test,
        channel_code=row["reason"] if reason == error_reason_pb2.ERROR_REASON_CHANNEL_REFUSED else "",
    )


_FIGURES: Final = {
    SendState.SENT: "sends_sent",
    SendState.SKIPPED: "sends_skipped",
    SendState.FAILED: "sends_failed",
    SendState.UNKNOWN: "sends_unknown",
    SendState.EXHAUSTED: "sends_exhausted",
    SendState.CANCELLED: "sends_cancelled",
    SendState.ACCEPTED: "sends_pending",
    SendState.IN_FLIGHT: "sends_pending",
}


_RECEIPTS: Final = {
    ReceiptKind.DELIVERED: "sends_delivered",
    ReceiptKind.READ: "sends_read",
    ReceiptKind.REPLIED: "sends_replied",
}


def figures_of(rows: Iterable[Row], refunds: Iterable[Row]) -> list[quota_pb2.ChannelFigures]:
    """Figures by channel from counts by channel, state, currency and receipt, and from refunds by channel and
    currency."""
    channels: dict[int, quota_pb2.ChannelFigures] = {}
    costs: dict[tuple[int, str], int] = {}
    for row in rows:
        figures = channels.setdefault(row["channel"], quota_pb2.ChannelFigures(channel=row["channel"]))
        name = _FIGURES.get(SendState(row["state"]))
        if name is not None:
            setattr(figures, name, getattr(figures, name) + row["sends"])
        _add_receipts(figures, row["receipt"], row["sends"])
        if row["state"] != SendState.UNKNOWN:
            figures.messages_sent += row["messages"]
        if row["currency"]:
            key = (row["channel"], row["currency"])
            costs[key] = costs.get(key, 0) + row["micros"]
    for (channel, currency), micros in sorted(costs.items()):
        channels[channel].costs.add(currency_code=currency, amount_micros=micros)
    for row in refunds:
        refunded = channels[row["channel"]].refunds
        refunded.add(currency_code=row["currency"], amount_micros=row["micros"])
    return [channels[channel] for channel in sorted(channels)]


def _add_receipts(figures: quota_pb2.ChannelFigures, receipt: int, sends: int) -> None:
    """What was delivered may have failed in part, and what was read was delivered."""
    came = receipt & ~ReceiptKind.FAILED
    names = [name for kind, name in _RECEIPTS.items() if came >= kind]
    if receipt & ReceiptKind.FAILED:
        names.append("sends_failed_later")
    for name in names:
        setattr(figures, name, getattr(figures, name) + sends)


def _id(value: UUID | None) -> str:
    return str(value) if value is not None else ""
