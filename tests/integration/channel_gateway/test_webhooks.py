"""Shop webhooks over HTTP: signed, stored first, forwarded in order, refusals kept."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import io
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest
from standardwebhooks import Webhook

from libs.common.db.pool import open_pool
from libs.common.ids import new_id
from libs.common.rpc.operations import Progress
from libs.common.rpc.values import timestamp
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import webhook_pb2
from omnijourney.common.v1 import error_reason_pb2
from omnijourney.segment.v1 import event_pb2
from services.channel_gateway.clients.services import Recorded
from services.channel_gateway.convert.events import ConvertedWebhook, customer_event, customer_events
from services.channel_gateway.domain.inbox import StoredWebhook
from services.channel_gateway.domain.shop_events import ShopEvent
from services.channel_gateway.store.inbox import InboxStore
from services.channel_gateway.worker.inbox import InboxWorker
from services.channel_gateway.worker.presence import Presence
from tests.integration.channel_gateway.conftest import TIMEOUT_S, VAULT, Gateway, GatewayMaker


def order(number: int, **changes: Any) -> dict[str, Any]:
    """One order as a shop sends it."""
    event: dict[str, Any] = {
        "event": "order.completed",
        "event_id": f"order-{number}",
        "occurred_at": "2026-03-02T11:59:00Z",
        "customer": {"member_id": "42"},
        "order": {
            "id": f"o{number}",
            "currency": "USD",
            "total": "12.34",
            "items": [{"name": "CANDY", "quantity": 2, "unit_price": "6.17"}],
        },
    }
    return event | changes


class Shop:
    """Posts as a shop's back end."""

    def __init__(self, gateway: Gateway, secret: str, shop_id: str = "demo") -> None:
        self.gateway = gateway
        self.signer = Webhook(secret)
        self.answered: Mapping[str, str] = {}
        """Headers of the last answer."""
        self.url = (
            f"http://127.0.0.1:{gateway.app.http_port}/v1/teams/{gateway.team_id}/shops/{shop_id}/events"
        )

    async def post(
        self,
        body: Any,
        webhook_id: str = "",
        *,
        at: datetime | None = None,
        signature: str | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Posts a body (bytes as they are, else JSON); status and answer."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        webhook_id = webhook_id or str(new_id())
        at = at or self.gateway.clock.now()
        headers = {
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signature
            or self.signer.sign(webhook_id, at, raw.decode("utf-8", "replace")),
        }
        async with self.gateway.http.post(self.url, data=io.BytesIO(raw), headers=headers) as answer:
            self.answered = answer.headers
            return answer.status, await answer.json()


async def stored(gateway: Gateway, state: int = 0) -> Sequence[webhook_pb2.InboxRecord]:
    """The team's inbox, newest first."""
    request = pb.ListInboxRecordsRequest(
        team_id=str(gateway.team_id),
        state=state,  # type: ignore[arg-type]  # a number of the enum
    )
    return (await gateway.stub.ListInboxRecords(request, timeout=TIMEOUT_S)).records


@pytest.fixture
async def shop(gateway: Gateway) -> Shop:
    """A shop with a key."""
    return Shop(gateway, await gateway.shop())


async def test_an_order_is_stored_answered_and_recorded(gateway: Gateway, shop: Shop) -> None:
    status, answer = await shop.post(order(1, customer={"member_id": "42", "phone": "+447700900123"}))
    assert (status, answer) == (202, {"results": [{"event_id": "order-1", "status": "accepted"}]})
    await gateway.settled()
    (event,) = gateway.neighbours.segment.events
    assert event.event_key == "demo:order-1"
    assert (event.customer.member_id, event.customer.phone) == ("42", "+447700900123")
    completed = event.order_completed
    assert (completed.shop_id, completed.order_id, completed.signed) == ("demo", "o1", True)
    assert (completed.amount.currency_code, completed.amount.amount_micros) == ("USD", 12_340_000)
    assert [(item.name, item.quantity) for item in completed.items] == [("CANDY", "2")]
    (record,) = await stored(gateway)
    assert record.state == webhook_pb2.INBOX_STATE_RECORDED


async def test_refunds_and_anonymous_orders_are_taken(gateway: Gateway, shop: Shop) -> None:
    refund = {
        "event": "order.refunded",
        "event_id": "r1",
        "occurred_at": "2026-03-02T11:59:00+08:00",
        "customer": {"member_id": "42"},
        "order": {"currency": "GBP"},
        "refund": {"id": "C1", "amount": "5"},
    }
    anonymous = order(2)
    del anonymous["customer"]
    anonymous["order"]["total"] = "-3.50"
    status, answer = await shop.post([refund, anonymous, anonymous])
    assert status == 202
    assert [result["status"] for result in answer["results"]] == ["accepted", "accepted", "duplicate"]
    await gateway.settled()
    first, second, _ = gateway.neighbours.segment.events
    assert (first.order_refunded.refund_id, first.order_refunded.order_id) == ("C1", "")
    assert not second.HasField("customer")
    assert second.order_completed.amount.amount_micros == -3_500_000


async def test_a_wrong_signature_or_time_stores_nothing(gateway: Gateway, shop: Shop) -> None:
    now = gateway.clock.now()
    other = Shop(gateway, "whsec_" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
    unknown = Shop(gateway, "whsec_" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "nowhere")
    assert (await other.post(order(1)))[0] == 401
    assert (await unknown.post(order(1)))[0] == 401
    assert (await shop.post(order(1), signature="v1,AAAA"))[0] == 401
    assert (await shop.post(order(1), at=now - timedelta(days=2)))[0] == 401
    assert (await shop.post(order(1), at=now + timedelta(days=2)))[0] == 401
    status, answer = await shop.post(order(1), at=now - timedelta(days=3))
    assert status == 401
    assert set(answer["error"]) == {"field", "message", "remedy"}
    assert await stored(gateway) == []
    assert gateway.neighbours.segment.events == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", ""),
        (b"[]", ""),
        (b"\xff\xfe", ""),
        ([order(n) for n in range(501)], ""),
        (order(1, order={"id": "o1", "currency": "USD"}), "order.total"),
        (order(1, order={"id": "o1", "currency": "USD", "total": 12.5}), "order.total"),
        (order(1, order={"id": "o1", "currency": "USD", "total": "1e3"}), "order.total"),
        (order(1, order={"id": "", "currency": "USD", "total": "1"}), "order.id"),
        (order(1, order={"id": "o1", "currency": "usd", "total": "1"}), "order.currency"),
        (order(1, event="order.lost"), "event"),
        (order(1, event_id=""), "event_id"),
        (order(1, occurred_at="2026-03-02T11:59:00"), "occurred_at"),
        ([order(1, event_id=6), order(2, event_id=7)], "[0].event_id"),
        (order(1, event="order.refunded"), "refund"),
    ],
)
async def test_malformed_bodies_name_the_field_and_store_nothing(
    gateway: Gateway, shop: Shop, body: Any, field: str
) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    webhook_id, now = "w1", gateway.clock.now()
    signed = b".".join((webhook_id.encode(), str(int(now.timestamp())).encode(), raw))
    status, answer = await shop.post(raw, webhook_id, signature=sign(shop, signed))
    assert status == 400, answer
    assert answer["error"]["field"] == field
    assert answer["error"]["message"]
    assert answer["error"]["remedy"]
    assert await stored(gateway) == []


def sign(shop: Shop, signed: bytes) -> str:
    """A signature over bytes that are no text."""
    key = shop.signer._whsecret
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


async def test_a_repeated_webhook_is_answered_like_the_first(gateway: Gateway, shop: Shop) -> None:
    first = await shop.post(order(1), "w1")
    again = await asyncio.gather(*(shop.post(order(1), "w1") for _ in range(5)))
    assert again == [first] * 5
    status, answer = await shop.post(order(2), "w1")
    assert (status, answer["error"]["field"]) == (409, "webhook-id")
    await gateway.settled()
    assert len(gateway.neighbours.segment.events) == 1
    assert len(await stored(gateway)) == 1


async def test_keys_change_without_a_gap(gateway: Gateway, shop: Shop) -> None:
    keys = pb.ListShopKeysRequest(team_id=str(gateway.team_id), shop_id="demo")
    (old,) = (await gateway.stub.ListShopKeys(keys, timeout=TIMEOUT_S)).keys
    assert old.secret == ""
    request = pb.CreateShopKeyRequest(team_id=str(gateway.team_id), request_id=str(new_id()), shop_id="demo")
    new = (await gateway.stub.CreateShopKey(request, timeout=TIMEOUT_S)).key
    assert (await gateway.stub.CreateShopKey(request, timeout=TIMEOUT_S)).key == new, (
        "shown again to its maker"
    )
    renewed = Shop(gateway, new.secret)
    assert (await shop.post(order(1)))[0] == 202
    assert (await renewed.post(order(2)))[0] == 202
    revoke = pb.RevokeShopKeyRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), shop_id="demo", shop_key_id=old.shop_key_id
    )
    await gateway.stub.RevokeShopKey(revoke, timeout=TIMEOUT_S)
    assert (await shop.post(order(3)))[0] == 401
    assert (await renewed.post(order(4)))[0] == 202
    expiring = pb.RevokeShopKeyRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), shop_id="demo", shop_key_id=new.shop_key_id
    )
    expiring.expire_time.CopyFrom(timestamp(gateway.clock.now() + timedelta(minutes=1)))
    await gateway.stub.RevokeShopKey(expiring, timeout=TIMEOUT_S)
    assert (await renewed.post(order(5)))[0] == 202
    revived = pb.RevokeShopKeyRequest()
    revived.CopyFrom(revoke)
    revived.request_id = str(new_id())
    revived.expire_time.CopyFrom(expiring.expire_time)
    await gateway.stub.RevokeShopKey(revived, timeout=TIMEOUT_S)
    assert (await shop.post(order(6)))[0] == 401, "who was shut out stays out"
    listed = (await gateway.stub.ListShopKeys(keys, timeout=TIMEOUT_S)).keys
    ended = {each.shop_key_id: each.expire_time for each in listed}
    assert ended == {
        new.shop_key_id: expiring.expire_time,
        old.shop_key_id: timestamp(gateway.clock.now()),
    }


async def test_a_body_over_the_limit_is_refused(gateway: Gateway, shop: Shop) -> None:
    status, answer = await shop.post(b"[" + b" " * (1024 * 1024) + b"]")
    assert (status, answer["error"]["field"]) == (413, "")
    assert await stored(gateway) == []


async def test_webhooks_wait_while_segment_is_away_and_keep_their_order(gateway: Gateway, shop: Shop) -> None:
    gateway.neighbours.segment.away = True
    for number in range(30):
        assert (await shop.post(order(number)))[0] == 202
    assert len(await stored(gateway, webhook_pb2.INBOX_STATE_STORED)) == 30
    gateway.neighbours.segment.away = False
    await gateway.settled()
    events = gateway.neighbours.segment.events
    assert [event.event_key for event in events] == [f"demo:order-{number}" for number in range(30)]
    assert len(gateway.neighbours.segment.batches) < 30, "what waited went out in batches"


async def test_refused_events_are_kept_with_their_reason_and_can_be_retried(
    gateway: Gateway, shop: Shop
) -> None:
    segment = gateway.neighbours.segment
    segment.away = True
    segment.refuse_keys = {"demo:order-1"}
    segment.fail_keys = {"demo:order-3": grpc.StatusCode.INVALID_ARGUMENT}
    await shop.post([order(0), order(1)])
    await shop.post(order(2))
    await shop.post([order(3), order(4)])
    segment.away = False
    await gateway.settled()
    third, second, first = await stored(gateway)
    assert [(r.index, "no such thing" in r.message) for r in first.refusals] == [(1, True)]
    assert (second.state, list(second.refusals)) == (webhook_pb2.INBOX_STATE_RECORDED, [])
    assert [r.index for r in third.refusals] == [0]
    assert "spoilt" in third.refusals[0].message
    assert {event.event_key for event in segment.events} == {f"demo:order-{n}" for n in (0, 1, 2, 4)}

    segment.fail_keys = {}
    request = pb.RetryInboxRecordRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), sequence=third.sequence
    )
    await gateway.stub.RetryInboxRecord(request, timeout=TIMEOUT_S)
    await gateway.settled()
    got = pb.GetInboxRecordRequest(team_id=str(gateway.team_id), sequence=third.sequence)
    record = (await gateway.stub.GetInboxRecord(got, timeout=TIMEOUT_S)).record
    assert record.state == webhook_pb2.INBOX_STATE_RECORDED
    assert json.loads(record.body)[0]["event_id"] == "order-3"


async def test_what_was_stored_is_forwarded_after_a_restart(maker: Any) -> None:
    async with maker.start() as first:
        shop = Shop(first, await first.shop())
        first.neighbours.segment.away = True
        assert (await shop.post(order(1)))[0] == 202
    first.neighbours.segment.away = False
    async with maker.start() as second:
        await second.settled()
    (event,) = maker.neighbours.segment.events
    assert event.WhichOneof("event") == "order_completed"
    assert isinstance(event, event_pb2.CustomerEvent)


async def test_health_is_served(gateway: Gateway) -> None:
    async with gateway.http.get(f"http://127.0.0.1:{gateway.app.http_port}/healthz") as answer:
        assert answer.status == 200


async def test_webhooks_are_refused_at_the_bound_and_taken_again_when_there_is_room(
    maker: GatewayMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.channel_gateway.servicer.admission.LOOK_EVERY_S", 0.05)
    async with maker.start(webhook_events_max=6) as gateway:
        shop = Shop(gateway, await gateway.shop())
        gateway.neighbours.segment.away = True
        for number in range(3):
            assert (await shop.post(order(number)))[0] == 202
        status, answer = await shop.post(order(3), "refused")
        assert (status, answer["error"]["message"]) == (
            429,
            "more work is waiting than OMNIJOURNEY_WEBHOOK_EVENTS_MAX allows",
        )
        assert int(shop.answered["Retry-After"]) > 0
        assert len(await stored(gateway)) == 3
        # Whoever is not the shop does not learn that there is much to do.
        assert (await shop.post(order(3), signature="v1,none"))[0] == 401
        gateway.neighbours.segment.away = False
        async with asyncio.timeout(TIMEOUT_S):
            while (await shop.post(order(3), "refused"))[0] == 429:
                await asyncio.sleep(0.05)
        await gateway.settled()
        keys = [event.order_completed.order_id for event in gateway.neighbours.segment.events]
        assert keys == ["o0", "o1", "o2", "o3"]


@pytest.mark.parametrize("occurred_at", ["0001-01-01T00:00:00+08:00", "0001-01-01T00:00:00Z"])
async def test_a_date_left_unset_is_refused_and_the_next_order_is_recorded(
    gateway: Gateway, shop: Shop, occurred_at: str
) -> None:
    status, answer = await shop.post(order(1) | {"occurred_at": occurred_at})
    assert status == 400
    assert answer["error"]["field"] == "occurred_at"
    assert (await shop.post(order(2)))[0] == 202
    await gateway.settled()
    assert [event.event_key for event in gateway.neighbours.segment.events] == ["demo:order-2"]


async def test_forty_orders_of_a_thousand_lines_are_all_recorded(gateway: Gateway, shop: Shop) -> None:
    line = {"name": "n" * 500, "product_id": "p" * 200, "sku": "s" * 150, "unit_price": "1.00"}
    gateway.neighbours.segment.away = True  # so that they wait, and are forwarded together
    for number in range(40):
        large = order(number, customer={"member_id": "42"})
        large["order"] = large["order"] | {"items": [line] * 1_000}
        assert (await shop.post(large))[0] == 202
    gateway.neighbours.segment.away = False
    await gateway.settled()
    keys = [event.event_key for event in gateway.neighbours.segment.events]
    assert keys == [f"demo:order-{number}" for number in range(40)]


class OfShops:
    """Webhooks of shops tell nothing that the gateway itself goes by."""

    async def note(self, team_id: UUID, webhooks: Sequence[ConvertedWebhook]) -> None:
        assert all(webhook.channel is None for webhook in webhooks)


class SegmentInMemory:
    """Takes every event."""

    def __init__(self) -> None:
        self.events: list[event_pb2.CustomerEvent] = []

    async def record(self, events: Sequence[event_pb2.CustomerEvent], _deadline_s: float) -> list[Recorded]:
        self.events += events
        return [Recorded(duplicate=False, reason="") for _ in events]


async def test_a_stored_body_that_cannot_be_converted_is_set_aside_and_the_others_go_on(
    gateway: Gateway, shop: Shop
) -> None:
    gateway.neighbours.segment.away = True  # so that all three stay for the worker below
    for number in (1, 2, 3):
        assert (await shop.post(order(number)))[0] == 202

    def convert(webhook: StoredWebhook, event: ShopEvent, tolerance: timedelta) -> event_pb2.CustomerEvent:
        if event.event_id == "order-2":
            raise OverflowError("out of any range")
        return customer_event(webhook, event, tolerance)

    segment, dsn = SegmentInMemory(), gateway.database.dsn_of("channel_gateway")
    async with await open_pool(dsn, name="test") as pool:
        worker = InboxWorker(
            InboxStore(pool, VAULT),
            segment,
            Presence(dsn, new_id()),
            Progress(),
            lambda webhook: customer_events(webhook, timedelta(minutes=5), convert),
            hearing=OfShops(),
        )
        assert await worker.step()
        assert not await worker.step(), "nothing is left in the queue"
    assert [event.order_completed.order_id for event in segment.events] == ["o1", "o3"]
    (refused,) = await stored(gateway, webhook_pb2.INBOX_STATE_REFUSED)
    assert [(refusal.index, refusal.reason, refusal.message) for refusal in refused.refusals] == [
        (
            0,
            error_reason_pb2.ERROR_REASON_INVALID_FIELDS,
            "cannot be converted: OverflowError('out of any range')",
        )
    ]
    assert len(await stored(gateway, webhook_pb2.INBOX_STATE_RECORDED)) == 2


@pytest.mark.rule("C-20d")
async def test_what_one_item_does_to_the_json_of_a_list_costs_its_neighbours_nothing(
    gateway: Gateway, shop: Shop
) -> None:
    half, deep, last = (json.dumps(order(number)) for number in (1, 2, 3))
    half = half[:-1] + r', "customer": {"member_id": "m1", "name": "\ud83d"}}'
    deep = deep[:-1] + ', "more": ' + "[" * 2000 + "]" * 2000 + "}"
    status, answer = await shop.post(f"[{half},{deep},{last}]".encode())
    assert status == 202
    first, second, third = answer["results"]
    assert [each["status"] for each in (first, second, third)] == ["accepted", "refused", "accepted"]
    assert [(each["field"], each["reason"]) for each in first["left_out"]] == [
        ("[0].customer.name", "CONTROL_CHARACTERS")
    ]
    assert "nested" in second["message"]
    await gateway.settled()
    events = gateway.neighbours.segment.events
    assert [event.event_key for event in events] == ["demo:order-1", "demo:order-3"]
    assert (events[0].customer.member_id, events[0].customer_name) == ("m1", "")
