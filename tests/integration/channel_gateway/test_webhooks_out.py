"""Webhooks out, on the whole way: segment's history, the table, the address that subscribed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import grpc
import pytest
from aiohttp import web
from standardwebhooks import Webhook

from libs.common.feeds.rows import FactRow
from libs.common.ids import new_id, partition_of
from libs.testing.feeds import FeedServer
from libs.testing.fixtures import Database
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import webhook_pb2
from omnijourney.segment.v1 import history_pb2
from services.channel_gateway.domain import webhooks_out as domain
from tests.integration.channel_gateway.conftest import START, TIMEOUT_S, Gateway, GatewayMaker

WAIT_S = 60.0
DAY_MS = 24 * 3_600 * 1_000
_TAKE = "SELECT channel_gateway.take_contact_events('{}', $1::channel_gateway.contact_event_row[], 30, 168)"


@dataclass
class Receiver:
    """An address that takes webhooks, or does not."""

    port: int = 0
    status: int = 204
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def url(self, path: str = "hook") -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    async def answer(self, request: web.Request) -> web.Response:
        self.came.append((dict(request.headers), await request.read()))
        return web.Response(status=self.status)

    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, body in self.came]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """One on loopback."""
    made = Receiver()
    application = web.Application()
    application.router.add_post("/{path}", made.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    try:
        yield made
    finally:
        await runner.cleanup()


@pytest.fixture
async def segment() -> AsyncIterator[FeedServer]:
    """Segment's history."""
    async with FeedServer("segment").serving() as feed:
        yield feed


@asynccontextmanager
async def telling(maker: GatewayMaker, segment: FeedServer) -> AsyncIterator[Gateway]:
    """A gateway that may call loopback."""
    target = f"127.0.0.1:{segment.port}"
    async with maker.start(segment_target=target, webhook_private_networks="127.0.0.0/8") as gateway:
        yield gateway


def applied(gateway: Gateway, tag: str, kind: int = history_pb2.FACT_KIND_TAG_APPLIED) -> FactRow:
    """A tag was applied to somebody of the team."""
    who, team_id = new_id(), gateway.team_id
    place = partition_of(team_id, who)
    return FactRow(place, 0, team_id.bytes, who.bytes, START, kind, event=new_id().bytes, detail=(tag,))


async def subscribed(
    gateway: Gateway, url: str, *types: str, request_id: str = ""
) -> webhook_pb2.WebhookSubscription:
    """A subscription, with its key."""
    request = pb.CreateWebhookSubscriptionRequest(
        team_id=str(gateway.team_id), request_id=request_id or str(new_id())
    )
    request.subscription.url = url
    request.subscription.event_types.extend(types or ("contact.tag_changed",))
    return (await gateway.stub.CreateWebhookSubscription(request, timeout=TIMEOUT_S)).subscription


async def until(found: Callable[[], Any]) -> None:
    """Waits for something to be so."""
    async with asyncio.timeout(WAIT_S):
        while not found():
            await asyncio.sleep(0.02)


def of(gateway: Gateway, subscription: webhook_pb2.WebhookSubscription) -> dict[str, Any]:
    return {
        "team_id": str(gateway.team_id),
        "webhook_subscription_id": subscription.webhook_subscription_id,
    }


async def dead(
    gateway: Gateway, subscription: webhook_pb2.WebhookSubscription
) -> list[webhook_pb2.DeadLetter]:
    request = pb.ListDeadLettersRequest(**of(gateway, subscription))
    return list((await gateway.stub.ListDeadLetters(request, timeout=TIMEOUT_S)).dead_letters)


@pytest.mark.rule("C-40a", "C-40b")
async def test_who_subscribes_is_told_of_what_happens_from_then_on_signed(
    maker: GatewayMaker, segment: FeedServer, receiver: Receiver
) -> None:
    async with telling(maker, segment) as gateway:
        segment.record(applied(gateway, "before"))
        subscription = await subscribed(gateway, receiver.url(), request_id="once")
        assert (await subscribed(gateway, receiver.url(), request_id="once")).secret == subscription.secret
        segment.record(applied(gateway, "VIP"), applied(gateway, "x", history_pb2.FACT_KIND_CUSTOMER_CREATED))
        await until(lambda: receiver.came)
        segment.record(applied(gateway, "VIP", history_pb2.FACT_KIND_TAG_REMOVED))
        await until(lambda: len(receiver.came) == 2)
        (headers, body), _ = receiver.came
        Webhook(subscription.secret).verify(body, headers)
        assert [(each["data"]["tag"], each["data"]["change"]) for each in receiver.bodies()] == [
            ("VIP", "applied"),
            ("VIP", "removed"),
        ]
        get = pb.GetWebhookSubscriptionRequest(**of(gateway, subscription))
        read = (await gateway.stub.GetWebhookSubscription(get, timeout=TIMEOUT_S)).subscription
        assert (read.secret, read.state) == ("", webhook_pb2.SUBSCRIPTION_STATE_ACTIVE)
        rotate = pb.RotateWebhookSecretRequest(**of(gateway, subscription), request_id="r")
        fresh = (await gateway.stub.RotateWebhookSecret(rotate, timeout=TIMEOUT_S)).subscription.secret
        assert fresh != subscription.secret
        ping = pb.PingWebhookSubscriptionRequest(**of(gateway, subscription), request_id="p")
        attempt = (await gateway.stub.PingWebhookSubscription(ping, timeout=TIMEOUT_S)).attempt
        assert (attempt.event_type, attempt.status_code, attempt.attempt) == ("ping", 204, 1)
        headers, body = receiver.came[-1]
        for secret in (fresh, subscription.secret):
            Webhook(secret).verify(body, headers)
        attempts = pb.ListWebhookAttemptsRequest(**of(gateway, subscription))
        listed = (await gateway.stub.ListWebhookAttempts(attempts, timeout=TIMEOUT_S)).attempts
        assert [each.event_type for each in listed] == ["ping", "contact.tag_changed", "contact.tag_changed"]


@pytest.mark.rule("C-40b")
async def test_what_is_not_taken_is_tried_again_given_up_listed_and_replayed(
    maker: GatewayMaker, segment: FeedServer, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "WAITS_S", (0.01, 0.01))
    receiver.status = 500
    async with telling(maker, segment) as gateway:
        subscription = await subscribed(gateway, receiver.url())
        segment.record(applied(gateway, "VIP"))
        await until(lambda: len(receiver.came) == 3)
        async with asyncio.timeout(WAIT_S):
            while not (letters := await dead(gateway, subscription)):
                await asyncio.sleep(0.02)
        (letter,) = letters
        assert (letter.attempts, letter.last_error) == (3, "it answered 500")
        assert {headers["webhook-id"] for headers, _ in receiver.came} == {letter.webhook_id}
        receiver.status = 200
        replay = pb.ReplayDeadLettersRequest(**of(gateway, subscription), request_id="replay")
        assert (await gateway.stub.ReplayDeadLetters(replay, timeout=TIMEOUT_S)).replayed == 1
        await until(lambda: len(receiver.came) == 4)
        assert receiver.came[-1][0]["webhook-id"] == letter.webhook_id
        assert not await dead(gateway, subscription)


async def test_a_dead_endpoint_holds_nobody_back_and_is_left_alone_after_some_failures(
    maker: GatewayMaker, segment: FeedServer, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "WAITS_S", (0.01,) * 20)
    async with telling(maker, segment) as gateway:
        await subscribed(gateway, "http://127.0.0.1:1/dead")
        silent = await subscribed(gateway, receiver.url("silent"))
        receiver.status = 503
        for number in range(10):
            segment.record(applied(gateway, str(number)))
        await until(lambda: len(receiver.came) >= domain.FAILURES_MAX)
        called = len(receiver.came)
        receiver.status = 204
        await subscribed(gateway, receiver.url("alive"))
        segment.record(applied(gateway, "alive"))
        await until(lambda: any(body["data"]["tag"] == "alive" for body in receiver.bodies()))
        assert called == domain.FAILURES_MAX
        update = pb.UpdateWebhookSubscriptionRequest(team_id=str(gateway.team_id), request_id="again")
        update.subscription.webhook_subscription_id = silent.webhook_subscription_id
        update.subscription.url = receiver.url("silent")
        await gateway.stub.UpdateWebhookSubscription(update, timeout=TIMEOUT_S)
        await until(lambda: len({h["webhook-id"] for h, _ in receiver.came}) == 12)


async def test_paused_ones_wait_gone_ones_stop_and_deleted_ones_are_forgotten(
    maker: GatewayMaker, segment: FeedServer, receiver: Receiver
) -> None:
    async with telling(maker, segment) as gateway:
        subscription = await subscribed(gateway, receiver.url())
        update = pb.UpdateWebhookSubscriptionRequest(team_id=str(gateway.team_id), request_id="pause")
        update.subscription.webhook_subscription_id = subscription.webhook_subscription_id
        update.subscription.state = webhook_pb2.SUBSCRIPTION_STATE_PAUSED
        update.update_mask.paths.append("state")
        await gateway.stub.UpdateWebhookSubscription(update, timeout=TIMEOUT_S)
        segment.record(applied(gateway, "waits"))
        ping = pb.PingWebhookSubscriptionRequest(**of(gateway, subscription), request_id="p")
        await gateway.stub.PingWebhookSubscription(ping, timeout=TIMEOUT_S)
        receiver.status = 410
        update.request_id = "go on"
        update.subscription.state = webhook_pb2.SUBSCRIPTION_STATE_ACTIVE
        await gateway.stub.UpdateWebhookSubscription(update, timeout=TIMEOUT_S)
        await until(lambda: len(receiver.came) == 2)
        get = pb.GetWebhookSubscriptionRequest(**of(gateway, subscription))
        async with asyncio.timeout(WAIT_S):
            while True:
                read = await gateway.stub.GetWebhookSubscription(get, timeout=TIMEOUT_S)
                if read.subscription.state == webhook_pb2.SUBSCRIPTION_STATE_GONE:
                    break
                await asyncio.sleep(0.02)
        delete = pb.DeleteWebhookSubscriptionRequest(**of(gateway, subscription), request_id="d")
        await gateway.stub.DeleteWebhookSubscription(delete, timeout=TIMEOUT_S)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await gateway.stub.GetWebhookSubscription(get, timeout=TIMEOUT_S)
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND
        assert not await dead(gateway, subscription)
        assert [body["type"] for body in receiver.bodies()] == ["ping", "contact.tag_changed"]


async def test_a_gateway_that_starts_again_tells_what_it_could_not_and_nothing_twice(
    maker: GatewayMaker, segment: FeedServer, receiver: Receiver
) -> None:
    async with telling(maker, segment) as gateway:
        await subscribed(gateway, receiver.url())
        segment.record(applied(gateway, "first"))
        await until(lambda: receiver.came)
        row = applied(gateway, "second")
    segment.record(row)
    async with telling(maker, segment):
        await until(lambda: len(receiver.came) == 2)
    assert [body["data"]["tag"] for body in receiver.bodies()] == ["first", "second"]


@pytest.mark.rule("C-40c")
async def test_private_addresses_are_refused_unless_the_installation_allows_them(
    maker: GatewayMaker, segment: FeedServer, receiver: Receiver
) -> None:
    target = f"127.0.0.1:{segment.port}"
    async with telling(maker, segment) as gateway:
        subscription = await subscribed(gateway, receiver.url())
        team_id = gateway.team_id
    async with maker.start(segment_target=target) as gateway:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await subscribed(gateway, receiver.url())
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        gateway.team_id = team_id
        ping = pb.PingWebhookSubscriptionRequest(**of(gateway, subscription), request_id="p")
        attempt = (await gateway.stub.PingWebhookSubscription(ping, timeout=TIMEOUT_S)).attempt
        assert attempt.status_code == 0
    assert not receiver.came


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection of the owner."""
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


_ATTEMPT = """
INSERT INTO channel_gateway.webhook_attempt
VALUES ($1, $2, $3, gen_random_uuid(), 'contact.tag_changed', 1, 204, '', 1, now() - make_interval(days => $4))
"""
_WEBHOOK = """
INSERT INTO channel_gateway.outgoing_webhook
       (team_id, subscription_id, webhook_id, event_type, body, occurred_at, next_at, give_up_at, dead_at)
SELECT $1, $2, gen_random_uuid(), 'contact.tag_changed', '{}', now(), now(), now() - interval '1 minute', d.dead_at
  FROM unnest($3::timestamptz[]) AS d (dead_at)
"""
_LOOKED_AT_BEFORE = """
UPDATE channel_gateway.webhook_subscription SET looked_at = now() - make_interval(mins => $2) WHERE subscription_id = $1
"""


async def test_what_is_kept_for_days_goes_also_where_nothing_happens(
    maker: GatewayMaker, segment: FeedServer, admin: asyncpg.Connection[Any]
) -> None:
    async with telling(maker, segment) as gateway:
        subscription = await subscribed(gateway, "http://127.0.0.1:1/")
        place = (gateway.team_id, UUID(subscription.webhook_subscription_id))
        now_ms = int(time.time() * 1_000)
        kept, old = new_id(now_ms - 6 * DAY_MS), new_id(now_ms - 8 * DAY_MS)
        await admin.execute(_ATTEMPT, *place, kept, 6)
        await admin.execute(_ATTEMPT, *place, old, 8)
        now = datetime.now(UTC)
        await admin.execute(_WEBHOOK, *place, [now - timedelta(days=29), now - timedelta(days=31)])
        await admin.execute(_LOOKED_AT_BEFORE, place[1], 25 * 60)
        attempts = pb.ListWebhookAttemptsRequest(**of(gateway, subscription))
        async with asyncio.timeout(WAIT_S):
            while len((await gateway.stub.ListWebhookAttempts(attempts, timeout=TIMEOUT_S)).attempts) > 1:
                await asyncio.sleep(0.02)
        (letter,) = await dead(gateway, subscription)
        pause = pb.UpdateWebhookSubscriptionRequest(team_id=str(gateway.team_id), request_id="pause")
        pause.subscription.webhook_subscription_id = subscription.webhook_subscription_id
        pause.subscription.state = webhook_pb2.SUBSCRIPTION_STATE_PAUSED
        pause.update_mask.paths.append("state")
        await gateway.stub.UpdateWebhookSubscription(pause, timeout=TIMEOUT_S)
        await admin.execute(_WEBHOOK, *place, [None])
        await admin.execute(_LOOKED_AT_BEFORE, place[1], 11)
        async with asyncio.timeout(WAIT_S):
            while len(letters := await dead(gateway, subscription)) < 2:
                await asyncio.sleep(0.02)
    assert letters[1] == letter
    assert letters[0].last_error == "it waited too long"


async def test_a_subscription_goes_with_what_was_being_made_for_it(
    maker: GatewayMaker, segment: FeedServer, admin: asyncpg.Connection[Any]
) -> None:
    async with telling(maker, segment) as gateway:
        subscription = await subscribed(gateway, "http://127.0.0.1:1/")
        delete = pb.DeleteWebhookSubscriptionRequest(**of(gateway, subscription), request_id="d")
        async with admin.transaction():
            event = (gateway.team_id, new_id(), "contact.tag_changed", START, b"{}")
            made = await admin.fetchval(_TAKE, [event])
            deleting = asyncio.ensure_future(
                gateway.stub.DeleteWebhookSubscription(delete, timeout=TIMEOUT_S)
            )
            await asyncio.wait({deleting}, timeout=0.3)
        await deleting
    assert made == 1
    assert await admin.fetchval("SELECT count(*) FROM channel_gateway.outgoing_webhook") == 0
