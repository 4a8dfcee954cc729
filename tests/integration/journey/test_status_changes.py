"""Every change of a journey's status is kept: who or what, why, when."""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta
from typing import Any
from uuid import uuid4

import pytest

from libs.testing.fixtures import Databases, Servers
from omnijourney.journey.v1 import journey_pb2
from tests.integration.journey.desk import START, WAIT_S, Desk, refusal, schedule_of, serving_desk
from tests.integration.journey.house import House, delay, message

DRAFT, SCHEDULED = journey_pb2.JOURNEY_STATUS_DRAFT, journey_pb2.JOURNEY_STATUS_SCHEDULED
ACTIVE, CLOSED = journey_pb2.JOURNEY_STATUS_ACTIVE, journey_pb2.JOURNEY_STATUS_TRIGGER_CLOSED
STOPPING, STOPPED = journey_pb2.JOURNEY_STATUS_STOPPING, journey_pb2.JOURNEY_STATUS_STOPPED
CLOSES = journey_pb2.EXPIRY_ACTION_CLOSE_TRIGGER
HOUR = timedelta(hours=1)


async def _changes(desk: Desk, journey_id: str, **asked: Any) -> list[tuple[int, int, str, timedelta]]:
    """Before, after, who, and how long after the start; newest first, page by page."""
    told = []
    while True:
        page = await desk.call("ListStatusChanges", journey_id=journey_id, page_size=2, **asked)
        for each in page.status_changes:
            at = each.change_time.ToDatetime(tzinfo=UTC) - START
            told.append((each.before_status, each.after_status, each.actor, at))
        if not page.next_page_token:
            return told
        asked["page_token"] = page.next_page_token


@pytest.mark.rule("J-08d")
async def test_changes_by_people_and_by_the_schedule_are_told_with_who_and_when(
    servers: Servers, databases: Databases, redis: object
) -> None:
    async with serving_desk(servers, databases) as desk:
        journey = await desk.publish(
            await desk.create(schedule=schedule_of(START + HOUR, START + 2 * HOUR, CLOSES))
        )
        for status in (ACTIVE, CLOSED):
            desk.clock.advance(HOUR)
            async with asyncio.timeout(WAIT_S):
                while (await _changes(desk, journey.journey_id))[0][1] != status:
                    await asyncio.sleep(0.02)
        desk.clock.advance(HOUR)
        await desk.call("StopJourney", journey_id=journey.journey_id)
        await desk.until_status(journey, STOPPED)
        expected = [
            (STOPPING, STOPPED, "journey", 3 * HOUR),
            (CLOSED, STOPPING, "installation", 3 * HOUR),
            (ACTIVE, CLOSED, "journey", 2 * HOUR),
            (SCHEDULED, ACTIVE, "journey", HOUR),
            (DRAFT, SCHEDULED, "installation", timedelta()),
        ]
        assert await _changes(desk, journey.journey_id) == expected
        desk.clock.advance(HOUR)
        await desk.call("DeleteJourney", journey_id=journey.journey_id)
        assert await _changes(desk, journey.journey_id) == expected
        strange = await refusal(desk.call("ListStatusChanges", journey_id=str(uuid4())))
        assert strange.reason == "RESOURCE_NOT_FOUND"
        unwritten = await refusal(
            desk.call("ListStatusChanges", journey_id=journey.journey_id, language_code="fr")
        )
        assert [fault.field for fault in unwritten.violations] == ["language_code"]


@pytest.mark.rule("J-08c")
async def test_a_deleted_journey_is_known_by_its_name_to_who_asks_for_it(
    servers: Servers, databases: Databases, redis: object
) -> None:
    async with serving_desk(servers, databases) as desk:
        journey = await desk.create(name="Last summer")
        seen = await desk.call("GetJourney", journey_id=journey.journey_id, show_deleted=True)
        assert not seen.journey.HasField("delete_time")
        desk.clock.advance(HOUR)
        await desk.call("DeleteJourney", journey_id=journey.journey_id)
        gone = await refusal(desk.call("GetJourney", journey_id=journey.journey_id))
        assert gone.reason == "RESOURCE_NOT_FOUND"
        seen = await desk.call("GetJourney", journey_id=journey.journey_id, show_deleted=True)
        assert seen.journey.definition.name == "Last summer"
        assert seen.journey.delete_time.ToDatetime(tzinfo=UTC) == START + HOUR
        assert not (await desk.call("ListJourneys")).journeys


@pytest.mark.rule("J-07e", "J-07g", "J-08d")
async def test_a_stop_by_what_is_gone_names_it_and_tells_why(house: House) -> None:
    module, key = await house.module(), await house.attribute("level")
    filled = await house.module("You are {{attribute.level|new}}")
    sends = await house.publish(delay(), message("a", bot_module_id=module))
    by_module = await house.publish(message("a", bot_module_id=filled))
    await house.call("gateway", "DeleteBotModule", bot_module_id=module)
    await house.call("segment", "ArchiveAttribute", key=key)
    missing, unavailable = (
        journey_pb2.STATUS_REASON_BOT_MODULE_MISSING,
        journey_pb2.STATUS_REASON_ATTRIBUTE_UNAVAILABLE,
    )
    for journey_id, reason, subject, text in (
        (sends, missing, module, "找不到機器人或機器人模組"),
        (by_module, unavailable, key, "找不到自訂屬性或被封存、資料型態被改變"),
    ):
        await house.until_stopped(journey_id, reason)
        listed = await house.call(
            "journey", "ListStatusChanges", journey_id=journey_id, language_code="zh-TW"
        )
        stopping = next(each for each in listed.status_changes if each.after_status == STOPPING)
        assert (stopping.status_reason, stopping.subject, stopping.message) == (reason, subject, text)
        assert (stopping.before_status, stopping.actor) == (ACTIVE, "journey")
