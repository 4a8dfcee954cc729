"""channels, the half of sends: a broadcast to one LINE account, from what a journey asks to what the channel took.

Beside it a bare loop posts the same bodies to the same emulator and commits the same rows in the same run. Meanwhile
another journey asks for a message now and then: how late it leaves.
"""

import asyncio
import json
import sys
import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from bench.field import PATIENCE_S, REAL, BenchFault, Field
from bench.measure import chunks
from bench.team import BATCH, BenchTeam, call, spread
from libs.common.ids import new_id
from libs.common.rpc.values import timestamp
from libs.emulators.config import EmulatorSettings
from libs.emulators.line import FIRST_CHANNEL_ID
from omnijourney.channel_gateway.v1 import account_pb2, content_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.common.v1.channel_pb2 import CHANNEL_LINE
from omnijourney.internal.v1 import sends_service_pb2
from omnijourney.internal.v1.send_pb2 import Send
from omnijourney.segment.v1 import event_pb2
from omnijourney.segment.v1.customer_pb2 import IdentityKey

CONCURRENCY: Final = 256
"""Requests at once, the product's and the bare loop's."""
PROBE_EVERY_S: Final = 0.25
PROBES_MAX: Final = 200
TEXT: Final = "Spring has come, and with it a tenth off everything until Sunday."
_POLL_S: Final = 0.02


class Sending(msgspec.Struct, frozen=True):
    """Of a broadcast."""

    rate_per_s: float
    """Messages a second, from the first that is asked for to the last that the channel took."""
    bare_per_s: float
    probes: int
    probe_p50_ms: float
    """From when another journey's message is asked for to when the channel took it, beside the broadcast."""
    probe_max_ms: float
    probe_p50_ahead: int
    probe_max_ahead: int
    """Messages that left in between: what the line costs, on a machine of any speed."""
    alone_p50_ms: float
    """The same while nothing else is sent."""


async def sending(field: Field, count: int) -> Sending:
    """The product and the floor."""
    bench = _Broadcast(field)
    await bench.create()
    customers = await bench.people(count + 2 * PROBES_MAX)
    probes, alone, many = (
        customers[:PROBES_MAX],
        customers[PROBES_MAX : 2 * PROBES_MAX],
        customers[2 * PROBES_MAX :],
    )
    quiet = await bench.probe(alone[:20], until=asyncio.Event())
    took_s, beside = await bench.run(many, probes)
    records = await bench.records()
    late, ahead = sorted(_late_ms(beside, records)), sorted(_ahead(beside, records))
    unhurried = sorted(_late_ms(quiet, records))
    bare_s = await bench.bare(records[-count:])
    if not late:
        raise BenchFault("the broadcast was over before another journey's message came: take more")
    return Sending(
        count / took_s,
        count / bare_s,
        len(late),
        late[len(late) // 2],
        late[-1],
        ahead[len(ahead) // 2],
        ahead[-1],
        unhurried[len(unhurried) // 2],
    )


def _late_ms(asked: dict[str, datetime], records: Iterable[dict[str, Any]]) -> list[float]:
    taken = {record["recipient"]: datetime.fromisoformat(record["accepted_at"]) for record in records}
    return [(taken[recipient] - at) / timedelta(milliseconds=1) for recipient, at in asked.items()]


def _ahead(asked: dict[str, datetime], records: Sequence[dict[str, Any]]) -> list[int]:
    times = [datetime.fromisoformat(record["accepted_at"]) for record in records]
    places = {record["recipient"]: place for place, record in enumerate(records)}
    return [places[recipient] - bisect_left(times, at) for recipient, at in asked.items()]


class _Broadcast:
    """A team with a LINE account at the emulator, and what is asked of its gateway as journeys do."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self._team = BenchTeam(field)
        self._url = field.installation.channel_urls["line"]
        self._account = self._module = ""

    async def create(self) -> None:
        """Team, account, content."""
        await self._team.create()
        await self._field.clock.set(1.0)
        names, client = EmulatorSettings.model_construct(), self._field.client.channel_gateway
        account = account_pb2.ChannelAccount(
            channel=CHANNEL_LINE, display_name="Bench", rate_per_second=10_000, concurrency_max=CONCURRENCY
        )
        account.line.CopyFrom(
            account_pb2.LineConnection(channel_id=FIRST_CHANNEL_ID, access_token=names.token)
        )
        team_id = self._team.team_id
        asked = gateway.CreateChannelAccountRequest(
            team_id=team_id, request_id=str(new_id()), account=account
        )
        made = await call(client.CreateChannelAccount, asked)
        self._account = made.account.channel_account_id
        module = content_pb2.BotModule(name="Spring")
        module.cards.add().text.text = TEXT
        content = gateway.CreateBotModuleRequest(team_id=team_id, request_id=str(new_id()), module=module)
        created = await call(client.CreateBotModule, content)
        self._module = created.module.bot_module_id

    async def people(self, count: int) -> list[UUID]:
        """Friends of the account."""
        customers = await self._team.create_customers(count)
        await spread(list(chunks(customers, BATCH)), self._befriend)
        return customers

    async def _befriend(self, customers: Sequence[UUID]) -> None:
        now, events = timestamp(self._field.clock.now()), []
        for customer in customers:
            event = event_pb2.CustomerEvent(
                team_id=self._team.team_id, event_key=f"friend-{customer.hex}", occur_time=now
            )
            event.customer.customer_id = str(customer)
            key = IdentityKey(
                channel=CHANNEL_LINE, account_id=self._account, external_id=recipient_of(customer)
            )
            event.contact_added.identity.CopyFrom(key)
            events.append(event)
        await self._team.record(events)

    async def run(
        self, customers: Sequence[UUID], others: Sequence[UUID]
    ) -> tuple[float, dict[str, datetime]]:
        """Sends to all; the seconds, and when others' messages were asked for meanwhile."""
        journey, over = new_id(), asyncio.Event()
        before = await self._taken()
        probing = asyncio.create_task(self.probe(others, until=over))
        began_s = time.perf_counter()
        await spread(list(chunks(customers, BATCH)), lambda batch: self._ask(journey, batch))
        over_s = await self._until(before + len(customers)) - began_s
        over.set()
        asked = await probing
        # The last of them may still be on their way.
        await self._until(before + len(customers) + len(asked))
        return over_s, asked

    async def probe(self, customers: Sequence[UUID], *, until: asyncio.Event) -> dict[str, datetime]:
        """Has another journey send to one after the other; when each was asked for, by recipient."""
        journey, asked = new_id(), {}
        for customer in customers:
            await asyncio.sleep(PROBE_EVERY_S)
            if until.is_set():
                break
            asked[recipient_of(customer)] = REAL.now()
            await self._ask(journey, [customer])
        return asked

    async def _ask(self, journey: UUID, customers: Sequence[UUID]) -> None:
        sends = [
            Send(
                effect_key=str(new_id()),
                team_id=self._team.team_id,
                customer_id=str(customer),
                enrolment_id=str(new_id()),
                journey_id=str(journey),
                node_id="hello",
                channel=CHANNEL_LINE,
                account_id=self._account,
                bot_module_id=self._module,
            )
            for customer in customers
        ]
        stub = self._field.client.internal("channel_gateway").sends
        answer = await call(stub.SendMessages, sends_service_pb2.SendMessagesRequest(sends=sends))
        refused = [result.reason for result in answer.results if result.reason]
        if refused:
            raise BenchFault(f"a send was refused: {refused[0]}")

    async def _taken(self) -> int:
        async with self._field.session.get(f"{self._url}/_emulator/health") as answer:
            return int((await answer.json())["accepted"])

    async def _until(self, count: int) -> float:
        """When the channel has taken so many."""
        seen, moved_s = -1, time.perf_counter()
        while (now := await self._taken()) < count:
            if now > seen:
                seen, moved_s = now, time.perf_counter()
            if time.perf_counter() - moved_s > PATIENCE_S:
                raise BenchFault(f"the channel took {now} of {count}, and no more come")
            await asyncio.sleep(_POLL_S)
        return time.perf_counter()

    async def records(self) -> list[dict[str, Any]]:
        """All that the channel took, in order."""
        records: list[dict[str, Any]] = []
        while True:
            url = f"{self._url}/_emulator/log?after={len(records)}"
            async with self._field.session.get(url) as answer:
                page = await answer.json()
            records += page["records"]
            if len(records) >= page["total"]:
                return records

    async def bare(self, records: Sequence[dict[str, Any]]) -> float:
        """Seconds in which the bare loop, a process of its own, has posted the same bodies and committed the rows."""
        lines = "".join(json.dumps(record["body"]) + "\n" for record in records)
        names, pipe = EmulatorSettings.model_construct(), asyncio.subprocess.PIPE
        arguments = (self._field.installation.postgres_dsn, self._url, names.token)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.bare_sends", *arguments), stdin=pipe, stdout=pipe
        )
        told, _ = await process.communicate(lines.encode())
        if process.returncode:
            raise BenchFault(f"the bare loop ended with {process.returncode}")
        return float(told)


def recipient_of(customer: UUID) -> str:
    """The customer's id at LINE."""
    return f"U{customer.hex}"
