"""Effects to the contracts of segment, points and the gateway, and their answers back."""

from __future__ import annotations

from typing import Final

from libs.common.own_zones import zone_named, zone_of_phone
from libs.common.rpc.values import datetime_of, timestamp
from omnijourney.channel_gateway.v1 import content_pb2
from omnijourney.common.v1 import channel_pb2, error_reason_pb2, money_pb2
from omnijourney.internal.v1 import change_pb2, postings_pb2, profile_pb2, send_pb2
from omnijourney.points.v1 import posting_pb2 as postings
from omnijourney.segment.v1 import segment_service_pb2 as segment_calls
from services.journey.domain import effects as fx
from services.journey.domain.model import HeaderMedia, Template

ACTOR: Final = "journey"
"""Who posts to the ledger."""

SegmentChange = fx.ChangeTags | fx.SetAttribute
OrderPosting = fx.EarnPoints | fx.RefundPoints


def verdict_from(answer: segment_calls.Evaluation) -> fx.Verdict:
    """The answer to a condition; whether the customer has a phone is known only where they were found."""
    looked_up = answer.verdict != segment_calls.VERDICT_IMPOSSIBLE
    return fx.Verdict(
        answer.verdict == segment_calls.VERDICT_YES,
        reason_text(answer.reason),
        answer.has_phone if looked_up else None,
        answer.seen,
    )


def zone_from(effect: fx.FindZone, profile: profile_pb2.Profile) -> fx.Zone:
    """By whose clock a customer lives: what the attribute says, else their phone."""
    named = zone_named(profile.attributes.get(effect.attribute, "")) if effect.attribute else ""
    return fx.Zone(named or zone_of_phone(profile.phone, effect.at))


def send_message(effect: fx.Send) -> send_pb2.Send:
    """A send as the gateway takes it."""
    send = send_pb2.Send(
        effect_key=str(effect.key),
        team_id=str(effect.team_id),
        customer_id=str(effect.customer_id),
        enrolment_id=str(effect.enrolment_id),
        journey_id=str(effect.journey_id),
        node_id=effect.node_id,
        channel=channel_pb2.Channel.ValueType(effect.channel),
        account_id=str(effect.account_id),
        cap=effect.cap,
        not_after=timestamp(effect.not_after) if effect.not_after else None,
        stop_epoch=effect.stop_epoch,
        waits_for_room=effect.waits_for_room,
    )
    if effect.template is not None:
        send.template.CopyFrom(template_message(effect.template))
    else:
        send.bot_module_id = str(effect.bot_module_id)
    if effect.trigger_data is not None:
        send.trigger_data.update(effect.trigger_data)
    if effect.recipient is not None:
        send.recipient.external_id = effect.recipient.external_id
        send.recipient.name = effect.recipient.name
    if effect.trace is not None:
        send.trace_context = effect.trace
    return send


def send_answer(result: send_pb2.SendResult) -> fx.SendAnswer:
    """The gateway's answer to a send; of one that was settled before, with when that was; of one that waits for room
    under the frequency cap, with when to ask again."""
    at = datetime_of(result.settle_time) if result.HasField("settle_time") else None
    if result.HasField("room_time"):
        at = datetime_of(result.room_time)
    return fx.SendAnswer(fx.SendState(result.state), result.reason, at)


def template_message(template: Template) -> send_pb2.TemplateContent:
    """A template and what fills it, as the gateway takes it."""
    return send_pb2.TemplateContent(
        template_id=str(template.template_id),
        parameters=template.parameters,
        header_parameter=next(iter(template.header_parameters), ""),
        button_parameters={index: text for index, text in enumerate(template.button_parameters) if text},
        header_media=None if template.header_media is None else media_message(template.header_media),
    )


def media_message(media: HeaderMedia) -> content_pb2.TemplateMedia:
    """What stands in a template's header."""
    message = content_pb2.TemplateMedia(filename=media.filename)
    setattr(message, media.kind, media.url)
    return message


def change_message(effect: SegmentChange) -> change_pb2.Change:
    """A change of tags or of an attribute as segment takes it; what it causes is one journey deeper."""
    change = change_pb2.Change(
        effect_key=str(effect.key),
        team_id=str(effect.team_id),
        customer_id=str(effect.customer_id),
        depth=effect.depth + 1,
        occur_time=timestamp(effect.at),
    )
    match effect:
        case fx.ChangeTags():
            change.tags.add.extend(effect.add)
            change.tags.remove.extend(effect.remove)
        case fx.SetAttribute():
            change.set_attribute.key = effect.attribute
            change.set_attribute.text = effect.text
    return change


def posting_message(effect: OrderPosting) -> postings_pb2.Posting:
    """An order's or a refund's posting as points takes it."""
    posting = postings_pb2.Posting(
        key=str(effect.key),
        team_id=str(effect.team_id),
        customer_id=str(effect.customer_id),
        occur_time=timestamp(effect.at),
        actor=ACTOR,
    )
    amount = money_pb2.Money(currency_code=effect.currency, amount_micros=effect.amount_micros)
    match effect:
        case fx.EarnPoints():
            earn = postings_pb2.EarnPosting(
                order_key=str(effect.key),
                shop_id=effect.shop_id,
                order_id=effect.order_id,
                amount=amount,
                has_phone=effect.has_phone,
                order_number=effect.order_number,
            )
            posting.earn.CopyFrom(earn)
        case fx.RefundPoints():
            refund = postings_pb2.RefundPosting(
                refund_key=str(effect.key),
                order_key=str(effect.order_key) if effect.order_key else "",
                shop_id=effect.shop_id,
                refund_id=effect.refund_id,
                order_id=effect.order_id,
                order_number=effect.order_number,
                amount=amount,
            )
            posting.refund.CopyFrom(refund)
    return posting


def node_posting_message(effect: fx.ChangePoints, *, has_phone: bool) -> postings_pb2.Posting:
    """A points node's posting as points takes it."""
    posting = postings_pb2.Posting(
        key=str(effect.key),
        team_id=str(effect.team_id),
        customer_id=str(effect.customer_id),
        occur_time=timestamp(effect.at),
        actor=ACTOR,
    )
    target = posting.journey_add if effect.delta > 0 else posting.journey_deduct
    target.points = abs(effect.delta)
    target.journey_id = str(effect.journey_id)
    target.journey_name = effect.journey_name
    target.enrolment_id = str(effect.enrolment_id)
    target.node_id = effect.node_id
    target.has_phone = has_phone
    return posting


def posting_answer(result: postings.PostingResult) -> fx.ChangeAnswer:
    """What a posting came to."""
    reason = (
        ""
        if not result.reason
        else postings.PostingReason.Name(result.reason).removeprefix("POSTING_REASON_")
    )
    match result.status:
        case postings.POSTING_STATUS_POSTED:
            return fx.ChangeAnswer(fx.ChangeState.APPLIED, reason)
        case postings.POSTING_STATUS_REJECTED if result.reason == postings.POSTING_REASON_INSUFFICIENT:
            return fx.ChangeAnswer(fx.ChangeState.INSUFFICIENT, reason)
        case postings.POSTING_STATUS_SKIPPED:
            return fx.ChangeAnswer(fx.ChangeState.SKIPPED, reason)
        case _:
            return fx.ChangeAnswer(fx.ChangeState.REFUSED, reason)


def reason_text(value: error_reason_pb2.ErrorReason.ValueType) -> str:
    """The name of a reason without its prefix; empty for none."""
    return error_reason_pb2.ErrorReason.Name(value).removeprefix("ERROR_REASON_") if value else ""
