"""What WhatsApp says of people's and accounts' limits is kept: no marketing for a day, and nobody tries in vain."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from libs.common.ids import new_id
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import content_pb2, delivery_pb2
from omnijourney.internal.v1 import send_pb2
from services.channel_gateway.clients.channels.base import HOURS, RetryPolicy
from tests.integration.channel_gateway.conftest import START, TIMEOUT_S, WHATSAPP, Gateway
from tests.integration.channel_gateway.test_hooks import Platform, meta_headers, whatsapp
from tests.integration.channel_gateway.test_pages import person_of
from tests.integration.channel_gateway.test_receipts import status_body

__all__ = ["whatsapp"]
LIMITED = (delivery_pb2.SEND_STATE_FAILED, "META_LIMITED")


async def ask(gateway: Gateway, customer: str, template: str) -> tuple[int, str]:
    """A send of a template to somebody, and what became of it in the end."""
    content = send_pb2.TemplateContent(template_id=template, parameters=["Mei"])
    send = gateway.send(customer, WHATSAPP, template=content)
    (answer,) = await gateway.ask(send)
    if answer.state != delivery_pb2.SEND_STATE_ACCEPTED:
        return answer.state, answer.reason
    await gateway.settled()
    (mail,) = (each for each in await gateway.mail(customer) if str(each.event_id) == send.effect_key)
    return mail.body.outcome, mail.body.reason  # type: ignore[union-attr]


async def utility(gateway: Gateway, account: str) -> str:
    """A template that is no marketing."""
    template = await gateway.template(account, "receipt", 1)
    changed = content_pb2.MessageTemplate(message_template_id=template, category="UTILITY")
    request = pb.UpdateMessageTemplateRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), template=changed
    )
    request.update_mask.paths.append("category")
    await gateway.stub.UpdateMessageTemplate(request, timeout=TIMEOUT_S)
    return template


@pytest.mark.rule("C-03d")
@pytest.mark.parametrize("how", ["answer", "status"])
async def test_who_gets_enough_marketing_gets_none_for_a_day(whatsapp: Platform, how: str) -> None:
    gateway = whatsapp.gateway
    await gateway.top_up(10**9)
    marketing = await gateway.template(whatsapp.account_id, "sale", 1)
    other = await utility(gateway, whatsapp.account_id)
    customer, free = (gateway.customer(whatsapp.account_id, WHATSAPP) for _ in range(2))
    person = person_of(gateway, customer)
    if how == "answer":
        await gateway.fault("whatsapp", kind="code", code=131049, status=400, recipient=person)
        assert await ask(gateway, customer, marketing) == LIMITED
    else:
        at_s = int(START.timestamp())
        status = {"id": "wamid.1", "status": "failed", "timestamp": str(at_s), "recipient_id": person}
        body = status_body("100000000000001", {**status, "errors": [{"code": 131049}]})
        assert (await whatsapp.post(body, meta_headers(body)))[0] == 200
        await whatsapp.heard()
    sent = delivery_pb2.SEND_STATE_SENT
    assert await ask(gateway, customer, marketing) == LIMITED
    assert await ask(gateway, customer, other) == (sent, "")
    assert await ask(gateway, free, marketing) == (sent, "")
    assert len(await gateway.accepted("whatsapp")) == 2, "what is refused here is not tried there"
    gateway.clock.advance(timedelta(hours=24, seconds=1))
    assert await ask(gateway, customer, marketing) == (sent, "")


@pytest.mark.rule("C-03d")
@pytest.mark.parametrize("code", [131048, 131064])
async def test_an_account_that_is_limited_for_its_quality_waits_whole_and_is_told(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    kept: list[RetryPolicy] = []

    def delay_of(backoff: RetryPolicy, *_: object) -> float:
        kept.append(backoff)
        return 3_600.0

    monkeypatch.setattr("services.channel_gateway.worker.attempts.delay_of", delay_of)
    await gateway.top_up(10**9)
    account = await gateway.account(WHATSAPP, concurrency_max=1)
    template = await gateway.template(account, "sale", 1)
    labels = {"channel": "WHATSAPP", "code": f"WHATSAPP_{code}"}

    def holds() -> float:
        return REGISTRY.get_sample_value("omnijourney_gateway_account_holds_total", labels) or 0.0

    before = holds()
    await gateway.fault("whatsapp", kind="code", code=code, status=400)
    content = send_pb2.TemplateContent(template_id=template, parameters=["Mei"])
    sends = [gateway.send(gateway.customer(account, WHATSAPP), WHATSAPP, template=content) for _ in range(2)]
    await gateway.ask(*sends)
    while not kept:
        await asyncio.sleep(0.02)
    assert kept == [HOURS]
    assert holds() - before == 1
    assert await gateway.accepted("whatsapp") == [], "the other one waits, too"
