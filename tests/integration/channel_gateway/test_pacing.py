"""WhatsApp says that somebody gets too much: what else is for them waits in its order, and nobody else waits."""

from __future__ import annotations

import pytest

from omnijourney.channel_gateway.v1 import delivery_pb2
from services.channel_gateway.clients.channels import meta_rules
from services.channel_gateway.worker import pacing
from tests.integration.channel_gateway.conftest import WHATSAPP, Gateway

PAIR_RATE = 131056


@pytest.mark.rule("C-03c")
async def test_sends_to_somebody_who_gets_too_much_keep_their_order_and_others_go_on(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "SPACING_S", 0.2)
    rule = meta_rules.WHATSAPP[PAIR_RATE]
    quick = rule._replace(backoff=rule.backoff._replace(first_s=0.5, factor=1.0))
    monkeypatch.setitem(meta_rules.WHATSAPP, PAIR_RATE, quick)
    account = await gateway.account(WHATSAPP, concurrency_max=1)
    await gateway.top_up(10_000_000)
    template = await gateway.template(account, parameters=1)
    busy, other = gateway.customer(account, WHATSAPP), gateway.customer(account, WHATSAPP)
    number = gateway.neighbours.segment.profiles[busy].identities[0].key.external_id
    await gateway.fault("whatsapp", kind="code", code=PAIR_RATE, status=400, recipient=number, count=2)
    sends = [gateway.send(customer, WHATSAPP, account_id=account) for customer in (busy, busy, busy, other)]
    for place, send in enumerate(sends):
        send.template.template_id = template
        send.template.parameters.append(f"no. {place}")
    results = await gateway.ask(*sends)
    assert {each.state for each in results} == {delivery_pb2.SEND_STATE_ACCEPTED}
    await gateway.settled()
    texts = [
        each["body"]["template"]["components"][0]["parameters"][0]["text"]
        for each in await gateway.accepted("whatsapp")
    ]
    assert texts == ["no. 3", "no. 0", "no. 1", "no. 2"]
    attempts = [(await gateway.delivery(send.effect_key)).attempts for send in sends]
    assert attempts == [3, 1, 1, 1], "one of them is tried, and the others wait for it"
