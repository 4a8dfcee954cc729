"""Simulating a draft without a screen: over which time, what it says in the tree, and before it is published."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest

from libs.common.feeds.serving import MailPage
from libs.common.ids import new_id
from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import money_pb2
from omnijourney.common.v1.scope_pb2 import SCOPE_READ
from omnijourney.journey.v1 import trigger_pb2
from omnijourney.segment.v1 import audience_pb2, customer_pb2, event_pb2
from services.journey.clients import simulation as recorded
from services.journey.clients.simulation import GrpcRecorded
from services.journey.worker import simulations as worker
from tests.integration.console.browser import Browser, Page
from tests.integration.console.conftest import WAIT_S, Stand
from tests.integration.journey.whole_site import ALL, LINE, ask, definition_of, say, target

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]


async def ordered(stand: Stand, tags: list[list[str]]) -> None:
    """A customer with each of these lists of tags, on no account, who orders now."""
    now = await stand.site.now()
    events = []
    for number, each in enumerate(tags):
        given = customer_pb2.Customer(name=f"Customer {number}", tags=each)
        customer_id = (await stand.call("CreateCustomer", customer=given)).customer.customer_id
        order = event_pb2.OrderCompleted(shop_id="shop", order_id=str(new_id()), signed=True)
        order.amount.CopyFrom(money_pb2.Money(currency_code="TWD", amount_micros=10**9))
        events.append(
            event_pb2.CustomerEvent(
                team_id=stand.site.team_id,
                event_key=order.order_id,
                customer=customer_pb2.CustomerSelector(customer_id=customer_id),
                occur_time=timestamp(now - timedelta(minutes=1)),
                order_completed=order,
            )
        )
    results = (await stand.call("RecordEvents", events=events)).results
    assert {each.status for each in results} == {event_pb2.EVENT_STATUS_ACCEPTED}


async def branching(stand: Stand) -> str:
    """A draft that asks who is a VIP and writes to these."""
    account, module = await stand.site.account(LINE), await stand.site.module()
    vip = audience_pb2.TagPredicate(operator=audience_pb2.TAG_OPERATOR_ANY_OF, tags=["vip"])
    definition = definition_of(
        ask(audience_pb2.Audience(tags=vip)),
        say(LINE, module),
        name="Thanks",
        targets=[target(LINE, account)],
    )
    return str((await stand.call("CreateJourney", definition=definition)).journey.journey_id)


async def days(stand: Stand) -> dict[str, str]:
    """The days around now, as the form has them."""
    today = (await stand.site.now()).date()
    day = timedelta(days=1)
    return {"first": (today - day).isoformat(), "last": (today + day).isoformat()}


async def ended(browser: Browser, page: Page) -> Page:
    """The page of a simulation once it has ended; meanwhile it asks to be read again."""
    async with asyncio.timeout(WAIT_S):
        while "data-refresh" in page.html:
            await asyncio.sleep(0.1)
            page = await browser.get(page.path_qs)
    return page


async def test_a_draft_is_run_over_a_time_and_its_counts_stand_in_the_tree(stand: Stand) -> None:
    journey_id = await branching(stand)
    await ordered(stand, [["vip"], ["vip"], []])
    browser = await stand.signed_in(language="zh-TW")
    asked = await browser.get(f"/journeys/{journey_id}/simulate")
    assert "不會發送訊息，也不會變更任何資料。" in asked.text
    page = await ended(browser, await browser.post(f"/journeys/{journey_id}/simulations", await days(stand)))
    assert page.status == 200, page.text
    for name, value in {"進入旅程次數": 3, "完成旅程次數": 3, "期末仍在旅程中": 0, "訊息則數": 0}.items():
        assert f"{name} {value}" in page.text, page.text[200:600]
    assert "分眾條件" in page.text
    assert "進入 3 次" in page.text
    assert "進入 2 次" in page.text, "the message behind the condition"
    assert page.html.count('class="taken">2<') == 2, "yes, and after the message"
    assert page.html.count('class="taken">1<') == 1, "no"
    await stand.call(
        "UpdateJourney",
        journey_id=journey_id,
        definition={"name": "Thank you"},
        update_mask={"paths": ["name"]},
    )
    assert "模擬之後旅程已修改" in (await browser.get(page.path_qs)).text


def held(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Simulations read an event a page, and the last when the event is set: somebody has seen the counts of those
    before."""
    go_on = asyncio.Event()
    read = GrpcRecorded.mails

    async def mails(self: GrpcRecorded, *arguments: Any) -> MailPage:
        page = await read(self, *arguments)
        if not page.more:
            await go_on.wait()
        return page

    monkeypatch.setattr(recorded, "PAGE_MAX", 1)
    monkeypatch.setattr(worker, "COUNTS_S", 0.0)
    monkeypatch.setattr(GrpcRecorded, "mails", mails)
    return go_on


async def test_the_counts_run_through_the_tree_while_it_works(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = held(monkeypatch)
    journey_id = await branching(stand)
    await ordered(stand, [["vip"], ["vip"], []])
    browser = await stand.signed_in(language="zh-TW")
    await browser.get("/journeys")
    page = await browser.post(f"/journeys/{journey_id}/simulations", await days(stand))
    seen: list[int] = []
    async with asyncio.timeout(WAIT_S):
        while 2 not in seen:
            page = await browser.get(page.path_qs, headers={"X-Requested-With": "fetch"})
            assert "data-refresh" in page.html
            found = re.search(r"進入 (\d+) 次", page.text)
            seen.append(int(found[1]) if found else 0)
            await asyncio.sleep(0.02)
    assert seen == sorted(seen)
    assert "進入旅程次數 2" in page.text
    assert "訊息則數" not in page.text, "messages are told at the end"
    go_on.set()
    page = await ended(browser, await browser.get(page.path_qs))
    assert "進入旅程次數 3" in page.text


async def test_what_keeps_a_draft_from_being_simulated_is_said(stand: Stand) -> None:
    journey_id = str((await stand.call("CreateJourney", definition={"name": "Empty"})).journey.journey_id)
    browser = await stand.signed_in()
    await browser.get("/journeys")
    page = await browser.post(f"/journeys/{journey_id}/simulations", await days(stand))
    assert (page.status, "mend the faults first" in page.text) == (422, True)
    assert "keep it from being published" in page.text, "each of them"
    system = trigger_pb2.Trigger(system=trigger_pb2.SystemTriggered())
    await stand.call(
        "UpdateJourney",
        journey_id=journey_id,
        definition={"trigger": system},
        update_mask={"paths": ["trigger"]},
    )
    page = await browser.post(f"/journeys/{journey_id}/simulations", await days(stand))
    assert (page.status, "triggered by the system only" in page.text) == (422, True)


async def test_before_it_is_published_the_last_month_is_simulated(stand: Stand) -> None:
    journey_id = await branching(stand)
    browser = await stand.signed_in()
    await browser.get("/journeys")
    page = await ended(browser, await browser.post(f"/journeys/{journey_id}/review"))
    assert page.path == f"/journeys/{journey_id}/publish"
    assert "Nobody would have entered" in page.text, "nobody has done anything yet"
    assert "cost" not in page.text
    (module,) = (await stand.call("ListBotModules")).modules
    await stand.call("DeleteBotModule", bot_module_id=module.bot_module_id)
    refused = await browser.post(f"/journeys/{journey_id}/publish", {"etag": ""})
    assert (refused.status, "mend the faults first" in refused.text) == (422, True)
    assert f'action="/journeys/{journey_id}/publish' not in refused.html, "nothing to press"


async def test_simulations_of_others_are_not_there_and_readers_start_none(stand: Stand) -> None:
    journey_id = await branching(stand)
    browser = await stand.signed_in()
    await browser.get("/journeys")
    page = await browser.post(f"/journeys/{journey_id}/simulations", await days(stand))
    reader = await stand.signed_in(SCOPE_READ)
    assert "lets you read only" in (await reader.get(f"/journeys/{journey_id}/simulate")).text
    assert (await reader.get(page.path)).status == 200
    assert (await reader.post(f"/journeys/{journey_id}/simulations", await days(stand))).status == 403
    assert (await reader.get(f"/journeys/{journey_id}/publish")).path == f"/journeys/{journey_id}"
    await stand.site.team(ALL)
    stranger = await stand.signed_in()
    assert (await stranger.get(f"/journeys/{journey_id}/simulate")).status == 404
    own = await branching(stand)
    foreign = page.path.replace(journey_id, own)
    assert (await stranger.get(foreign)).status == 404
    assert (await stranger.get(f"/journeys/{own}/simulations/nonsense")).status == 404
