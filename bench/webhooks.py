"""channels, the half of webhooks in: shops' signed orders, taken and stored, beside a bare handler that commits the
same bodies into the same PostgreSQL in the same run."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import aiohttp
import msgspec
from standardwebhooks import Webhook

from bench.field import CALL_TIMEOUT_S, BenchFault, Field
from bench.team import BenchTeam, call
from libs.common.ids import new_id
from libs.embedded.ports import free_port
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1.webhook_pb2 import Shop

CONNECTIONS: Final = 64
ROUNDS: Final = 2
"""Each is measured so often, in turn; the better round counts."""
_SHOP: Final = "bench"


class Taking(msgspec.Struct, frozen=True):
    """Of one receiver."""

    rate_per_s: float
    """As fast as CONNECTIONS get answers."""
    p50_ms: float
    p99_ms: float
    """At half of the slower receiver's rate."""


Sign = Callable[[int], dict[str, str]]


async def webhooks(field: Field, count: int) -> tuple[Taking, Taking]:
    """The product and the floor, `count` webhooks each a round."""
    team = BenchTeam(field)
    await team.create()
    await field.clock.set(1.0)
    url, signer = await _shop(field, team)
    bodies = [_body(number) for number in range(count)]

    async with _bare(field) as bare_url:
        ours = _Receiver(field, url, bodies, signer)
        bare = _Receiver(field, bare_url, bodies, None)
        rates = [(await ours.flood(), await bare.flood()) for _ in range(ROUNDS)]
        rate, floor = max(mine for mine, _ in rates), max(its for _, its in rates)
        half = min(rate, floor) / 2
        times = [(await ours.steady(half), await bare.steady(half)) for _ in range(ROUNDS)]
    mine, its = min(mine for mine, _ in times), min(its for _, its in times)
    await field.settled()
    return Taking(rate, mine[1], mine[0]), Taking(floor, its[1], its[0])


class _Receiver:
    """Whoever takes webhooks."""

    def __init__(self, field: Field, url: str, bodies: Sequence[bytes], signer: Webhook | None) -> None:
        self._field = field
        self._url = url
        self._bodies = bodies
        self._signer = signer

    async def flood(self) -> float:
        """Webhooks a second, as fast as they are answered."""
        waiting = iter(self._bodies)

        async def sender() -> None:
            for body in waiting:
                await self._post(body)

        began_s = time.perf_counter()
        await asyncio.gather(*(sender() for _ in range(CONNECTIONS)))
        return len(self._bodies) / (time.perf_counter() - began_s)

    async def steady(self, per_s: float) -> tuple[float, float]:
        """The 99th percentile and the median in ms, of webhooks that come at a rate, answered or not."""
        began_s = time.perf_counter()

        async def one(number: int, body: bytes) -> float:
            due_s = began_s + number / per_s
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            await self._post(body)
            return time.perf_counter() - due_s

        took = sorted(await asyncio.gather(*(one(*each) for each in enumerate(self._bodies))))
        return took[len(took) * 99 // 100] * 1e3, took[len(took) // 2] * 1e3

    async def _post(self, body: bytes) -> None:
        headers = self._headers(str(new_id()), body)
        async with self._field.session.post(self._url, data=body, headers=headers) as answer:
            await answer.read()
            if answer.status != 202:
                raise BenchFault(f"a webhook is answered {answer.status}")

    def _headers(self, webhook_id: str, body: bytes) -> dict[str, str]:
        if self._signer is None:
            return {"webhook-id": webhook_id}
        at = self._field.clock.now()
        return {
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": self._signer.sign(webhook_id, at, body.decode()),
        }


def _body(number: int) -> bytes:
    order = {
        "id": f"o{number}",
        "currency": "TWD",
        "total": "100.00",
        "items": [{"name": "Tea", "quantity": 1}],
    }
    event = {
        "event": "order.completed",
        "event_id": f"e{number}",
        "occurred_at": "2026-01-01T00:00:00Z",
        "customer": {"member_id": str(number % 500)},
        "order": order,
    }
    return json.dumps(event).encode()


async def _shop(field: Field, team: BenchTeam) -> tuple[str, Webhook]:
    client = field.client.channel_gateway
    shop = gateway.CreateShopRequest(
        team_id=team.team_id, request_id=str(new_id()), shop=Shop(shop_id=_SHOP, display_name="Bench")
    )
    await call(client.CreateShop, shop)
    key = gateway.CreateShopKeyRequest(team_id=team.team_id, request_id=str(new_id()), shop_id=_SHOP)
    secret = (await call(client.CreateShopKey, key)).key.secret
    url = f"{field.installation.http_url}/v1/teams/{team.team_id}/shops/{_SHOP}/events"
    return url, Webhook(secret)


@contextlib.asynccontextmanager
async def _bare(field: Field) -> AsyncIterator[str]:
    """The floor's process."""
    port = free_port()
    arguments = ("-m", "bench.bare_webhooks", field.installation.postgres_dsn, str(port))
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments)
    url = f"http://127.0.0.1:{port}/events"
    try:
        await _until_up(field.session, url)
        yield url
    finally:
        process.terminate()
        await process.wait()


async def _until_up(session: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(CALL_TIMEOUT_S):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.post(url, data=b"{}", headers={"webhook-id": "up"}):
                    return
            await asyncio.sleep(0.05)
