"""Data that triggers of the API bring: what is taken, what is the same again, and how long it is kept."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

import asyncpg
import pytest

from libs.common.clock import SteppedClock
from libs.common.mailbox.mail import Mail, SystemTrigger, decode
from libs.testing.fixtures import Databases, Servers
from libs.testing.mails import TEAM
from omnijourney.common.v1 import error_reason_pb2
from omnijourney.journey.v1 import journey_service_pb2, trigger_pb2
from services.journey.convert.trigger_data import DATA_BYTES_MAX
from tests.integration.journey.desk import START, Desk, desk_on, mail_of, serving_desk

CUSTOMER = str(uuid5(TEAM, "customer"))
SYSTEM = trigger_pb2.Trigger(system=trigger_pb2.SystemTriggered())
Told = tuple[str, str]


class Caller:
    """Somebody who triggers a journey."""

    def __init__(self, desk: Desk, journey_id: str) -> None:
        self.desk = desk
        self.journey_id = journey_id

    def item(self, name: str, **fields: Any) -> journey_service_pb2.SystemTriggerItem:
        given = {"journey_id": self.journey_id, "customer_id": CUSTOMER, **fields}
        return journey_service_pb2.SystemTriggerItem(request_id=str(uuid5(TEAM, name)), **given)

    async def trigger(self, *items: journey_service_pb2.SystemTriggerItem) -> list[Told]:
        """Reason and field of each refusal, empty for what was accepted."""
        results = (await self.desk.call("TriggerJourneys", items=items)).results
        assert all(each.accepted is not bool(each.reason) for each in results)
        assert all(bool(each.message) is bool(each.field) for each in results)
        names = error_reason_pb2.ErrorReason
        return [
            ("" if each.accepted else names.Name(each.reason).removeprefix("ERROR_REASON_"), each.field)
            for each in results
        ]

    async def mails(self) -> list[Mail]:
        """What was recorded."""
        listed = await self.desk.internal.mail.ListMail(mail_of(CUSTOMER), timeout=10)
        return [decode(data) for data in listed.mails]

    async def data(self) -> list[dict[str, str] | None]:
        """Of each trigger."""
        bodies = [mail.body for mail in await self.mails()]
        return [body.data for body in bodies if isinstance(body, SystemTrigger)]


@pytest.mark.rule("J-24a")
async def test_a_faulty_item_is_refused_by_itself_with_field_and_remedy(
    servers: Servers, databases: Databases, redis: object
) -> None:
    async with serving_desk(servers, databases) as desk:
        journey = await desk.publish(await desk.create(trigger=SYSTEM))
        caller = Caller(desk, journey.journey_id)
        most = {f"k{number}": "x" * 1_000 for number in range(20)}
        told = await caller.trigger(
            caller.item("sound", data={"code": "A7"}),
            caller.item("key", data={"a key": "x"}),
            caller.item("value", data={"code": "x" * 1_001}),
            caller.item("zero", data={"code": "\0"}),
            caller.item("many", data={f"k{number}": "x" for number in range(21)}),
            caller.item("large", data={f"k{number}": "茶" * 1_000 for number in range(9)}),
            caller.item("most", data=most),
            caller.item("id", customer_id="nobody", data={"code": "A7"}),
        )
        assert DATA_BYTES_MAX < 9 * 3_000
        assert told == [
            ("", ""),
            ("INVALID_FIELDS", 'data["a key"]'),
            ("INVALID_FIELDS", 'data["code"]'),
            ("INVALID_FIELDS", 'data["code"]'),
            ("INVALID_FIELDS", "data"),
            ("INVALID_FIELDS", "data"),
            ("", ""),
            ("INVALID_FIELDS", "customer_id"),
        ]
        assert await caller.data() == [{"code": "A7"}, most]


@pytest.mark.rule("J-24a")
async def test_a_request_id_stands_for_one_trigger_with_its_data(
    servers: Servers, databases: Databases, redis: object
) -> None:
    async with serving_desk(servers, databases) as desk:
        journey = await desk.publish(await desk.create(trigger=SYSTEM))
        other = await desk.publish(await desk.create(name="Other", trigger=SYSTEM))
        caller = Caller(desk, journey.journey_id)
        first = caller.item("first", data={"a": "1", "b": "2"})
        same = caller.item("first", data={"b": "2", "a": "1"})
        reused = ("REQUEST_ID_REUSED", "request_id")
        assert await caller.trigger(first) == [("", "")]
        assert await caller.trigger(
            same,
            caller.item("first", data={"a": "1"}),
            caller.item("first"),
            caller.item("second"),
            caller.item("second"),
            caller.item("second", data={"a": "1"}),
        ) == [("", ""), reused, reused, ("", ""), ("", ""), reused]
        assert await caller.trigger(
            caller.item("second", data={"a": "1"}),
            caller.item("second", customer_id=str(uuid5(TEAM, "another"))),
            caller.item("second", journey_id=other.journey_id),
            caller.item("second"),
        ) == [reused, reused, reused, ("", "")]
        await desk.call("CloseTrigger", journey_id=journey.journey_id)
        assert await caller.trigger(first, caller.item("first"), caller.item("third")) == [
            ("", ""),
            reused,
            ("STATUS_FORBIDS_ACTION", "journey_id"),
        ]
        assert await caller.data() == [{"a": "1", "b": "2"}, None]


async def test_data_are_forgotten_once_they_are_old_and_worked(
    servers: Servers, databases: Databases, redis: object
) -> None:
    clock = SteppedClock(START)
    async with (
        databases.fresh({"journey": "services.journey"}) as database,
        desk_on(servers, database, clock, content_retention_days=3) as desk,
    ):
        owner = await asyncpg.connect(database.admin_dsn)
        journey = await desk.publish(await desk.create(trigger=SYSTEM))
        caller = Caller(desk, journey.journey_id)
        first = caller.item("first", data={"code": "A7"})
        await caller.trigger(first, caller.item("bare"))
        forget = "SELECT journey.forget_trigger_data_v2($1, '{}', '{}', 1000)"
        later = desk.clock.now().replace(year=2027)
        assert await owner.fetchval(forget, later) == 0, "its customer's actor has not taken it"
        await owner.execute(
            "INSERT INTO journey.actor (partition, team_id, customer_id, taken_segment, taken_gateway, taken_journey)"
            " SELECT partition, team_id, customer_id, 0, 0, 2 FROM journey.mail LIMIT 1"
            " ON CONFLICT (partition, team_id, customer_id) DO UPDATE SET taken_journey = 2"
        )
        assert await owner.fetchval(forget, desk.clock.now()) == 0, "it is young"
        assert await owner.fetchval(forget, later) == 1
        assert await caller.data() == [None, None]
        assert await caller.trigger(first, caller.item("bare", data={"code": "A7"})) == [
            ("", ""),
            ("REQUEST_ID_REUSED", "request_id"),
        ]
        rows = await owner.fetch("SELECT request_key, data FROM journey.mail ORDER BY number")
        assert [row["data"] for row in rows] == ["{}", None]
        assert rows[0]["request_key"] == UUID(first.request_id)
        await owner.close()
