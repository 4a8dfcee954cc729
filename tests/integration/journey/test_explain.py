"""Why customers entered journeys, or why not: from publishing to the answer, with segment and the gateway."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import grpc
import pytest

from libs.cli.console import EXIT_FAULT
from libs.common.ids import new_id
from libs.common.mailbox.mail import MailSource
from libs.common.rpc.errors import remote_error
from libs.testing.fixtures import Servers
from libs.testing.mails import TEAM, customers
from omnijourney.common.v1 import error_reason_pb2
from omnijourney.journey.v1 import enrolment_pb2, explain_pb2, journey_pb2, node_pb2, trigger_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb
from omnijourney.segment.v1 import audience_pb2, customer_pb2
from services.journey.domain import entering
from services.journey.domain import model as d
from services.journey.domain.enrolment import EnrolmentState
from services.journey.domain.explain import EntryResult, Explained
from services.journey.store import turns
from services.journey.store.explain import ExplanationStore
from services.journey.usecases.explain import Explanations
from services.journey.usecases.gate import Gate
from services.journey.worker.turns import Waiting
from tests.integration.journey.command_line import command
from tests.integration.journey.conftest import Site
from tests.integration.journey.house import House, delay, message, until
from tests.integration.journey.neighbours import MailArchive, NothingAsked
from tests.integration.journey.test_parked import drop
from tests.integration.journey.turns_by_hand import POINTS, epochs, key_of

ENROLLED, REFUSED = explain_pb2.ENTRY_RESULT_ENROLLED, explain_pb2.ENTRY_RESULT_REFUSED
NOT_MATCHED, NOT_LIVE = explain_pb2.ENTRY_RESULT_NOT_MATCHED, explain_pb2.ENTRY_RESULT_NOT_LIVE
TOO_OLD = explain_pb2.ENTRY_RESULT_TOO_OLD
VIP = trigger_pb2.Trigger(tag_applied=trigger_pb2.TagApplied(tags=["VIP"]))


def ask_for(key: str) -> node_pb2.Node:
    """A condition: the attribute is "gold"; whoever has it waits for an hour."""
    test = audience_pb2.TextTest(operator=audience_pb2.TEXT_OPERATOR_EQUALS, values=["gold"])
    node = node_pb2.Node(node_id="ask")
    node.condition.audience.attribute.CopyFrom(audience_pb2.AttributePredicate(key=key, text=test))
    node.condition.yes.node_id = "wait"
    node.condition.no.end.SetInParent()
    return node


async def customer(house: House) -> str:
    created = await house.call("segment", "CreateCustomer", customer=customer_pb2.Customer(name="Mei"))
    return str(created.customer.customer_id)


async def tag(house: House, customer_id: str, *tags: str) -> None:
    await house.call("segment", "ChangeCustomerTags", customer_id=customer_id, add=list(tags))


async def told(house: House, journey_id: str, customer_id: str, **more: Any) -> list[Any]:
    answer = await house.call(
        "journey", "ExplainCustomer", journey_id=journey_id, customer_id=customer_id, **more
    )
    return list(answer.entries)


async def newest(house: House, journey_id: str, customer_id: str) -> Any:
    """The newest entry, once its event is worked."""
    found: list[Any] = []

    async def worked() -> bool:
        found[:] = await told(house, journey_id, customer_id)
        return bool(found) and found[0].result != explain_pb2.ENTRY_RESULT_PENDING

    await until(worked)
    assert found[0].message
    return found[0]


@pytest.mark.rule("J-41a", "J-41b")
async def test_who_entered_is_told_with_steps_revision_and_what_the_condition_saw(house: House) -> None:
    tier = await house.attribute("tier")
    module = await house.module()
    journey_id = await house.publish(
        ask_for(tier), delay(), message("late", bot_module_id=module), trigger=VIP
    )
    journey = (await house.call("journey", "GetJourney", journey_id=journey_id)).journey
    definition = journey_pb2.Definition()
    definition.CopyFrom(journey.definition)
    definition.name = "renamed"
    await house.call("journey", "UpdateJourney", journey_id=journey_id, definition=definition)
    gold, silver = await customer(house), await customer(house)
    for each, value in ((gold, "Gold"), (silver, "silver")):
        await house.call("segment", "SetCustomerAttributes", customer_id=each, values={tier: value})
        await tag(house, each, "vip")
    for each, result, seen, waits in (
        (gold, enrolment_pb2.STEP_RESULT_YES, "attribute: tier = gold", True),
        (silver, enrolment_pb2.STEP_RESULT_NO, "attribute: tier = silver", False),
    ):
        entry = await newest(house, journey_id, each)
        assert (entry.result, entry.enrolment.enrolment_id) == (ENROLLED, entry.enrolment_id)
        assert (entry.enrolment.wait_reason == enrolment_pb2.WAIT_REASON_DELAY) is waits
        assert entry.enrolment.HasField("wake_time") is waits
        [alone] = await told(house, journey_id, each, event_id=entry.event_id)
        step = alone.steps[0]
        assert (step.node_id, step.result, step.seen, step.revision) == ("ask", result, seen, 2)
        assert len(alone.steps) == 1 + waits
        explained = await house.call("journey", "ExplainEnrolment", enrolment_id=entry.enrolment_id)
        assert list(explained.steps) == list(alone.steps)


@pytest.mark.rule("J-41b")
async def test_who_did_not_enter_is_told_by_what(house: House) -> None:
    module = await house.module()
    nodes = delay(), message("late", bot_module_id=module)
    mei = await customer(house)
    await tag(house, mei, "old")
    journey_id = await house.draft(*nodes, trigger=VIP, enrolments_per_customer_max=1)
    entry = await newest(house, journey_id, mei)
    assert (entry.result, entry.cause) == (NOT_LIVE, explain_pb2.ENTRY_CAUSE_NEVER_PUBLISHED)
    await house.call("journey", "PublishJourney", journey_id=journey_id)
    entry = await newest(house, journey_id, mei)
    assert (entry.result, entry.cause) == (TOO_OLD, explain_pb2.ENTRY_CAUSE_BEFORE_PUBLISHING)
    assert entry.HasField("cause_time")
    await tag(house, mei, "ＮＥＷ")
    entry = await newest(house, journey_id, mei)
    assert (entry.result, entry.field, entry.value) == (NOT_MATCHED, "trigger.tag_applied.tags", "ＮＥＷ")
    await house.attribute("tier")
    await house.call("segment", "SetCustomerAttributes", customer_id=mei, values={"tier": "gold"})
    entry = await newest(house, journey_id, mei)
    assert (entry.result, entry.field, entry.value) == (NOT_MATCHED, "trigger", "AttributeChanged")
    await tag(house, mei, "vip")
    assert (await newest(house, journey_id, mei)).result == ENROLLED
    await house.call("segment", "ChangeCustomerTags", customer_id=mei, remove=["vip"])
    await tag(house, mei, "vip")
    entry = await newest(house, journey_id, mei)
    assert (entry.result, entry.field, entry.value, entry.reason) == (
        REFUSED,
        "enrolments_per_customer_max",
        "1",
        error_reason_pb2.ERROR_REASON_CUSTOMER_LIMIT,
    )
    await house.call("journey", "CloseTrigger", journey_id=journey_id)
    jun = await customer(house)
    await tag(house, jun, "vip")
    entry = await newest(house, journey_id, jun)
    assert (entry.result, entry.value) == (NOT_LIVE, "TRIGGER_CLOSED")
    await house.call("journey", "StopJourney", journey_id=journey_id)
    assert (await newest(house, journey_id, jun)).value == "TRIGGER_CLOSED", "it is told as of then"


@pytest.mark.rule("J-41b")
async def test_who_was_inside_too_many_journeys_is_told_so_though_they_have_left(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entering, "LIVE_MAX", 2)
    module = await house.module()
    nodes = delay(), message("late", bot_module_id=module)
    journeys = [await house.publish(*nodes, trigger=VIP) for _ in range(3)]
    by_call = await house.publish(*nodes)
    mei = await customer(house)
    await tag(house, mei, "vip")
    for journey_id in journeys:
        await newest(house, journey_id, mei)
    entered = {journey_id: await newest(house, journey_id, mei) for journey_id in journeys}
    assert sorted(entry.result for entry in entered.values()) == [ENROLLED, ENROLLED, REFUSED]
    [kept_out] = [entry for entry in entered.values() if entry.result == REFUSED]
    assert kept_out.reason == error_reason_pb2.ERROR_REASON_LIVE_LIMIT
    key = str(new_id())
    item = pb.SystemTriggerItem(request_id=key, journey_id=by_call, customer_id=mei)
    await house.call("journey", "TriggerJourneys", items=[item])
    assert (await newest(house, by_call, mei)).reason == error_reason_pb2.ERROR_REASON_LIVE_LIMIT
    for entry in entered.values():
        if entry.result == ENROLLED:
            await house.call("journey", "EndEnrolment", enrolment_id=entry.enrolment_id)
    await house.call("journey", "CloseTrigger", journey_id=by_call)
    assert (await newest(house, by_call, mei)).reason == error_reason_pb2.ERROR_REASON_LIVE_LIMIT
    became = await house.call("journey", "BatchGetTriggerOutcomes", journey_id=by_call, event_keys=[key])
    [outcome] = became.outcomes
    assert (outcome.result, outcome.reason) == (REFUSED, error_reason_pb2.ERROR_REASON_LIVE_LIMIT)


@pytest.mark.rule("J-42b", "J-24a")
async def test_customers_are_triggered_by_the_command_line_with_data_for_their_messages(
    house: House, servers: Servers, tmp_path: Path
) -> None:
    module = await house.module("{{trigger.gift|nothing}}")
    await house.publish(delay(), message("late", bot_module_id=module), name="gifts")
    mei, jun = await customer(house), await customer(house)
    given = ("--customer", mei, "--customer", jun, "--data", "gift=a = b", "--data", "code=")
    done = await command(house, servers, tmp_path, "trigger", "gifts", *given)
    assert (done.code, done.err) == (0, "")
    events = dict(line.split() for line in done.out.splitlines())
    assert events.keys() == {mei, jun}
    journey_id = (await house.call("journey", "ListJourneys")).journeys[0].journey_id
    for who, event in events.items():
        entry = await newest(house, journey_id, who)
        assert (entry.event_id, entry.result) == (event, ENROLLED)
        assert dict(entry.trigger_data) == {"gift": "a = b", "code": ""}
    wrong = await command(
        house, servers, tmp_path, "trigger", "gifts", "--customer", mei, "--data", "a key=x"
    )
    assert (wrong.code, wrong.out) == (EXIT_FAULT, "")
    assert f'{mei}: INVALID_FIELDS: data["a key"]' in wrong.err


async def test_of_refusals_for_too_many_journeys_the_newest_are_kept(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entering, "LIVE_MAX", 1)
    monkeypatch.setattr(turns, "LIVE_REFUSALS_KEPT", 2)
    journey_id = await house.publish(delay(), message("late", bot_module_id=await house.module()))
    mei = await customer(house)
    keys = [str(new_id()) for _ in range(6)]
    for key in keys:
        item = pb.SystemTriggerItem(request_id=key, journey_id=journey_id, customer_id=mei)
        await house.call("journey", "TriggerJourneys", items=[item])
        await newest(house, journey_id, mei)
    owner = await asyncpg.connect(house.database.admin_dsn)
    assert await owner.fetchval("SELECT count(*) FROM journey.live_refusal") == 2
    await owner.close()
    became = await house.call("journey", "BatchGetTriggerOutcomes", journey_id=journey_id, event_keys=keys)
    reasons = [outcome.reason for outcome in became.outcomes]
    assert reasons[-2:] == [error_reason_pb2.ERROR_REASON_LIVE_LIMIT] * 2
    assert error_reason_pb2.ERROR_REASON_LIVE_LIMIT not in reasons[:-2]


@pytest.mark.rule("J-41b", "J-07h")
async def test_who_found_the_plan_used_up_is_told_so(houses: Any) -> None:
    house = await houses(monthly_enrolments_max=1)
    journey_id = await house.publish(delay(), message("late", bot_module_id=await house.module()))
    people = await house.trigger(journey_id, 3)
    results = [await newest(house, journey_id, each) for each in people]
    assert sorted(each.result for each in results) == [ENROLLED, REFUSED, REFUSED]
    reasons = {each.reason for each in results if each.result == REFUSED}
    assert reasons == {error_reason_pb2.ERROR_REASON_PLAN_LIMIT}


@pytest.mark.rule("J-41b")
async def test_what_is_not_there_is_told_as_that(house: House) -> None:
    journey_id = await house.publish(
        delay(), message("late", bot_module_id=await house.module()), trigger=VIP
    )
    mei = await customer(house)
    assert await told(house, journey_id, mei) == []
    [entry] = await told(house, journey_id, mei, event_id=str(new_id()))
    assert (entry.result, bool(entry.message)) == (explain_pb2.ENTRY_RESULT_UNKNOWN_SUBJECT, True)
    for ids in ((journey_id, str(new_id())), (str(new_id()), mei)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await told(house, *ids)
        assert remote_error(caught.value).reason == "RESOURCE_NOT_FOUND"


@pytest.mark.rule("J-41b")
async def test_pages_show_each_event_once_newest_first(house: House) -> None:
    journey_id = await house.publish(
        delay(), message("late", bot_module_id=await house.module()), trigger=VIP
    )
    mei = await customer(house)
    for number in range(5):
        await tag(house, mei, f"t{number}")
    await newest(house, journey_id, mei)
    shown: list[str] = []
    token = ""
    for _ in range(4):
        answer = await house.call(
            "journey",
            "ExplainCustomer",
            journey_id=journey_id,
            customer_id=mei,
            page_size=2,
            page_token=token,
        )
        shown += [entry.value for entry in answer.entries]
        token = answer.next_page_token
        if not token:
            break
    assert shown == ["t4", "t3", "t2", "t1", "t0"]


class Everybody:
    """Every customer is there."""

    async def strangers(self, team_id: object, customers: object) -> frozenset[UUID]:
        """See `CustomerDirectory`."""
        return frozenset()


def explanations(site: Site) -> Explanations:
    readers: dict[int, MailArchive] = dict(site.archives)
    return Explanations(
        site.journeys,
        site.enrolments,
        ExplanationStore(site.pool),
        readers=readers,
        customers=Everybody(),
        gate=Gate(NothingAsked(), site.clock),
        clock=site.clock,
    )


@pytest.mark.rule("J-41b")
async def test_mail_that_an_operator_dropped_is_told_so_and_what_waits_behind_it(site: Site) -> None:
    journey = await site.save_journey(d.Node("wait", d.Delay(3600), "points"), POINTS)
    [who] = islice(customers(), 1)
    orders = [site.order(who) for _ in range(3)]
    fence = await epochs(site)
    await site.runner().run({key_of(who): Waiting(orders[:1])}, fence)
    await site.turns.park(key_of(who), "poison", 8, fence)
    await drop(site, who, MailSource.SEGMENT, 2, orders[1].event_id)
    page = await explanations(site).page(TEAM, journey.journey_id, who, before=0, size=10)
    by_event: dict[object, Explained] = {each.event_id: each for each in page.explained}
    results = [by_event[order.event_id].why.result for order in orders]
    assert results == [EntryResult.ENROLLED, EntryResult.DROPPED, EntryResult.PENDING]
    stored = by_event[orders[0].event_id].enrolment
    assert stored is not None
    assert stored.enrolment.state is EnrolmentState.PARKED
    assert "set aside" in by_event[orders[2].event_id].why.message
    assert page.before == 0
