"""What the list of journeys shows of each (J-08a)."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.rpc.values import datetime_of
from omnijourney.common.v1 import money_pb2
from omnijourney.journey.v1 import journey_pb2, trigger_pb2
from tests.integration.whole_path.stage import STATUS, Stage, says, until, waits

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("J-08a")]

Shown = dict[str, journey_pb2.Journey]


async def _listed(stage: Stage, **asked: Any) -> Shown:
    found = (await stage.call("ListJourneys", **asked)).journeys
    return {each.definition.name: each for each in found}


async def test_the_list_shows_each_journey_with_its_status_and_who_or_what_changed_it(stage: Stage) -> None:
    module_id = await stage.module("Hello")
    bought = trigger_pb2.Trigger(
        checkout_completed=trigger_pb2.CheckoutCompleted(
            amount=trigger_pb2.AmountCondition(at_least=money_pb2.Money(currency_code="TWD", amount_micros=1))
        )
    )
    await stage.draft(waits("wait"), name="Drawn")
    period = await stage.period(1, 5)
    await stage.live(waits("wait"), name="To come", schedule=period, trigger=bought)
    stopped = await stage.live(waits("wait"), name="Stopped by hand")
    await stage.live(says("hello", module_id), name="Left without words")
    await stage.site.advance(minutes=7)
    before = await stage.site.now()
    await stage.call("StopJourney", journey_id=stopped)
    after = await stage.site.now()
    await stage.until_status(stopped, STATUS.Value("JOURNEY_STATUS_STOPPED"))
    await stage.call("DeleteBotModule", bot_module_id=module_id)

    async def has_stopped() -> bool:
        found = (await _listed(stage))["Left without words"]
        return found.status == STATUS.Value("JOURNEY_STATUS_STOPPED")

    await until(has_stopped)
    shown = await _listed(stage, language_code="zh-TW")
    assert list(shown) == ["Left without words", "Stopped by hand", "To come", "Drawn"], "newest first"
    told = {
        name: (STATUS.Name(each.status)[15:], each.trigger_type, each.status_actor, each.status_subject)
        for name, each in shown.items()
    }
    assert told == {
        "Drawn": ("DRAFT", "SYSTEM", "", ""),
        "To come": ("SCHEDULED", "CHECKOUT_COMPLETED", "installation", ""),
        "Stopped by hand": ("STOPPED", "SYSTEM", "installation", ""),
        "Left without words": ("STOPPED", "SYSTEM", "journey", module_id),
    }
    gone, by_hand = shown["Left without words"], shown["Stopped by hand"]
    assert gone.status_reason == journey_pb2.STATUS_REASON_BOT_MODULE_MISSING
    assert gone.status_message == (await stage.seen(gone.journey_id, language_code="zh-TW")).status_message
    assert gone.status_message
    assert not by_hand.status_message
    assert before <= datetime_of(by_hand.status_time) <= after <= datetime_of(gone.status_time)
    assert not shown["Drawn"].HasField("status_time")
    for name, each in shown.items():
        schedule = period if name == "To come" else None
        assert each.definition == journey_pb2.Definition(name=name, schedule=schedule), "no more of it"


async def test_the_list_is_narrowed_by_status_trigger_and_name_and_comes_in_pages(stage: Stage) -> None:
    tagged = trigger_pb2.Trigger(tag_applied=trigger_pb2.TagApplied(tags=["VIP"]))
    await stage.draft(waits("wait"), name="Ｗelcome")
    await stage.live(waits("wait"), name="welcome back", trigger=tagged)
    await stage.live(waits("wait"), name="Birthday")
    assert list(await _listed(stage, statuses=[STATUS.Value("JOURNEY_STATUS_ACTIVE")])) == [
        *("Birthday", "welcome back")
    ]
    assert list(await _listed(stage, trigger_type="TAG_APPLIED")) == ["welcome back"]
    assert list(await _listed(stage, name_contains="WELCOME")) == ["welcome back", "Ｗelcome"]
    pages = [await stage.call("ListJourneys", page_size=2)]
    pages.append(await stage.call("ListJourneys", page_size=2, page_token=pages[0].next_page_token))
    assert [[each.definition.name for each in page.journeys] for page in pages] == [
        ["Birthday", "welcome back"],
        ["Ｗelcome"],
    ]
    assert not pages[1].next_page_token
