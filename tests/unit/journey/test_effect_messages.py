"""Effects as the contracts of other services have them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from libs.common.mailbox import mail as m
from libs.common.rpc.values import timestamp
from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.internal.v1 import send_pb2
from services.journey.convert import effects as convert
from services.journey.domain import effects as fx
from services.journey.domain.enrolment import WaitReason
from services.journey.domain.model import HeaderMedia, MediaKind, Template
from tests.unit.journey.builders import checkout, delay, journey, mail, message, run

WHEN = datetime(2026, 3, 4, 11, 58, tzinfo=UTC)


@pytest.mark.rule("J-30b")
def test_a_template_goes_with_all_its_parameters_those_of_buttons_by_their_places() -> None:
    template = Template(UUID(int=5), ("a", "b"), ("{{customer.name}}",), ("", "x", "", "y"))
    assert convert.template_message(template) == send_pb2.TemplateContent(
        template_id=str(UUID(int=5)),
        parameters=["a", "b"],
        header_parameter="{{customer.name}}",
        button_parameters={1: "x", 3: "y"},
    )
    media = HeaderMedia(MediaKind.DOCUMENT, "https://shop.example/{{trigger.order}}.pdf", "Order.pdf")
    sent = convert.template_message(Template(UUID(int=5), header_media=media)).header_media
    assert (sent.WhichOneof("source"), sent.document_url, sent.filename) == (
        "document_url",
        media.url,
        "Order.pdf",
    )
    assert convert.template_message(Template(UUID(int=5))) == send_pb2.TemplateContent(
        template_id=str(UUID(int=5))
    )


def test_a_send_that_is_found_sent_is_told_with_when_it_was() -> None:
    sent = delivery_pb2.SEND_STATE_SENT
    told = convert.send_answer(send_pb2.SendResult(state=sent, settle_time=timestamp(WHEN)))
    assert told == fx.SendAnswer(fx.SendState.SENT, "", WHEN)
    accepted = send_pb2.SendResult(state=delivery_pb2.SEND_STATE_ACCEPTED)
    assert convert.send_answer(accepted) == fx.SendAnswer(fx.SendState.ACCEPTED)


def test_a_delay_after_a_send_that_is_found_sent_counts_from_the_send() -> None:
    given = journey(message("m", "wait"), delay("wait", 600))

    def answer(effect: fx.Effect) -> fx.Answer:
        if isinstance(effect, fx.Send):
            return fx.SendAnswer(fx.SendState.SENT, "", WHEN)
        return fx.ChangeAnswer(fx.ChangeState.APPLIED)

    (enrolment,) = run([given], [checkout(1)], answer=answer).enrolments
    assert enrolment.wait is WaitReason.DELAY
    assert enrolment.wake_at == WHEN + timedelta(minutes=10)


def test_orders_and_refunds_are_posted_by_the_number_that_people_know() -> None:
    asked: list[fx.Effect] = []
    refund = m.Refund(UUID(int=7), "shop", "r-1", "o-1", UUID(int=8), 5_000_000, "USD", "#1001")
    run([], [checkout(1, order_number="#1001"), mail(2, refund)], asked=asked)
    earn, back = asked
    assert isinstance(earn, fx.EarnPoints)
    assert isinstance(back, fx.RefundPoints)
    assert convert.posting_message(earn).earn.order_number == "#1001"
    posted = convert.posting_message(back).refund
    assert (posted.order_id, posted.order_number) == ("o-1", "#1001")
    unnamed = msgspec.structs.replace(back, order_id="", order_number="")
    assert convert.posting_message(unnamed).refund.order_id == ""
