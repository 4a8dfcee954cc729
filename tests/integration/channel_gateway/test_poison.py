"""One webhook's fault is its own: it is set aside with its reason, and neither its team nor others wait for it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import grpc
import pytest

from libs.common.db.pool import Pool, open_pool
from libs.common.ids import new_id
from libs.common.rpc.operations import Progress
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import webhook_pb2
from omnijourney.common.v1 import error_reason_pb2
from omnijourney.segment.v1 import event_pb2
from services.channel_gateway.clients.services import Recorded
from services.channel_gateway.convert.events import ConvertedWebhook, customer_event, customer_events
from services.channel_gateway.domain.inbox import StoredWebhook, Worked
from services.channel_gateway.domain.shop_events import ShopEvent
from services.channel_gateway.store import inbox as store
from services.channel_gateway.store.inbox import InboxStore
from services.channel_gateway.worker import forwarding
from services.channel_gateway.worker.inbox import InboxWorker
from services.channel_gateway.worker.presence import Presence
from tests.integration.channel_gateway.conftest import TIMEOUT_S, VAULT, Gateway, GatewayMaker
from tests.integration.channel_gateway.test_webhooks import OfShops, Shop, order, stored

FAULTS = [
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.NOT_FOUND,
]


@pytest.fixture
async def shop(gateway: Gateway) -> Shop:
    """A shop with a key."""
    return Shop(gateway, await gateway.shop())


@pytest.fixture
async def neighbour(gateway: Gateway) -> Shop:
    """A shop of another team."""
    other = dataclasses.replace(gateway, team_id=new_id())
    return Shop(other, await other.shop("other"), "other")


def keys(gateway: Gateway, shop_id: str) -> list[str]:
    """What segment took of a shop, in order."""
    taken = [event.event_key for event in gateway.neighbours.segment.events]
    return [key for key in taken if key.startswith(f"{shop_id}:")]


async def until(condition: Any) -> None:
    """Waits for what is to become true."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize("code", FAULTS)
async def test_an_event_that_segment_cannot_take_is_set_aside_and_can_be_tried_again(
    gateway: Gateway, shop: Shop, neighbour: Shop, code: grpc.StatusCode
) -> None:
    segment = gateway.neighbours.segment
    segment.away = True  # so that they wait, and are forwarded together
    segment.fail_keys = {"demo:order-4": code}
    for number in range(9):
        assert (await shop.post(order(number)))[0] == 202
        assert (await neighbour.post(order(number)))[0] == 202
    segment.away = False
    await gateway.settled()
    assert keys(gateway, "demo") == [f"demo:order-{number}" for number in range(9) if number != 4]
    assert keys(gateway, "other") == [f"other:order-{number}" for number in range(9)]
    (refused,) = await stored(gateway, webhook_pb2.INBOX_STATE_REFUSED)
    assert [(refusal.index, "spoilt" in refusal.message) for refusal in refused.refusals] == [(0, True)]

    segment.fail_keys = {}
    request = pb.RetryInboxRecordRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), sequence=refused.sequence
    )
    await gateway.stub.RetryInboxRecord(request, timeout=TIMEOUT_S)
    await gateway.settled()
    assert keys(gateway, "demo")[-1] == "demo:order-4"
    assert await stored(gateway, webhook_pb2.INBOX_STATE_REFUSED) == []


@pytest.mark.rule("C-20d")
async def test_an_event_that_takes_too_long_holds_no_other_team_and_is_set_aside(
    gateway: Gateway, shop: Shop, neighbour: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "CALL_DEADLINE_S", 0.3)
    segment = gateway.neighbours.segment
    segment.hold_keys = {"demo:order-1": asyncio.Event()}
    for number in range(3):
        assert (await shop.post(order(number)))[0] == 202
    for number in range(20):
        assert (await neighbour.post(order(number)))[0] == 202
    await until(lambda: len(keys(gateway, "other")) == 20)
    await gateway.settled()
    assert keys(gateway, "demo") == ["demo:order-0", "demo:order-2"]
    (refused,) = await stored(gateway, webhook_pb2.INBOX_STATE_REFUSED)
    reasons = [refusal.reason for refusal in refused.refusals]
    assert reasons == [error_reason_pb2.ERROR_REASON_DEADLINE_EXCEEDED]


@pytest.mark.rule("C-20d")
async def test_other_teams_flow_while_one_teams_call_does_not_end(
    gateway: Gateway, shop: Shop, neighbour: Shop
) -> None:
    held = asyncio.Event()
    gateway.neighbours.segment.hold_keys = {"demo:order-0": held}
    for number in range(3):
        assert (await shop.post(order(number)))[0] == 202
    for number in range(50):
        assert (await neighbour.post(order(number)))[0] == 202
    await until(lambda: len(keys(gateway, "other")) == 50)
    assert keys(gateway, "demo") == []
    held.set()
    await gateway.settled()
    assert keys(gateway, "demo") == [f"demo:order-{number}" for number in range(3)]


async def test_a_call_that_is_too_large_is_made_smaller_and_only_what_is_too_large_alone_is_set_aside(
    gateway: Gateway, shop: Shop
) -> None:
    segment = gateway.neighbours.segment
    segment.away = True
    segment.bytes_max = 2_000
    for number in range(30):
        assert (await shop.post(order(number)))[0] == 202
    large = order(30)
    large["order"] = large["order"] | {"items": [{"name": "n" * 500}] * 5}
    assert (await shop.post(large))[0] == 202
    assert (await shop.post(order(31)))[0] == 202
    segment.away = False
    await gateway.settled()
    assert keys(gateway, "demo") == [f"demo:order-{number}" for number in range(32) if number != 30]
    (refused,) = await stored(gateway, webhook_pb2.INBOX_STATE_REFUSED)
    assert "larger than max" in refused.refusals[0].message


async def test_nothing_is_set_aside_while_segment_is_away(gateway: Gateway, shop: Shop) -> None:
    gateway.neighbours.segment.away = True
    for number in range(5):
        assert (await shop.post(order(number)))[0] == 202
    await asyncio.sleep(2.0)  # many tries
    assert len(await stored(gateway, webhook_pb2.INBOX_STATE_STORED)) == 5
    gateway.neighbours.segment.away = False
    await gateway.settled()
    assert len(await stored(gateway, webhook_pb2.INBOX_STATE_RECORDED)) == 5


@pytest.mark.rule("C-20d")
async def test_one_teams_backlog_at_the_bound_refuses_no_other_team(maker: GatewayMaker) -> None:
    async with maker.start(webhook_events_max=12) as gateway:
        shop = Shop(gateway, await gateway.shop())
        other = dataclasses.replace(gateway, team_id=new_id())
        neighbour = Shop(other, await other.shop("other"), "other")
        gateway.neighbours.segment.away = True
        answers = [(await shop.post(order(number)))[0] for number in range(20)]
        assert set(answers) == {202, 429}
        assert int(shop.answered["Retry-After"]) > 0
        assert (await neighbour.post(order(0)))[0] == 202


# ---- what no server says: faults of ours, and of the table ----


class Taking:
    """Takes every event."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    async def record(self, events: Sequence[event_pb2.CustomerEvent], _deadline_s: float) -> list[Recorded]:
        self.keys += [event.event_key.rpartition(":")[0] for event in events]
        return [Recorded(duplicate=False, reason="") for _ in events]


@pytest.fixture
async def pool(gateway: Gateway) -> AsyncIterator[Pool]:
    """Connections of the gateway's role."""
    async with await open_pool(gateway.database.dsn_of("channel_gateway"), name="test") as opened:
        yield opened


def converted(webhook: StoredWebhook) -> ConvertedWebhook:
    return customer_events(webhook, timedelta(minutes=5))


def worker_of(gateway: Gateway, inbox: InboxStore, segment: Taking, convert: Any = converted) -> InboxWorker:
    presence = Presence(gateway.database.dsn_of("channel_gateway"), new_id())
    return InboxWorker(inbox, segment, presence, Progress(), convert, hearing=OfShops())


async def waiting_orders(gateway: Gateway, shop: Shop, count: int) -> None:
    """Leaves orders for a worker of the test's own."""
    gateway.neighbours.segment.away = True
    for number in range(count):
        assert (await shop.post(order(number)))[0] == 202


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize("error", [RecursionError, KeyError, AssertionError, MemoryError, OverflowError])
async def test_whatever_a_conversion_raises_is_its_webhooks_fault(
    gateway: Gateway, shop: Shop, pool: Pool, error: type[Exception]
) -> None:
    await waiting_orders(gateway, shop, 3)

    def convert(webhook: StoredWebhook) -> ConvertedWebhook:
        if b"order-1" in webhook.body:
            raise error("\0 and \udcff")
        return converted(webhook)

    segment = Taking()
    worker = worker_of(gateway, InboxStore(pool, VAULT), segment, convert)
    assert await worker.step()
    assert not await worker.step(), "nothing is left"
    assert segment.keys == ["demo:order-0", "demo:order-2"]
    (refused,) = await stored(gateway, webhook_pb2.INBOX_STATE_REFUSED)
    assert error.__name__ in refused.refusals[0].message


@pytest.mark.rule("C-20d")
async def test_a_webhook_that_fails_in_an_unforeseen_way_is_set_aside_and_the_others_go_on(
    gateway: Gateway, shop: Shop, pool: Pool
) -> None:
    class Failing(InboxStore):
        async def finish(self, worked: Sequence[Worked]) -> None:
            if any(item.webhook.webhook_id == "bad" for item in worked):
                raise TypeError("cannot be marked")
            await super().finish(worked)

    gateway.neighbours.segment.away = True
    for number in range(5):
        assert (await shop.post(order(number), "bad" if number == 2 else ""))[0] == 202
    segment = Taking()
    worker = worker_of(gateway, Failing(pool, VAULT), segment)
    while await worker._work_or_set_aside(gateway.team_id):
        pass
    (refused,) = await stored(gateway, webhook_pb2.INBOX_STATE_REFUSED)
    assert refused.webhook_id == "bad"
    assert "cannot be marked" in refused.refusals[0].message
    assert len(await stored(gateway, webhook_pb2.INBOX_STATE_RECORDED)) == 4


async def test_webhooks_are_read_up_to_the_bounds_of_rows_events_and_bytes_and_one_at_least(
    gateway: Gateway, shop: Shop, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.neighbours.segment.away = True
    await shop.post([order(number) for number in range(3)])
    await shop.post([order(number) for number in range(3, 6)])
    await shop.post(order(6))
    inbox = InboxStore(pool, VAULT)

    async def sizes(events_max: int) -> int:
        return len(await inbox.next(gateway.team_id, events_max))

    assert [await sizes(most) for most in (0, 3, 5, 6, 7)] == [1, 1, 1, 2, 3]
    first = (await inbox.next(gateway.team_id, 1))[0]
    monkeypatch.setattr(store, "READ_BYTES_MAX", len(first.body) * 2)
    assert await sizes(500) == 2
    monkeypatch.setattr(store, "READ_BYTES_MAX", 1)
    assert await sizes(500) == 1
    assert await inbox.next(new_id(), 500) == []


async def test_a_look_finds_all_teams_page_by_page(
    gateway: Gateway, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.channel_gateway.worker.inbox.TEAMS_MAX", 3)
    gateway.neighbours.segment.away = True
    teams = []
    for _ in range(7):
        other = dataclasses.replace(gateway, team_id=new_id())
        shop = Shop(other, await other.shop())
        await shop.post([order(1), order(2)])
        teams.append(other.team_id)
    worker = worker_of(gateway, InboxStore(pool, VAULT), Taking())
    pages = [await worker._look() for _ in range(4)]
    assert {team for page in pages for team in page} == set(teams)
    assert all(len(page) == len(set(page)) == 3 for page in pages)
    assert await InboxStore(pool, VAULT).waiting_events(100) == dict.fromkeys(teams, 2)


@pytest.mark.rule("C-20d")
async def test_an_event_of_a_list_that_cannot_be_converted_refuses_no_other_of_the_list(
    gateway: Gateway, shop: Shop, pool: Pool
) -> None:
    gateway.neighbours.segment.away = True
    assert (await shop.post([order(number) for number in range(4)]))[0] == 202

    def convert(webhook: StoredWebhook, event: ShopEvent, tolerance: timedelta) -> event_pb2.CustomerEvent:
        if event.event_id == "order-2":
            raise RecursionError
        return customer_event(webhook, event, tolerance)

    segment = Taking()
    worker = worker_of(
        gateway,
        InboxStore(pool, VAULT),
        segment,
        lambda webhook: customer_events(webhook, timedelta(minutes=5), convert),
    )
    assert await worker.step()
    assert [key.split(":")[1] for key in segment.keys] == ["order-0", "order-1", "order-3"]
    (refused,) = await stored(gateway, webhook_pb2.INBOX_STATE_REFUSED)
    assert [refusal.index for refusal in refused.refusals] == [2]
