"""System triggers and their entry in the audit log are recorded together, or not at all."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid5

import asyncpg
import pytest

from libs.common.clock import SteppedClock
from libs.testing.fixtures import Databases, Servers
from libs.testing.mails import TEAM
from omnijourney.journey.v1 import journey_service_pb2, trigger_pb2
from tests.integration.journey.desk import START, desk_on, mail_of, refusal

_ENTRIES = (
    "SELECT after FROM platform.audit_entry WHERE method LIKE '%/TriggerJourneys' ORDER BY audit_entry_id"
)


@pytest.mark.rule("X-02d")
async def test_triggers_are_written_down_as_they_are_recorded(
    servers: Servers, databases: Databases, redis: object
) -> None:
    async with (
        databases.fresh({"journey": "services.journey"}) as database,
        desk_on(servers, database, SteppedClock(START)) as desk,
    ):
        system = trigger_pb2.Trigger(system=trigger_pb2.SystemTriggered())
        journey = await desk.publish(await desk.create(trigger=system))
        customer = str(uuid5(TEAM, "customer"))
        item: dict[str, Any] = {"journey_id": journey.journey_id, "customer_id": customer}
        first, second = (
            journey_service_pb2.SystemTriggerItem(**item, request_id=str(uuid5(TEAM, name)))
            for name in ("first", "second")
        )
        owner = await asyncpg.connect(database.admin_dsn)
        await desk.call("TriggerJourneys", items=[first])
        assert [json.loads(row["after"])["request"] for row in await owner.fetch(_ENTRIES)] == [{"items": 1}]
        await owner.execute(
            "ALTER TABLE platform.audit_entry ADD CONSTRAINT full_up CHECK (method = '') NOT VALID"
        )
        assert (await refusal(desk.call("TriggerJourneys", items=[second]))).code.name == "INTERNAL"
        assert len((await desk.internal.mail.ListMail(mail_of(customer), timeout=10)).mails) == 1
        await owner.execute("ALTER TABLE platform.audit_entry DROP CONSTRAINT full_up")
        await desk.call("TriggerJourneys", items=[second])
        assert len(await owner.fetch(_ENTRIES)) == 2
        await owner.close()
