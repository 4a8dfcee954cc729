"""The list of journeys and the editor without a screen: what each status allows, and what is refused where."""

from __future__ import annotations

import asyncio

import pytest

from omnijourney.common.v1.scope_pb2 import SCOPE_READ
from omnijourney.journey.v1 import journey_pb2
from tests.integration.console.conftest import Stand
from tests.integration.journey.whole_site import LINE, definition_of, say, target

STOPPING, STOPPED = journey_pb2.JOURNEY_STATUS_STOPPING, journey_pb2.JOURNEY_STATUS_STOPPED
pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]


async def draft(stand: Stand, name: str = "Welcome") -> str:
    """A draft of one message that could be published."""
    account, module = await stand.site.account(LINE), await stand.site.module()
    definition = definition_of(say(LINE, module), name=name, targets=[target(LINE, account)])
    return str((await stand.call("CreateJourney", definition=definition)).journey.journey_id)


async def definition(stand: Stand, journey_id: str) -> journey_pb2.Definition:
    """As it is saved."""
    found: journey_pb2.Definition = (await stand.call("GetJourney", journey_id=journey_id)).journey.definition
    return found


async def test_the_list_says_status_reason_who_and_when_in_the_seeds_words(stand: Stand) -> None:
    journey_id = await draft(stand)
    browser = await stand.signed_in(language="zh-TW")
    drafts = await browser.get("/journeys")
    assert "草稿" in drafts.text
    assert "永久啟用" in drafts.text
    await stand.call("PublishJourney", journey_id=journey_id)
    (module,) = (await stand.call("ListBotModules")).modules
    await stand.call("DeleteBotModule", bot_module_id=module.bot_module_id)
    while (await stand.call("GetJourney", journey_id=journey_id)).journey.status != STOPPED:
        await asyncio.sleep(0.02)
    stopped = await browser.get("/journeys")
    assert "旅程已停止" in stopped.text
    assert "找不到機器人或機器人模組" in stopped.text
    assert module.bot_module_id in stopped.text, "the cause"


@pytest.mark.parametrize(
    ("after", "there", "absent"),
    [
        ("", {"copy", "delete"}, {"close", "stop"}),
        ("publish", {"copy", "close", "stop"}, {"delete"}),
        ("close", {"copy", "stop"}, {"close", "delete"}),
        ("stop", {"copy", "delete"}, {"close", "stop"}),
    ],
)
async def test_what_a_status_does_not_allow_is_absent_and_the_page_says_so(
    stand: Stand, after: str, there: set[str], absent: set[str]
) -> None:
    journey_id = await draft(stand)
    browser = await stand.signed_in()
    await browser.get("/journeys")
    steps = {"": [], "publish": ["publish"], "close": ["publish", "close"], "stop": ["publish", "stop"]}[
        after
    ]
    for step in steps:
        page = await browser.post(f"/journeys/{journey_id}/{step}")
        assert page.status == 200, page.text
    while (await stand.call("GetJourney", journey_id=journey_id)).journey.status == STOPPING:
        await asyncio.sleep(0.02)
    page = await browser.get(f"/journeys/{journey_id}")
    shown = {
        name
        for name in ("copy", "close", "stop", "delete")
        if f'action="/journeys/{journey_id}/{name}"' in page.html
    }
    assert (shown, shown & absent) == (there, set())
    assert "Not possible while it is" in page.text
    for name in absent:
        refused = await browser.post(f"/journeys/{journey_id}/{name}")
        assert (refused.status, "present status does not allow" in refused.text) == (409, True)


async def test_who_may_read_only_sees_no_button(stand: Stand) -> None:
    journey_id = await draft(stand)
    browser = await stand.signed_in(SCOPE_READ)
    page = await browser.get(f"/journeys/{journey_id}")
    assert "Your token lets you read only." in page.text
    assert "/copy" not in page.html
    assert (await browser.get(f"/journeys/{journey_id}/edit")).path == f"/journeys/{journey_id}"
    assert (await browser.post(f"/journeys/{journey_id}/copy")).status == 403


async def test_each_kind_of_node_is_written_as_its_form_says(stand: Stand) -> None:
    browser = await stand.signed_in()
    await browser.get("/journeys")
    made = await browser.post("/journeys", {"journey_name": "All kinds"})
    journey_id = made.path.split("/")[2]
    await stand.call("CreateAttribute", attribute={"key": "tier", "display_name": "Tier", "type": 1})
    sent: dict[str, dict[str, str]] = {
        "delay": {"delay_days": "1", "delay_hours": "2", "delay_minutes": "3"},
        "tags": {"add": "vip， gold", "remove": "new"},
        "attribute": {"key": "tier", "text": "gold"},
        "points": {"direction": "deduct", "points": "7"},
        "wait": {"event_kind": "customer_replied", "event_texts": "yes", "timeout_days": "2"},
        "condition": {
            "a-kind": "group", "a-joined": "any",
            "a-0-kind": "one", "a-0-drawn": "texts",
            "a-0-subject": "tags", "a-0-operator": "all", "a-0-value": "a, b",
            "a-1-kind": "one", "a-1-drawn": "points",
            "a-1-subject": "balance", "a-1-operator": "greater_or_equal", "a-1-value": "100",
            "a-2-kind": "one", "a-2-drawn": "texts",
            "a-2-subject": "attribute:tier", "a-2-operator": "contains", "a-2-value": "gold",
            "a-3-kind": "group", "a-3-joined": "all", "a-3-negated": "1",
            "a-3-0-kind": "one", "a-3-0-drawn": "days",
            "a-3-0-subject": "checkout_time", "a-3-0-operator": "within", "a-3-0-value": "30",
            "a-4-kind": "one", "a-4-subject": "",
        },
        "split": {"share_0": "80", "share_1": "20", "holdout": "1"},
    }  # fmt: skip
    for kind, fields in sent.items():
        await browser.post(f"/journeys/{journey_id}/nodes", {"place": "start", "kind": kind})
        page = await browser.post(f"/journeys/{journey_id}/nodes/{kind}-1", fields)
        assert page.status == 200, page.text
    by_kind = {node.WhichOneof("kind"): node for node in (await definition(stand, journey_id)).nodes}
    assert by_kind["delay"].delay.delay.seconds == ((24 + 2) * 60 + 3) * 60
    assert (list(by_kind["tags"].tags.add), list(by_kind["tags"].tags.remove)) == (["vip", "gold"], ["new"])
    assert (by_kind["attribute"].attribute.key, by_kind["attribute"].attribute.text) == ("tier", "gold")
    assert by_kind["points"].points.deduct == 7
    assert by_kind["wait"].wait.event.customer_replied.text.texts == ["yes"]
    assert by_kind["wait"].wait.timeout.seconds == 2 * 24 * 3600
    assert [way.share for way in by_kind["split"].split.ways] == [80, 20]
    assert by_kind["split"].split.ways[1].holdout
    conditions = by_kind["condition"].condition.audience.any_of.items
    assert [each.WhichOneof("expression") for each in conditions] == [
        "tags",
        "points",
        "attribute",
        "negation",
    ]
    shown = await browser.get(f"/journeys/{journey_id}/edit?node=condition-1")
    assert 'value="a, b"' in shown.html
    assert 'value="gold"' in shown.html


async def test_settings_are_written_and_a_fault_stands_at_its_field(stand: Stand) -> None:
    account = await stand.site.account(LINE)
    browser = await stand.signed_in()
    await browser.get("/journeys")
    made = await browser.post("/journeys", {"journey_name": "Nightly"})
    journey_id = made.path.split("/")[2]
    fields = {
        "name": "Nightly", "trigger_kind": "checkout_completed",
        "trigger_items": "Tea\nCup", "trigger_at_least": "99.50",
        "active": "schedule", "start_time": "2036-01-01T09:00", "end_time": "2036-02-01T09:00", "expiry_action": "stop",
        "quiet_start_0": "23:00", "quiet_end_0": "00:00", "quiet_start_1": "00:00", "quiet_end_1": "08:00",
        "enrolments_max": "2", "target_1": "1", "account_1": account, "cap_1": "500",
    }  # fmt: skip
    page = await browser.post(f"/journeys/{journey_id}/settings", fields)
    assert page.status == 200, page.text
    saved = await definition(stand, journey_id)
    assert saved.trigger.checkout_completed.amount.at_least.amount_micros == 99_500_000
    assert list(saved.trigger.checkout_completed.item.names) == ["Tea", "Cup"]
    assert saved.schedule.start_time.ToJsonString() == "2036-01-01T01:00:00Z", "in the team's zone"
    windows = [(each.start_minute, each.end_minute) for each in saved.do_not_disturb.windows]
    assert windows == [(1380, 1440), (0, 480)]
    assert (saved.enrolments_per_customer_max, saved.targets[0].message_cap) == (2, 500)
    refused = await browser.post(f"/journeys/{journey_id}/settings", {**fields, "quiet_start_0": "later"})
    assert (refused.status, 'id="windows-fault"' in refused.html) == (422, True)
    long = await browser.post(f"/journeys/{journey_id}/settings", {**fields, "name": "x" * 201})
    assert (long.status, 'id="name-fault"' in long.html) == (422, True)
    assert (await definition(stand, journey_id)).name == "Nightly"


async def test_a_form_that_is_sent_twice_makes_one_journey(stand: Stand) -> None:
    browser = await stand.signed_in()
    listed = await browser.get("/journeys")
    assert 'name="request_id"' in listed.html
    sent = {"journey_name": "Twice", "request_id": "one form"}
    first, second = await browser.post("/journeys", sent), await browser.post("/journeys", sent)
    assert first.path == second.path
    assert len((await stand.call("ListJourneys")).journeys) == 1


async def test_a_change_that_somebody_was_faster_with_is_not_overwritten(stand: Stand) -> None:
    journey_id = await draft(stand)
    browser = await stand.signed_in()
    await browser.get("/journeys")
    seen = (await stand.call("GetJourney", journey_id=journey_id)).journey
    renamed = journey_pb2.Definition(name="Theirs")
    await stand.call(
        "UpdateJourney", journey_id=journey_id, definition=renamed, update_mask={"paths": ["name"]}
    )
    page = await browser.post(f"/journeys/{journey_id}/settings", {"name": "Mine", "etag": seen.etag})
    assert (page.status, "Somebody else changed this" in page.text) == (409, True)
    assert (await definition(stand, journey_id)).name == "Theirs"
