"""The webhooks that the demo's shop sends."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from standardwebhooks import Webhook

from libs.demo import webhooks
from libs.demo.patience import DemoFault
from libs.demo.stream import Checkout, Item, Kind
from libs.demo.webhooks import WebhookPoster, bodies, event_of

AT = datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def order(reference: str = "536365", amount: str = "15.3", member: int | None = 17850) -> Checkout:
    items = (Item("MUG", 6), Item("", 1), Item("DISCOUNT", -1))
    return Checkout(Kind.ORDER, reference, AT, Decimal(amount), member, items)


def test_an_order_and_a_refund_as_json() -> None:
    assert event_of(order(), "GBP") == {
        "event": "order.completed",
        "event_id": "order.completed-536365",
        "occurred_at": "2010-12-01T08:26:00Z",
        "customer": {"member_id": "17850"},
        "order": {
            "id": "536365",
            "currency": "GBP",
            "total": "15.3",
            "items": [
                {"name": "MUG", "quantity": 6},
                {"name": "", "quantity": 1},
                {"name": "DISCOUNT", "quantity": -1},
            ],
        },
    }
    refund = Checkout(Kind.REFUND, "C1", AT, Decimal("1E+1"), None)
    assert event_of(refund, "GBP") == {
        "event": "order.refunded",
        "event_id": "order.refunded-C1",
        "occurred_at": "2010-12-01T08:26:00Z",
        "order": {"currency": "GBP"},
        "refund": {"id": "C1", "amount": "10"},
    }


def test_very_long_orders_join_lines_of_one_name() -> None:
    items = tuple(Item(f"item {number % 700}", 2) for number in range(1_114))
    long = Checkout(Kind.ORDER, "1", AT, Decimal(1), None, items)
    told = event_of(long, "GBP")["order"]["items"]
    assert len(told) == 700
    assert told[0] == {"name": "item 0", "quantity": 4}


def test_bodies_keep_the_order_and_the_limits() -> None:
    events: list[dict[str, Any]] = [{"n": number, "pad": "x" * 10_000} for number in range(250)]
    made = list(bodies(events))
    assert [event for body in made for event in json.loads(body)] == events
    assert all(len(body) <= webhooks.BODY_BYTES_MAX + 10_100 for body in made)
    assert [len(json.loads(body)) for body in bodies([{}] * 401)] == [200, 200, 1]
    assert list(bodies([])) == []


class Gateway:
    """Answers as told and checks signatures."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.ids: list[str] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        # The library compares with the real time; the demo's clock is not that.
        headers = {name.lower(): value for name, value in request.headers.items()}
        expected = Webhook(SECRET).sign(headers["webhook-id"], AT, body.decode())
        assert headers["webhook-signature"] == expected
        assert headers["webhook-timestamp"] == str(int(AT.timestamp()))
        self.ids.append(headers["webhook-id"])
        status, answer = self.answers.pop(0)
        return web.json_response(answer, status=status)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """One that runs on a free port."""
    made = Gateway()
    app = web.Application()
    app.router.add_post("/events", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/events"
    yield made
    await runner.cleanup()


async def test_a_webhook_is_repeated_under_its_id_until_it_is_taken(gateway: Gateway) -> None:
    good = {"results": [{"status": "accepted"}, {"status": "duplicate"}]}
    gateway.answers = [(503, {}), (202, good), (202, good)]
    async with aiohttp.ClientSession() as session:
        poster = WebhookPoster(session, gateway.url, SECRET, "GBP")
        await poster.post([order(), order("536366")], AT)
        await poster.post([order("536367")], AT)
    assert gateway.ids == ["demo-000001", "demo-000001", "demo-000002"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((401, {"error": "signature"}), "HTTP 401"),
        ((202, {"results": [{"status": "refused", "reason": "no total"}]}), "no total"),
    ],
)
async def test_a_refused_webhook_ends_the_demo(
    gateway: Gateway, answer: tuple[int, Any], message: str
) -> None:
    gateway.answers = [answer]
    async with aiohttp.ClientSession() as session:
        poster = WebhookPoster(session, gateway.url, SECRET, "GBP")
        with pytest.raises(DemoFault, match=message):
            await poster.post([order()], AT)


async def test_a_gateway_that_is_gone_is_waited_for_but_not_for_ever() -> None:
    async with aiohttp.ClientSession() as session:
        poster = WebhookPoster(session, "http://127.0.0.1:1/events", SECRET, "GBP", patience_s=0.1)
        with pytest.raises(DemoFault, match="is not taken"):
            await poster.post([order()], AT)
