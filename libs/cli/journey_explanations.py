"""`omnijourney journey explain`: why a customer entered a journey, or why not."""

from __future__ import annotations

from google.protobuf.json_format import MessageToJson

from libs.cli.console import say
from libs.cli.journeys import TIMEOUT_S, Command, id_of
from libs.client import Client
from libs.client.paging import items
from omnijourney.journey.v1 import enrolment_pb2, explain_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb

_PAGE_MAX = 100


def explain(
    team_id: str, name: str, customer_id: str, event_id: str, *, newest: int, as_json: bool = False
) -> Command:
    """Tells of the `newest` events, newest first, what each led to; of one event also the steps of its enrolment."""

    async def command(client: Client) -> int:
        request = pb.ExplainCustomerRequest(
            team_id=team_id,
            journey_id=await id_of(client, team_id, name),
            customer_id=customer_id,
            event_id=event_id,
            page_size=min(newest, _PAGE_MAX),
        )
        left = newest
        async for entry in items(client.journey.ExplainCustomer, request, "entries", timeout_s=TIMEOUT_S):
            _show(entry, as_json=as_json)
            left -= 1
            if not left:
                break
        if left == newest and not as_json:
            say("no event of the customer might have started the journey")
        return 0

    return command


def _show(entry: explain_pb2.EntryExplanation, *, as_json: bool) -> None:
    if as_json:
        say(MessageToJson(entry, preserving_proto_field_name=True, indent=None, ensure_ascii=False))
        return
    say(_line(entry))
    for key, value in sorted(entry.trigger_data.items()):
        say(f"  trigger.{key}={value}")
    for step in entry.steps:
        say(f"  {_step(step)}")
    for fault in entry.message_faults:
        say(f"  now wrong: {fault.field}: {fault.message}")


def _line(entry: explain_pb2.EntryExplanation) -> str:
    result = explain_pb2.EntryResult.Name(entry.result).removeprefix("ENTRY_RESULT_")
    at = entry.occur_time.ToJsonString() if entry.HasField("occur_time") else "-"
    return f"{at:27}  {result:15}  {entry.event_id:36}  {entry.message}{_where(entry)}"


def _where(entry: explain_pb2.EntryExplanation) -> str:
    """What of the definition or of the customer it was; of an enrolment, where it stands."""
    if entry.HasField("enrolment"):
        return f": {standing(entry.enrolment)}"
    return f" ({': '.join(filter(None, (entry.field, entry.value)))})" if entry.field or entry.value else ""


def standing(enrolment: enrolment_pb2.Enrolment) -> str:
    """State, place, and what it waits for, in a line."""
    state = enrolment_pb2.EnrolmentState.Name(enrolment.state).removeprefix("ENROLMENT_STATE_")
    said = [state, f"at {enrolment.node_id}"]
    if enrolment.wait_reason:
        said.append(enrolment_pb2.WaitReason.Name(enrolment.wait_reason).removeprefix("WAIT_REASON_"))
    if enrolment.HasField("wake_time"):
        said.append(f"until {enrolment.wake_time.ToJsonString()}")
    return " ".join(said)


def _step(step: enrolment_pb2.Step) -> str:
    result = enrolment_pb2.StepResult.Name(step.result).removeprefix("STEP_RESULT_")
    why = "  ".join(filter(None, (step.detail, step.seen)))
    return f"{step.occur_time.ToJsonString():27}  {result:14}  r{step.revision:<4}  {step.node_id}  {why}".rstrip()
