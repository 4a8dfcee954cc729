"""A whole installation with two teams: one that sends more than the other, and both are watched."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import aiohttp
import asyncpg

from libs.client import Client, ServiceName
from libs.common.ids import new_id
from libs.common.tasks import set_within
from libs.demo.patience import call
from libs.demo.webhooks import WebhookPoster
from libs.supervisor import Installation, InstallationOptions, InstallationSettings
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1.webhook_pb2 import Shop
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.team_pb2 import Team, TeamSettings
from services.stats.domain.model import Metric

POSTING_PATIENCE_S: Final = 300.0
LOOK_S: Final = 0.2
"""How often it is looked what is recorded."""


@dataclass
class Sender:
    """A team's shop, and what it has been answered 202 for."""

    team_id: UUID
    poster: WebhookPoster
    accepted: set[str] = field(default_factory=set)
    """Ids of the orders."""

    async def post(self, order_id: str, body: bytes) -> None:
        """Posts one order, again until it is taken."""
        await self.poster.deliver(order_id, body, datetime.now(UTC))
        self.accepted.add(order_id)


class Site:
    """The installation, running."""

    def __init__(
        self,
        installation: Installation,
        client: Client,
        admin: asyncpg.Connection[Any],
        http: aiohttp.ClientSession,
    ) -> None:
        self._installation = installation
        self._client = client
        self._admin = admin
        self._http = http
        self._admin_use = asyncio.Lock()

    async def sender(self, name: str) -> Sender:
        """A new team with a shop."""
        settings = TeamSettings(time_zone="Asia/Taipei", currency_code="TWD")
        team_id = str(new_id())
        team = Team(team_id=team_id, name=name, settings=settings)
        await call(
            self._client.segment.CreateTeam, segment.CreateTeamRequest(request_id=str(new_id()), team=team)
        )
        stub = self._client.channel_gateway
        shop = Shop(shop_id="web", display_name=name)
        await call(
            stub.CreateShop, gateway.CreateShopRequest(team_id=team_id, request_id=str(new_id()), shop=shop)
        )
        request = gateway.CreateShopKeyRequest(team_id=team_id, request_id=str(new_id()), shop_id="web")
        key = (await call(stub.CreateShopKey, request)).key
        url = f"{self._installation.http_url}/v1/teams/{team_id}/shops/web/events"
        return Sender(UUID(team_id), WebhookPoster(self._http, url, key.secret, "TWD", POSTING_PATIENCE_S))

    @contextlib.contextmanager
    def stopped(self, service: ServiceName) -> Iterator[None]:
        """The process stands still for the time of the block."""
        pid = self._installation.pid_of(service)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    async def recorded(self, sender: Sender) -> set[str]:
        """Orders of the team that segment holds."""
        async with self._admin_use:
            rows = await self._admin.fetch(
                "SELECT order_id FROM segment.shop_order WHERE team_id = $1", sender.team_id
            )
        return {row["order_id"] for row in rows}

    async def delays(self, sender: Sender) -> list[tuple[datetime, datetime]]:
        """When each of the team's orders was received by the gateway, and when segment recorded it: by their clocks, so
        that it does not matter how busy this process is. Each order must be of a customer of its own."""
        async with self._admin_use:
            rows = await self._admin.fetch(
                "SELECT w.received_at, min(f.record_time) AS recorded_at"
                "  FROM channel_gateway.webhook_inbox AS w"
                "  JOIN segment.shop_order AS o ON o.team_id = w.team_id AND o.order_id = w.webhook_id"
                "  JOIN segment.fact AS f ON f.team_id = o.team_id AND f.customer_id = o.customer_id"
                " WHERE w.team_id = $1 GROUP BY w.sequence ORDER BY w.sequence",
                sender.team_id,
            )
        return [(row["received_at"], row["recorded_at"]) for row in rows]

    async def counted(self, sender: Sender) -> int:
        """Orders of the team that stats has counted."""
        async with self._admin_use:
            return int(
                await self._admin.fetchval(
                    "SELECT COALESCE(sum(value), 0) FROM stats.total WHERE team_id = $1 AND metric = ANY ($2)",
                    sender.team_id,
                    [int(Metric.ORDERS), int(Metric.ANONYMOUS)],
                )
            )

    async def set_aside(self) -> int:
        """Webhooks that were refused after receipt."""
        async with self._admin_use:
            return int(
                await self._admin.fetchval(
                    "SELECT count(*) FROM channel_gateway.webhook_inbox WHERE state = 3"
                )
            )


@contextlib.asynccontextmanager
async def watching(site: Site, sender: Sender, every_s: float) -> AsyncIterator[None]:
    """Has a team send an order now and then for the time of the block, and waits until all are recorded."""
    ending = asyncio.Event()
    posting = asyncio.create_task(_post_now_and_then(sender, every_s, ending))
    try:
        yield
    finally:
        ending.set()
        await posting
    while len(await site.recorded(sender)) < len(sender.accepted):
        await asyncio.sleep(LOOK_S)


async def _post_now_and_then(sender: Sender, every_s: float, ending: asyncio.Event) -> None:
    for number in itertools.count():
        order_id = f"{sender.team_id}-{number}"
        await sender.post(order_id, order_body(order_id, lines=1, name="probe"))
        if await set_within(ending, every_s):
            return


def order_body(order_id: str, *, lines: int, name: str, product_id: str = "", sku: str = "") -> bytes:
    """One order of a customer of its own, all its lines alike."""
    line = json.dumps(
        {"name": name, "product_id": product_id, "sku": sku, "quantity": 2, "unit_price": "1.00"}
    )
    at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    items = ",".join([line] * lines)
    return (
        f'{{"event":"order.completed","event_id":"{order_id}","occurred_at":"{at}",'
        f'"customer":{{"member_id":"{order_id}"}},'
        f'"order":{{"id":"{order_id}","currency":"TWD","total":"{2 * lines}.00","items":[{items}]}}}}'
    ).encode()


@contextlib.asynccontextmanager
async def site() -> AsyncIterator[Site]:
    """An installation on servers of its own, in a directory that goes with it."""
    with tempfile.TemporaryDirectory(prefix="omnijourney-overload-") as directory:
        options = InstallationOptions(
            settings=InstallationSettings(data_dir=Path(directory)), free_ports=True
        )
        async with (
            Installation(options) as installation,
            Client(installation.targets, installation.token) as client,
            aiohttp.ClientSession() as http,
        ):
            admin = await asyncpg.connect(installation.postgres_dsn)
            try:
                yield Site(installation, client, admin, http)
            finally:
                await admin.close()
