"""What the seeds say about journeys, as a marketer does it in Chromium."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

import pytest
from playwright.async_api import BrowserContext, Page, Route, expect

from tests.browser.conftest import WAIT_MS, accessibility_faults, picture
from tests.integration.console.conftest import Stand
from tests.integration.journey.whole_site import LINE, definition_of, say, target

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]
SAVED: Final = "All changes are saved."


async def furnished(stand: Stand) -> None:
    """An account and content, as somebody made them before."""
    await stand.site.account(LINE)
    await stand.site.module()


async def saved(page: Page) -> None:
    """What was typed has reached the service."""
    # What is typed is kept on the machine from the first letter until it is saved.
    async with asyncio.timeout(WAIT_MS / 1000):
        while await page.evaluate("localStorage.length"):
            await asyncio.sleep(0.05)
    await expect(page.locator("#saved")).to_have_text(SAVED)


async def draft(stand: Stand, **definition: Any) -> str:
    """A draft of one message."""
    account, module = await stand.site.account(LINE), await stand.site.module()
    given = {"name": "Welcome", "targets": [target(LINE, account)], **definition}
    made = await stand.call("CreateJourney", definition=definition_of(say(LINE, module), **given))
    return str(made.journey.journey_id)


async def add(page: Page, at: int, kind: str) -> None:
    """Presses one of the ＋ and chooses a kind."""
    await page.get_by_role("link", name="Add a node here").nth(at).press("Enter")
    await page.get_by_role("button", name=kind, exact=True).press("Enter")
    await page.wait_for_url(re.compile(r"\?node="))


async def test_a_first_journey_is_drawn_published_and_stopped(page: Page, stand: Stand) -> None:
    """The start, the three kinds of nodes, 發佈 and the actions that each status allows."""
    await furnished(stand)
    await page.reload()
    await expect(page.get_by_text("There is no journey yet")).to_be_visible()
    await page.get_by_role("button", name="New journey").first.press("Enter")
    await page.get_by_role("dialog").get_by_label("Name of the journey").fill("Welcome")
    await page.get_by_role("button", name="Create and edit").press("Enter")
    await page.get_by_label("A customer enters when").select_option(label="Contact added")
    await page.get_by_label("LINE", exact=True).check()
    await saved(page)
    await add(page, 0, "Message")
    await expect(page.locator(".node.message .faults")).to_have_text("⚠ 1 fault")
    await page.get_by_label("Target channel", exact=True).select_option(label="LINE")
    await page.get_by_label("Bot module", exact=True).select_option(label="M")
    await saved(page)
    await add(page, 1, "Time delay")
    await page.get_by_label("Days", exact=True).fill("0")
    await saved(page)
    await expect(page.locator(".faulty p.fault").first).to_be_visible()
    await page.get_by_label("Days", exact=True).fill("1")
    await saved(page)
    await expect(page.locator(".node.delay .says")).to_have_text("1 day")
    await add(page, 2, "Segment condition")
    await page.get_by_label("About").first.select_option(label="Tags")
    await page.get_by_label("Value").first.fill("vip")
    await saved(page)
    await expect(page.locator("#live-count")).to_have_text('In words: has the tag "vip" · Customers now: 0')
    await add(page, 3, "Add or deduct points")
    await page.get_by_label("Points", exact=True).fill("10")
    await saved(page)
    await expect(page.get_by_text("keeps it from being published")).to_have_count(0)
    assert await accessibility_faults(page) == []
    await picture(page, "editor")
    await page.get_by_role("button", name="Publish").press("Enter")
    await expect(page.get_by_text("Nobody would have entered")).to_be_visible()
    assert await accessibility_faults(page) == []
    await page.get_by_role("button", name="Publish the journey").press("Enter")
    await expect(page.get_by_text("The journey is published.")).to_be_visible()
    await expect(page.get_by_text("Active", exact=True).first).to_be_visible()
    assert await accessibility_faults(page) == []
    await expect(page.get_by_role("button", name="Delete")).to_have_count(0)
    await page.get_by_role("button", name="Close the trigger").press("Enter")
    await page.get_by_role("dialog").get_by_role("button", name="Close the trigger").press("Enter")
    await expect(page.get_by_text("Trigger closed", exact=True).first).to_be_visible()
    await page.get_by_role("button", name="Stop the journey").press("Enter")
    await page.get_by_role("dialog").get_by_role("button", name="Stop the journey").press("Enter")
    await expect(page.get_by_text(re.compile(r"^Stopp(ed|ing)$")).first).to_be_visible()
    await expect(page.get_by_text("Not possible while it is")).to_be_visible()
    await picture(page, "journey")


async def test_typing_outlives_a_lost_connection(page: Page, stand: Stand, context: BrowserContext) -> None:
    journey_id = await draft(stand)
    await page.goto(f"/journeys/{journey_id}/edit")
    lost = True

    async def between(route: Route) -> None:
        await (route.abort() if lost else route.continue_())

    await page.route("**/settings", between)
    await page.get_by_label("Name of the journey").fill("Welcome back")
    await expect(page.get_by_text("Not saved: no connection.")).to_be_visible()
    await page.goto("/journeys")
    lost = False
    await page.goto(f"/journeys/{journey_id}/edit")
    await expect(page.get_by_label("Name of the journey")).to_have_value("Welcome back")
    await saved(page)
    found = await stand.call("GetJourney", journey_id=journey_id)
    assert found.journey.definition.name == "Welcome back"


async def test_quiet_times_are_drawn_while_one_types_and_the_last_change_is_undone(
    page: Page, stand: Stand
) -> None:
    journey_id = await draft(stand)
    await page.goto(f"/journeys/{journey_id}/edit")
    await expect(page.get_by_role("button", name="Undo")).to_be_hidden()
    await page.get_by_label("Begins at").first.fill("23:00")
    await page.get_by_label("Ends at").first.fill("23:59")
    await saved(page)
    await expect(page.locator(".week .bar")).to_have_count(7)
    await page.get_by_label("Begins at").nth(1).fill("00:00")
    await page.get_by_label("Ends at").nth(1).fill("08:00")
    await saved(page)
    await expect(page.locator(".week .bar")).to_have_count(14)
    await expect(page.get_by_label("Begins at")).to_have_count(3)
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_text("The last change is undone.")).to_be_visible()
    await expect(page.locator(".week .bar")).to_have_count(7)


async def test_typing_outlives_a_session_that_ends(page: Page, stand: Stand, context: BrowserContext) -> None:
    journey_id = await draft(stand)
    await page.goto(f"/journeys/{journey_id}/edit")
    await context.clear_cookies()
    await page.get_by_label("Name of the journey").fill("Spring sale")
    await expect(page.locator("#saved")).to_contain_text("your session is over")
    assert await accessibility_faults(page) == []
    await page.get_by_role("link", name="Sign in again").click()
    await page.get_by_label("Token").fill(await stand.token(name="Again"))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_label("Name of the journey")).to_have_value("Spring sale")
    await saved(page)
    found = await stand.call("GetJourney", journey_id=journey_id)
    assert found.journey.definition.name == "Spring sale"


async def test_what_was_typed_over_an_older_state_is_put_back_only_when_asked_for(
    page: Page, stand: Stand
) -> None:
    journey_id = await draft(stand)
    name, kept = page.get_by_label("Name of the journey"), page.locator("#kept")
    for answer, left in (("Leave it as it is saved", "Theirs 0"), ("Put back what I had typed", "Mine 1")):
        number = left[-1]
        await page.goto(f"/journeys/{journey_id}/edit")
        found = (await stand.call("GetJourney", journey_id=journey_id)).journey
        found.definition.name = f"Theirs {number}"
        await stand.call("UpdateJourney", journey_id=journey_id, definition=found.definition, etag=found.etag)
        await name.fill(f"Mine {number}")
        await expect(page.locator("#saved")).to_contain_text("Somebody else changed this journey")
        await page.reload()
        await expect(name).to_have_value(f"Theirs {number}")
        assert await accessibility_faults(page) == []
        await kept.get_by_role("button", name=answer).press("Enter")
        await expect(kept).to_be_hidden()
        await expect(name).to_have_value(left)
        await saved(page)
        assert (await stand.call("GetJourney", journey_id=journey_id)).journey.definition.name == left


async def test_who_signs_out_leaves_nothing_that_was_typed(page: Page, stand: Stand) -> None:
    journey_id = await draft(stand)
    await page.goto(f"/journeys/{journey_id}/edit")
    await page.route("**/settings", lambda route: route.abort())
    await page.get_by_label("Name of the journey").fill("Mine")
    await expect(page.get_by_text("Not saved: no connection.")).to_be_visible()
    assert await page.evaluate("localStorage.length") == 1
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("Token")).to_be_visible()
    assert await page.evaluate("localStorage.length") == 0


async def test_a_change_is_undone(page: Page, stand: Stand) -> None:
    journey_id = await draft(stand)
    await page.goto(f"/journeys/{journey_id}/edit?node=n0")
    await page.get_by_role("button", name="Delete this node").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.locator(".node.message")).to_have_count(0)
    await page.get_by_role("button", name="Undo").press("Enter")
    await expect(page.locator(".node.message")).to_have_count(1)


async def test_of_a_live_journey_what_stays_is_shown_and_said(page: Page, stand: Stand) -> None:
    journey_id = await draft(stand)
    await stand.call("PublishJourney", journey_id=journey_id)
    await page.goto(f"/journeys/{journey_id}/edit")
    await expect(page.get_by_text("stay as they were published")).to_be_visible()
    await expect(page.get_by_label("A customer enters when")).to_be_disabled()
    await expect(page.get_by_label("LINE", exact=True)).to_be_disabled()
    await expect(page.get_by_role("link", name="Add a node here")).to_have_count(0)
    await page.get_by_label("Begins at").first.fill("23:00")
    await page.get_by_label("Ends at").first.fill("08:00")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("img", name="Do not disturb over a week")).to_be_visible()
    assert await accessibility_faults(page) == []
    await picture(page, "live")


async def test_two_hundred_nodes_and_more_journeys_than_a_page_are_drawn(page: Page, stand: Stand) -> None:
    account, module = await stand.site.account(LINE), await stand.site.module()
    nodes = [say(LINE, module) for _ in range(200)]
    definition = definition_of(*nodes, name="Long", targets=[target(LINE, account)])
    long = (await stand.call("CreateJourney", definition=definition)).journey.journey_id
    small = definition_of(say(LINE, module), name="Small", targets=[target(LINE, account)])
    for _ in range(55):
        await stand.call("CreateJourney", definition=small)
    await page.goto("/journeys")
    await expect(page.get_by_role("row")).to_have_count(51)
    assert await accessibility_faults(page) == []
    await picture(page, "journeys")
    await page.get_by_role("link", name="Next page").click()
    await expect(page.get_by_role("row")).to_have_count(7)
    await page.get_by_label("Name contains").fill("lONG")
    await page.get_by_role("button", name="Filter").click()
    await expect(page.get_by_role("row")).to_have_count(2)
    await page.goto(f"/journeys/{long}/edit?node=n199")
    await expect(page.locator(".node.message")).to_have_count(200)
