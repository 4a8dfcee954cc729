"""A trigger that is said again is answered as the first time, whatever became of its journey in between."""

from __future__ import annotations

from uuid import uuid5

from libs.testing.fixtures import Databases, Servers
from libs.testing.mails import TEAM
from omnijourney.common.v1 import error_reason_pb2
from omnijourney.journey.v1 import journey_service_pb2, trigger_pb2
from tests.integration.journey.desk import Desk, mail_of, serving_desk

CUSTOMER = str(uuid5(TEAM, "customer"))


async def test_a_trigger_that_was_accepted_is_accepted_again_after_the_journey_is_over(
    servers: Servers, databases: Databases, redis: object
) -> None:
    async with serving_desk(servers, databases) as desk:
        system = trigger_pb2.Trigger(system=trigger_pb2.SystemTriggered())
        journey = await desk.publish(await desk.create(trigger=system))
        assert await _triggered(desk, journey.journey_id, "first") == [""]
        await desk.call("CloseTrigger", journey_id=journey.journey_id)
        assert await _triggered(desk, journey.journey_id, "second", "first") == [
            "ERROR_REASON_STATUS_FORBIDS_ACTION",
            "",
        ]
        assert len((await desk.internal.mail.ListMail(mail_of(CUSTOMER), timeout=10)).mails) == 1


async def _triggered(desk: Desk, journey_id: str, *names: str) -> list[str]:
    """Why each was refused; empty if it was accepted."""
    items = [
        journey_service_pb2.SystemTriggerItem(
            journey_id=journey_id, customer_id=CUSTOMER, request_id=str(uuid5(TEAM, name))
        )
        for name in names
    ]
    results = (await desk.call("TriggerJourneys", items=items)).results
    reasons = error_reason_pb2.ErrorReason
    return ["" if each.accepted else reasons.Name(each.reason) for each in results]
