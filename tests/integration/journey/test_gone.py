"""What goes at the gateway or in segment stops the live journeys that name it: the three services, as they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from libs.common.feeds.follower import Follower
from libs.common.ids import new_id
from omnijourney.journey.v1 import (
    journey_pb2,
    node_pb2,
    trigger_pb2,
)
from omnijourney.segment.v1 import (
    attribute_pb2,
    audience_pb2,
)
from services.journey.store.references import Stops
from services.journey.worker.gone import BACKOFF_MAX_S, GoneProjection, Stopper
from tests.integration.journey.house import LINE, WHATSAPP, House, delay, message, until

NUMBER = attribute_pb2.ATTRIBUTE_TYPE_NUMBER
ACTIVE, DRAFT = journey_pb2.JOURNEY_STATUS_ACTIVE, journey_pb2.JOURNEY_STATUS_DRAFT


@pytest.mark.rule("J-07e", "J-07k", "J-02b")
async def test_a_deleted_module_stops_each_live_journey_that_sends_it(house: House) -> None:
    module, other = await house.module(), await house.module()
    inside = await house.publish(delay(), message("a", bot_module_id=module))
    await house.enter(inside)
    empty = await house.publish(message("a", bot_module_id=other), message("b", bot_module_id=module))
    untouched = await house.publish(message("a", bot_module_id=other))
    draft = await house.draft(message("a", bot_module_id=module))
    await house.call("gateway", "DeleteBotModule", bot_module_id=module)
    for each in (inside, empty):
        await house.until_stopped(each, journey_pb2.STATUS_REASON_BOT_MODULE_MISSING)
    assert not (await house.call("journey", "CountEnrolments", journey_id=inside)).live_count
    assert (await house.seen(untouched))[0] == ACTIVE
    assert (await house.seen(draft))[0] == DRAFT


@pytest.mark.rule("J-07k")
@pytest.mark.parametrize("source", ["channel_gateway", "segment"])
async def test_what_goes_stops_a_journey_in_the_round_that_reads_of_it(
    house: House, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """Within 5 s: a follower waits in its read until there is something, BACKOFF_MAX_S at most after it could not read,
    and never between reads; so at most the round that was ending when the thing went comes before."""
    key = await house.attribute("tier")
    module = await house.module()
    journey_id = await house.publish(message("a", bot_module_id=module), sets(key))
    rounds, stopped_after, lingers = [0], list[int](), set[float]()
    step, stop = Follower.step, Stopper.stop

    async def counting(self: Follower[Any], wait_s: float) -> int:
        rows = await step(self, wait_s)
        if isinstance(self._projection, GoneProjection) and self.history.name == source:
            rounds[0] += 1
            lingers.add(self._linger_s)
        return rows

    async def noting(self: Stopper, stops: Stops) -> None:
        await stop(self, stops)
        if stops:
            stopped_after.append(rounds[0])

    monkeypatch.setattr(Follower, "step", counting)
    monkeypatch.setattr(Stopper, "stop", noting)
    if source == "segment":
        await house.call("segment", "ArchiveAttribute", key=key)
        answered_after = rounds[0]
        await house.until_stopped(journey_id, journey_pb2.STATUS_REASON_ATTRIBUTE_UNAVAILABLE)
    else:
        await house.call("gateway", "DeleteBotModule", bot_module_id=module)
        answered_after = rounds[0]
        await house.until_stopped(journey_id, journey_pb2.STATUS_REASON_BOT_MODULE_MISSING)
    await until(lambda: _ended(rounds, stopped_after))
    assert stopped_after[0] - answered_after <= 1
    assert lingers == {0.0}
    assert BACKOFF_MAX_S < 5


async def _ended(rounds: list[int], stopped_after: list[int]) -> bool:
    return rounds[0] > stopped_after[0]


@pytest.mark.rule("J-07e", "J-07f", "J-07k")
async def test_a_deleted_account_or_template_stops_journeys(house: House) -> None:
    module, line = await house.module(), await house.account()
    targets = [journey_pb2.Target(channel=LINE, account_id=line)]
    sends = await house.publish(message("a", bot_module_id=module), targets=targets)
    whatsapp = await house.account(WHATSAPP)
    templates = await house.template(whatsapp)
    used = node_pb2.TemplateContent(template_id=templates)
    to_whatsapp = [journey_pb2.Target(channel=WHATSAPP, account_id=whatsapp)]
    with_template = await house.publish(
        message("a", channel=WHATSAPP, template=used), targets=to_whatsapp, name="template"
    )
    await house.call("gateway", "DeleteMessageTemplate", message_template_id=templates)
    await house.until_stopped(with_template, journey_pb2.STATUS_REASON_WHATSAPP_TEMPLATE_MISSING)
    await house.call("gateway", "DeleteChannelAccount", channel_account_id=line)
    await house.until_stopped(sends, journey_pb2.STATUS_REASON_BOT_MODULE_MISSING)


def asks(key: str) -> node_pb2.Node:
    """A condition on an attribute, after which the journey ends."""
    predicate = audience_pb2.AttributePredicate(key=key, is_set=audience_pb2.IsSet())
    ends = node_pb2.Branch(end=node_pb2.EndOfJourney())
    condition = node_pb2.ConditionNode(audience=audience_pb2.Audience(attribute=predicate), yes=ends, no=ends)
    return node_pb2.Node(node_id="asks", condition=condition)


def sets(key: str) -> node_pb2.Node:
    """A node that sets an attribute."""
    return node_pb2.Node(node_id="sets", attribute=node_pb2.AttributeNode(key=key, text="gold"))


def changed(key: str) -> trigger_pb2.Trigger:
    """A trigger by an attribute."""
    return trigger_pb2.Trigger(attribute_changed=trigger_pb2.AttributeChanged(keys=[key]))


async def _retype(house: House, key: str) -> None:
    attribute = attribute_pb2.Attribute(key=key, type=NUMBER)
    await house.call("segment", "UpdateAttribute", attribute=attribute, update_mask={"paths": ["type"]})


async def _archive(house: House, key: str) -> None:
    await house.call("segment", "ArchiveAttribute", key=key)


@pytest.mark.rule("J-07g", "J-07k", "S-07")
@pytest.mark.parametrize("change", [_archive, _retype])
async def test_an_attribute_that_goes_stops_every_way_of_using_it(
    house: House, change: Callable[[House, str], Awaitable[None]]
) -> None:
    key, kept = await house.attribute("level"), await house.attribute("kept")
    plain, filled = await house.module(), await house.module("You are {{ attribute.level | new }}")
    users = [
        await house.publish(delay(), sets(key)),
        await house.publish(asks(key)),
        await house.publish(message("a", bot_module_id=plain), trigger=changed(key)),
        await house.publish(message("a", bot_module_id=filled)),
    ]
    await house.enter(users[0])
    untouched = await house.publish(asks(kept), trigger=changed(kept))
    await change(house, key)
    for each in users:
        await house.until_stopped(each, journey_pb2.STATUS_REASON_ATTRIBUTE_UNAVAILABLE)
    assert (await house.seen(untouched))[0] == ACTIVE


@pytest.mark.rule("J-07g")
async def test_what_changed_before_a_journey_was_published_does_not_stop_it(house: House) -> None:
    key = await house.attribute("level")
    await _archive(house, key)
    await house.call("segment", "RestoreAttribute", key=key)
    await _retype(house, key)
    journey_id = await house.publish(asks(key))
    witness = await house.publish(asks(await house.attribute("other")))
    await _archive(house, "other")
    await house.until_stopped(witness, journey_pb2.STATUS_REASON_ATTRIBUTE_UNAVAILABLE)
    assert (await house.seen(journey_id))[0] == ACTIVE


@pytest.mark.rule("J-07k")
@pytest.mark.parametrize("away", ["journey", "gateway"])
async def test_what_goes_during_an_outage_stops_journeys_after_it_and_once(house: House, away: str) -> None:
    modules = [await house.module() for _ in range(2)]
    journeys = [await house.publish(message("a", bot_module_id=module)) for module in modules]
    if away == "journey":
        await house.stop("journey")
        await house.call("gateway", "DeleteBotModule", bot_module_id=modules[0])
        await house.start("journey")
    else:
        await house.call("gateway", "DeleteBotModule", bot_module_id=modules[0])
        await house.stop("gateway")
        await house.start("gateway")
    await house.until_stopped(journeys[0], journey_pb2.STATUS_REASON_BOT_MODULE_MISSING)
    copy = (await house.call("journey", "GetJourney", journey_id=journeys[0])).journey
    await house.stop("journey")
    await house.start("journey")
    await house.call("gateway", "DeleteBotModule", bot_module_id=modules[1])
    await house.until_stopped(journeys[1], journey_pb2.STATUS_REASON_BOT_MODULE_MISSING)
    assert (await house.call("journey", "GetJourney", journey_id=journeys[0])).journey == copy


async def test_who_uses_a_thing_is_told_with_the_places(house: House) -> None:
    key, account = await house.attribute("level"), await house.account()
    module, filled = await house.module(), await house.module("{{attribute.level}}")
    targets = [journey_pb2.Target(channel=LINE, account_id=account)]
    vip = trigger_pb2.Trigger(tag_applied=trigger_pb2.TagApplied(tags=["VIP"]))
    await house.draft(
        message("a", bot_module_id=module), sets(key), name="draft", trigger=vip, targets=targets
    )
    live = await house.publish(message("a", bot_module_id=filled), delay(), asks(key), name="live")
    stopped = await house.publish(sets(key), name="stopped")
    await house.call("journey", "StopJourney", journey_id=stopped)
    assert await house.users(attribute_key=key) == [
        (
            "live",
            ACTIVE,
            ["nodes[0].message.bot_module_id", "nodes[2].condition.audience.attribute.key"],
        ),
        ("draft", DRAFT, ["nodes[1].attribute.key"]),
    ]
    assert await house.users(bot_module_id=module) == [("draft", DRAFT, ["nodes[0].message.bot_module_id"])]
    assert await house.users(channel_account_id=account) == [("draft", DRAFT, ["targets[0].account_id"])]
    assert await house.users(tag="vip") == [("draft", DRAFT, ["trigger.tag_applied.tags[0]"])]
    assert await house.users(message_template_id=str(new_id())) == []
    assert await house.users(coupon_id=str(new_id())) == []
    assert await house.users(saved_audience_id=str(new_id())) == []

    edited = journey_pb2.Definition(nodes=[message("a", bot_module_id=module)])
    mask = {"paths": ["nodes"]}
    draft_id = (await house.call("journey", "ListReferringJourneys", tag="VIP")).journeys[0].journey_id
    await house.call("journey", "UpdateJourney", journey_id=draft_id, definition=edited, update_mask=mask)
    assert [name for name, *_ in await house.users(attribute_key=key)] == ["live"], "an edit is seen at once"
    await house.call("journey", "DeleteJourney", journey_id=draft_id)
    assert await house.users(bot_module_id=module) == []
    first = await house.call("journey", "ListReferringJourneys", attribute_key=key, page_size=1)
    assert [each.journey_id for each in first.journeys] == [live]


async def test_the_pages_of_who_uses_a_thing_hold_each_journey_once(house: House) -> None:
    module = await house.module()
    names = [f"journey {number}" for number in range(5)]
    for name in names:
        await house.draft(message("a", bot_module_id=module), name=name)
    found: list[str] = []
    token = ""
    while True:
        page = await house.call(
            "journey", "ListReferringJourneys", bot_module_id=module, page_size=2, page_token=token
        )
        found += [each.name for each in page.journeys]
        token = page.next_page_token
        if not token:
            break
    assert found == names[::-1]
