"""A send whose row others write while its sender does: receipts of its first messages come before the last has left."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.common.v1 import error_reason_pb2
from services.channel_gateway.domain.model import Job
from services.channel_gateway.store.deliveries import DeliveryStore, Marked, Postponement
from services.channel_gateway.store.rows import pack_parts
from tests.integration.channel_gateway.conftest import WHATSAPP, Gateway
from tests.integration.channel_gateway.test_hooks import Platform, whatsapp
from tests.integration.channel_gateway.test_recovery import as_owner

__all__ = ["whatsapp"]
SENDER_LOST = error_reason_pb2.ERROR_REASON_SENDER_LOST
SENT, UNKNOWN = delivery_pb2.SEND_STATE_SENT, delivery_pb2.SEND_STATE_UNKNOWN
_FUNCTIONS = {"postpone": "postpone_sends", "mark_in_flight": "mark_sends_v2"}


class Beside:
    """Writes the rows of sends in the middle of the first such step of their sender."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, gateway: Gateway, step: str) -> None:
        self._dsn = gateway.database.admin_dsn
        self._function = _FUNCTIONS[step]
        self.passed_over: list[set[UUID]] = []
        """Of each step, the sends that it did not find."""
        real = getattr(DeliveryStore, step)

        async def with_others(store: DeliveryStore, items: Sequence[Job | Postponement], sender: UUID) -> Any:
            call = real(store, items, sender)
            done = await (call if self.passed_over else self._meanwhile(call))
            found: Collection[UUID] = done.ours if isinstance(done, Marked) else done
            keys = {item.effect_key if isinstance(item, Job) else item.job.effect_key for item in items}
            self.passed_over.append(keys.difference(found))
            return done

        monkeypatch.setattr(DeliveryStore, step, with_others)

    async def _meanwhile(self, call: Coroutine[Any, Any, Any]) -> Any:
        """What the step answers, whose statement waits for a row that is changed when it gets it."""
        writer, watcher = await asyncpg.connect(self._dsn), await asyncpg.connect(self._dsn)
        try:
            async with writer.transaction():
                await writer.execute("UPDATE channel_gateway.delivery SET receipt = receipt")
                step = asyncio.create_task(call)
                while not step.done() and not await self._waits(watcher):
                    await asyncio.sleep(0.01)
        finally:
            await asyncio.gather(writer.close(), watcher.close())
        return await step

    async def _waits(self, watcher: asyncpg.Connection[Any]) -> bool:
        count = await watcher.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock' AND query LIKE $1",
            f"%{self._function}(%",
        )
        return bool(count)


async def several(platform: Platform, *texts: str) -> str:
    """Asks for a WhatsApp send of several messages; its key."""
    gateway = platform.gateway
    customer, module = gateway.customer(platform.account_id, WHATSAPP), await gateway.module(*texts)
    person = gateway.neighbours.segment.profiles[customer].identities[0].key.external_id
    await platform.tell("inbound", wa_id=person, text="Hello")
    await platform.heard()
    await gateway.top_up(10_000_000)
    send = gateway.send(customer, WHATSAPP, account_id=platform.account_id, bot_module_id=module)
    (result,) = await gateway.ask(send)
    assert (result.state, result.messages) == (delivery_pb2.SEND_STATE_ACCEPTED, len(texts))
    return send.effect_key


@pytest.mark.rule("C-04c")
@pytest.mark.parametrize("step", list(_FUNCTIONS))
async def test_a_send_whose_row_is_written_meanwhile_goes_on_and_repeats_no_message(
    whatsapp: Platform, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    gateway = whatsapp.gateway
    beside = Beside(monkeypatch, gateway, step)
    key = await several(whatsapp, "1", "2", "3")
    await gateway.settled()
    assert (await gateway.delivery(key)).state == SENT
    assert len(await gateway.accepted("whatsapp")) == 3
    assert beside.passed_over == [set(), set()], "only the recovery would go on with it"


@pytest.mark.rule("C-04c")
@pytest.mark.usefixtures("looks_soon")
@pytest.mark.parametrize("began", ["parts_sent = 1", "attempts = 2", "doubtful = true"])
async def test_a_send_in_flight_that_memory_lost_is_unknown_where_it_may_have_left(
    whatsapp: Platform, began: str
) -> None:
    gateway = whatsapp.gateway
    key = await several(whatsapp, "1", "2", "3")
    await gateway.settled()
    parts = pack_parts([b"{}"] * 3).hex()
    await as_owner(
        gateway,
        "UPDATE channel_gateway.delivery SET settled_at = NULL, parts_sent = 0, attempts = 1, message_ids = '{}',"
        f" parts = '\\x{parts}', stint_id = '{UUID(int=0)}'",  # the stint that always stands
        f"UPDATE channel_gateway.delivery SET state = 9, {began}",
    )
    await gateway.settled()
    delivery = await gateway.delivery(key)
    assert (delivery.state, delivery.reason) == (UNKNOWN, SENDER_LOST)
    assert len(await gateway.accepted("whatsapp")) == 3
