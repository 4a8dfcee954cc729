"""Figures without a screen: of the team, of a journey, at its nodes; a dash with its reason where there is none."""

from __future__ import annotations

import asyncio
from datetime import date
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from libs.common.ids import new_id
from libs.console.charts import HEIGHT, WIDTH, bars
from libs.console.periods import DAYS_MAX, period_of
from libs.console.series import days_of, hours_of
from omnijourney.journey.v1 import journey_service_pb2, trigger_pb2
from omnijourney.segment.v1 import customer_pb2
from tests.integration.console.conftest import WAIT_S, Stand
from tests.integration.journey.whole_site import ALL, LINE, definition_of, say, target, wait

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]
TAIPEI = ZoneInfo("Asia/Taipei")


async def walked(stand: Stand, customers: int) -> str:
    """A journey of a delay and a message, with so many who rest in the delay."""
    account, module = await stand.site.account(LINE), await stand.site.module()
    given = definition_of(
        wait(),
        say(LINE, module),
        name="Welcome back",
        targets=[target(LINE, account)],
        trigger=trigger_pb2.Trigger(system=trigger_pb2.SystemTriggered()),
    )
    journey_id = str((await stand.call("CreateJourney", definition=given)).journey.journey_id)
    await stand.call("PublishJourney", journey_id=journey_id)
    await enter(stand, journey_id, customers)
    return journey_id


async def enter(stand: Stand, journey_id: str, customers: int) -> None:
    """So many more enter."""
    people = [customer_pb2.Customer(name=f"Customer {number}") for number in range(customers)]
    made = await stand.call("BatchCreateCustomers", customers=people)
    items = [
        journey_service_pb2.SystemTriggerItem(
            request_id=str(new_id()), journey_id=journey_id, customer_id=each.customer_id
        )
        for each in made.results
    ]
    await stand.call("TriggerJourneys", items=items)


@pytest.mark.rule("T-01i")
async def test_a_journeys_page_has_the_eight_figures_and_who_rests_at_which_node(stand: Stand) -> None:
    journey_id = await walked(stand, 3)
    browser = await stand.signed_in(language="zh-TW")
    wanted = "進入 3 次 · 3 人：等待時間中"
    async with asyncio.timeout(WAIT_S):
        while wanted not in (await browser.get(f"/journeys/{journey_id}/figures/tree")).text:
            await asyncio.sleep(0.1)
    page = await browser.get(f"/journeys/{journey_id}/figures")
    for name, value in {
        "旅程觸發次數": "3",
        "營業額": "0",
        "訂單數": "0",
        "廣告投資報酬率": "– 尚無數據可計算。",
        "旅程完成次數": "0",
        "旅程完成率": "0.0%",
        "訊息發送量": "0",
        "訊息成本估算": "0",
    }.items():
        assert f"{name} {value}" in page.text
    assert f'data-refresh="/journeys/{journey_id}/figures/tree"' in page.html
    assert "尚未發送訊息" in page.text
    shown = await browser.get(f"/journeys/{journey_id}")
    for part in ("eight", "tree"):
        assert f'data-refresh="/journeys/{journey_id}/figures/{part}"' in shown.html
    assert "旅程觸發次數 3" in (await browser.get(f"/journeys/{journey_id}/figures/eight")).text


async def test_a_node_says_what_happened_there_and_what_its_channel_says(stand: Stand) -> None:
    """旅程發布後，點擊「訊息節點」即可看見該節點數據。"""
    journey_id = await walked(stand, 2)
    browser = await stand.signed_in(language="zh-TW")
    address = f"/journeys/{journey_id}/figures/nodes/n0"
    async with asyncio.timeout(WAIT_S):
        while True:
            page = await browser.get(address)
            if "等待時間中：2" in page.text and "進入次數 2" in page.text:
                break
            await asyncio.sleep(0.1)
    assert "「Welcome back」的時間延遲節點" in page.text
    assert f'href="/journeys/{journey_id}/customers?node=n0"' in page.html
    tree = await browser.get(f"/journeys/{journey_id}/figures/tree")
    assert f'href="{address}"' in tree.html
    assert '<span class="taken">2</span>' in tree.html
    assert (await browser.get(f"/journeys/{journey_id}/figures/nodes/nowhere")).status == 404
    await stand.site.team(ALL)
    assert (await (await stand.signed_in()).get(address)).status == 404


async def test_the_overview_lists_what_has_begun_and_of_a_period_its_days(stand: Stand) -> None:
    browser = await stand.signed_in()
    empty = await browser.get("/overview")
    assert "No journey has begun yet" in empty.text
    journey_id = await walked(stand, 1)
    page = await browser.get("/overview?first=2026-02-01&last=2026-02-28")
    assert f'href="/journeys/{journey_id}/figures"' in page.html
    assert page.html.count("<rect") == 28
    hours = await browser.get("/overview?step=hour&first=2026-02-01&last=2026-02-28")
    assert hours.html.count("<rect") == 14 * 24, "more could not be told apart"
    assert "Orders an hour" in hours.text
    of_journey = await browser.get(
        f"/journeys/{journey_id}/figures?step=hour&first=2026-02-28&last=2026-02-28"
    )
    assert of_journey.html.count("<rect") == 24
    assert "28 Feb 2026, 00:00:00: 0" in of_journey.text, "in the team's zone"
    odd = await browser.get("/overview?first=yesterday&last=9999-12-31")
    assert (odd.status, odd.html.count("<rect")) == (200, 30)


async def test_figures_of_another_teams_journey_are_not_there(stand: Stand) -> None:
    journey_id = await walked(stand, 1)
    await stand.site.team(ALL)
    stranger = await stand.signed_in()
    assert (await stranger.get(f"/journeys/{journey_id}/figures")).status == 404


async def test_periods_end_at_midnights_of_the_teams_zone_and_have_a_length_that_can_be_shown() -> None:
    today = date(2026, 11, 30)
    year = period_of("1999-01-01", "2026-11-30", TAIPEI, today)
    assert (year.last - year.first).days + 1 == DAYS_MAX
    day = period_of("2026-11-30", "2026-11-30", TAIPEI, today)
    assert (day.start.ToJsonString(), day.end.ToJsonString()) == (
        "2026-11-29T16:00:00Z",
        "2026-11-30T16:00:00Z",
    )
    assert period_of("2026-12-05", "2026-11-30", TAIPEI, today).first == today, "no day after the last"


async def test_a_day_has_as_many_hours_as_its_zone_gives_it() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for day, hours in (("2026-10-25", 25), ("2026-03-29", 23), ("2026-11-30", 24)):
        assert len(hours_of(period_of(day, day, berlin, date(2026, 12, 1)))) == hours
    two = period_of("2026-10-25", "2026-10-26", berlin, date(2026, 12, 1))
    assert [after - before for before, after in pairwise(days_of(two))] == [25 * 3600]


async def test_bars_stand_side_by_side_and_small_ones_are_seen() -> None:
    drawn = bars([("a", 0), ("b", 1), ("c", 10_000)])
    assert [bar.height for bar in drawn] == [0, 1, HEIGHT]
    assert drawn[0].x == 0
    assert drawn[-1].x + drawn[-1].width <= WIDTH
    assert bars([]) == []
