"""Audiences as the console builds them: groups within groups, counted while one edits, by plain forms and by script."""

from __future__ import annotations

import pytest

from omnijourney.common.v1.scope_pb2 import SCOPE_READ, SCOPE_WRITE
from omnijourney.segment.v1 import customer_pb2
from tests.integration.console.conftest import Stand
from tests.integration.journey.whole_site import ALL

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]
NESTED = {
    "a-kind": "group", "a-joined": "all",
    "a-0-kind": "one", "a-0-drawn": "texts",
    "a-0-subject": "tags", "a-0-operator": "any", "a-0-value": "VIP",
    "a-1-kind": "group", "a-1-joined": "any", "a-1-negated": "1",
    "a-1-0-kind": "one", "a-1-0-drawn": "texts",
    "a-1-0-subject": "phone", "a-1-0-operator": "starts", "a-1-0-value": "+81",
    "a-1-1-kind": "one", "a-1-1-drawn": "", "a-1-1-subject": "checkout_time", "a-1-1-operator": "never",
}  # fmt: skip


async def test_groups_within_groups_are_built_counted_saved_and_changed(stand: Stand) -> None:
    for name, tags in (("Mei", ["VIP"]), ("Ann", ["VIP"]), ("Bo", [])):
        await stand.call("CreateCustomer", customer=customer_pb2.Customer(name=name, tags=tags))
    browser = await stand.signed_in(SCOPE_WRITE)
    empty = await browser.get("/audiences/new")
    assert 'name="a-0-subject"' in empty.html, "one condition to begin with"
    longer = await browser.post("/audiences/new", {**NESTED, "name": "Best", "do": "one-a-1"})
    assert 'name="a-1-2-subject"' in longer.html
    assert 'value="+81"' in longer.html, "what was typed is there again"
    shorter = await browser.post("/audiences/new", {**NESTED, "do": "remove-a-1"})
    assert "a-1-kind" not in shorter.html
    assert "Customers now: 2" in shorter.text
    counted = await browser.post("/audiences/new", {**NESTED, "do": "count"})
    assert 'has the tag "VIP" and not (' in counted.text
    assert "Customers now: 0" in counted.text
    saved = await browser.post("/audiences/new", {**NESTED, "name": "Best"})
    assert "The audience is saved" in saved.text
    form = await browser.get(f"{saved.path}/edit")
    assert 'value="+81"' in form.html
    audience = (await stand.call("ListSavedAudiences")).saved_audiences[0]
    assert audience.audience.all_of.items[1].negation.any_of.items[1].time.HasField("never")
    without = {name: value for name, value in NESTED.items() if not name.startswith("a-1")}
    changed = await browser.post(
        f"{saved.path}/edit", {**without, "name": "Very best", "etag": audience.etag}
    )
    assert "The audience is changed" in changed.text
    assert "Very best" in changed.text
    late = await browser.post(f"{saved.path}/edit", {**without, "name": "Late", "etag": audience.etag})
    assert late.status == 409


async def test_a_fault_stands_at_its_condition_and_a_script_draws_and_counts(stand: Stand) -> None:
    browser = await stand.signed_in(SCOPE_WRITE)
    await browser.get("/audiences/new")
    wrong = {**NESTED, "name": "Best", "a-1-0-value": ""}
    refused = await browser.post("/audiences/new", wrong)
    assert refused.status == 422
    assert 'id="a-1-0-value-fault"' in refused.html
    points = {"a-kind": "group", "a-0-kind": "one", "a-0-drawn": "points", "a-0-subject": "balance"}
    no_number = await browser.post("/audiences/new", {**points, "a-0-value": "many", "name": "Best"})
    assert no_number.status == 422
    assert 'id="a-0-value-fault"' in no_number.html
    script = {"X-Requested-With": "fetch"}
    part = await browser.post("/audiences/builder", {**NESTED, "do": "group-a"}, headers=script)
    assert 'name="a-2-0-subject"' in part.html
    assert "Customers now: 0" in part.text
    assert "<html" not in part.html
    faulty = await browser.post("/audiences/builder", {**wrong, "do": "count"}, headers=script)
    assert '<li data-field="a-1-0-value">' in faulty.html
    chosen = {"a-kind": "group", "a-0-kind": "one", "a-0-drawn": "", "a-0-subject": "binding"}
    drawn = await browser.post("/audiences/builder", {**chosen, "do": "refresh"}, headers=script)
    assert "Any account" in drawn.text
    chinese = await stand.signed_in(SCOPE_WRITE, language="zh-TW")
    await chinese.get("/audiences")
    assert "標籤" in (await chinese.post("/audiences/builder", NESTED, headers=script)).text


async def test_who_may_only_read_and_other_teams_build_nothing(stand: Stand) -> None:
    writer = await stand.signed_in(SCOPE_WRITE)
    await writer.get("/audiences/new")
    saved = await writer.post("/audiences/new", {**NESTED, "name": "Best"})
    reader = await stand.signed_in(SCOPE_READ)
    assert "New audience" not in (await reader.get("/audiences")).text
    assert (await reader.post("/audiences/new", {**NESTED, "name": "Mine"})).status == 403
    await stand.site.team(ALL)
    stranger = await stand.signed_in()
    assert (await stranger.get(f"{saved.path}/edit")).status == 404


async def test_the_editor_of_a_journey_builds_conditions_alike(stand: Stand) -> None:
    browser = await stand.signed_in(SCOPE_WRITE)
    await browser.get("/journeys")
    made = await browser.post("/journeys", {"journey_name": "J"})
    journey_id = made.path.split("/")[2]
    await browser.post(f"/journeys/{journey_id}/nodes", {"place": "start", "kind": "condition"})
    node = f"/journeys/{journey_id}/nodes/condition-1"
    longer = await browser.post(node, {**NESTED, "do": "group-a-1"})
    assert 'name="a-1-2-0-subject"' in longer.html
    saved = await browser.post(node, NESTED, headers={"X-Requested-With": "fetch"})
    assert "Customers now: 0" in saved.text
    definition = (await stand.call("GetJourney", journey_id=journey_id)).journey.definition
    (condition,) = definition.nodes
    assert len(condition.condition.audience.all_of.items[1].negation.any_of.items) == 2
    wrong = await browser.post(node, {**NESTED, "a-1-0-value": ""})
    assert 'id="a-1-0-value-fault"' in wrong.html
