"""`omnijourney journey waits|end`: where customers wait, and enrolments that people end."""

from __future__ import annotations

from libs.cli.answers import json_of, tell
from libs.cli.console import say
from libs.cli.journey_explanations import standing
from libs.cli.journeys import TIMEOUT_S, Command, NoSuch, id_of
from libs.client import Client
from libs.client.paging import items
from libs.common.ids import new_id
from libs.common.rpc.values import datetime_of
from omnijourney.journey.v1 import enrolment_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb

_INSIDE = (enrolment_pb2.ENROLMENT_STATE_LIVE, enrolment_pb2.ENROLMENT_STATE_PARKED)


def waits(team_id: str, name: str, *, as_json: bool = False) -> Command:
    """Shows how many wait at each node for what, and when the first of them goes on by itself (UTC)."""

    async def command(client: Client) -> int:
        journey_id = await id_of(client, team_id, name)
        request = pb.CountWaitsRequest(team_id=team_id, journey_id=journey_id)
        answer = await client.journey.CountWaits(request, timeout=TIMEOUT_S)
        for each in answer.waits:
            if as_json:
                say(json_of(each))
                continue
            reason = enrolment_pb2.WaitReason.Name(each.wait_reason).removeprefix("WAIT_REASON_")
            ends = f"  first until {datetime_of(each.next_wake_time):%Y-%m-%d %H:%M}"
            say(
                f"{each.node_id}  {reason}  {each.enrolment_count}{ends if each.HasField('next_wake_time') else ''}"
            )
        if not answer.waits and not as_json:
            say("nobody waits")
        return 0

    return command


def end(team_id: str, name: str, customer_id: str, note: str, *, as_json: bool = False) -> Command:
    """Ends every live enrolment of a customer in a journey, and shows each as it is then."""

    async def command(client: Client) -> int:
        inside = pb.ListEnrolmentsRequest(
            team_id=team_id,
            journey_id=await id_of(client, team_id, name),
            customer_id=customer_id,
            states=_INSIDE,
        )
        listed = items(client.journey.ListEnrolments, inside, "enrolments", timeout_s=TIMEOUT_S)
        found = [each.enrolment_id async for each in listed]
        if not found:
            raise NoSuch(f"{customer_id} is not inside {name!r}")
        for enrolment_id in found:
            request = pb.EndEnrolmentRequest(
                team_id=team_id, request_id=str(new_id()), enrolment_id=enrolment_id, note=note
            )
            answer = await client.journey.EndEnrolment(request, timeout=TIMEOUT_S)
            line = f"{enrolment_id}  {standing(answer.enrolment)}"
            tell(answer.enrolment, line, as_json=as_json)
        return 0

    return command
