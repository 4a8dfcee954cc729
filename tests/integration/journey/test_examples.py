"""The example journeys, each on its whole path: applied, published, triggered, and what it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from libs.testing.fixtures import Databases, Servers
from tests.integration.journey.example_shop import EXAMPLES, Shop, of
from tests.integration.journey.whole_site import WHATSAPP, Site, serving_site

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services_on(servers: Servers, databases: Databases) -> AsyncIterator[Site]:
    """Four services, once for all tests here."""
    async with Redis.from_url(servers.redis_url, protocol=2) as redis:
        await redis.flushall()
    async with serving_site(servers, databases) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="module")
async def shop(services_on: Site) -> Shop:
    """A team of its own for each test, at noon of its zone."""
    now = await services_on.now()
    noon = now.replace(hour=4, minute=0, second=0, microsecond=0)
    await services_on.advance(
        seconds=((noon if noon > now else noon + timedelta(days=1)) - now).total_seconds()
    )
    shop = Shop(services_on)
    await shop.furnish()
    return shop


async def test_welcome_greets_once_and_shows_best_sellers_after_three_days(shop: Shop) -> None:
    journey_id = await shop.live("welcome")
    customer = await shop.customer()
    await shop.until_tagged(customer, ["newcomer"])
    await shop.settled(journey_id, live=1)
    assert await shop.sent(journey_id) == [("greet", customer)]
    await shop.site.advance(days=3)
    await shop.settled(journey_id, completed=1)
    assert await shop.sent(journey_id) == [("best", customer), ("greet", customer)]


@pytest.mark.rule("J-37a", "J-37b")
async def test_abandoned_cart_reminds_those_who_have_not_ordered_that_cart(shop: Shop) -> None:
    journey_id = await shop.live("abandoned_cart")
    prompt, other, late = [await shop.customer() for _ in range(3)]
    for each in (prompt, other, late):
        await shop.site.call("SetCustomerAttributes", customer_id=each, values={"cart": f"cart of {each}"})
    await shop.settled(journey_id, live=3)
    await shop.order(prompt, cart=f"Cart of {prompt}")
    await shop.order(other, cart="another cart")
    await shop.settled(journey_id, live=2, completed=1)
    assert await shop.sent(journey_id) == []
    await shop.site.advance(hours=1)
    await shop.waiting(journey_id, "ordered-after-all", 2)
    assert await shop.sent(journey_id) == sorted([("remind", other), ("remind", late)])
    await shop.order(late, cart=f"cart of {late}")
    await shop.settled(journey_id, live=1, completed=2)
    await shop.site.advance(days=1)
    await shop.settled(journey_id, completed=3)
    assert await shop.sent(journey_id) == sorted([("remind", other), ("remind", late), ("thanks", late)])


@pytest.mark.rule("J-37a")
async def test_reply_menu_sends_what_was_pressed_and_leaves_the_silent_alone(shop: Shop) -> None:
    journey_id = await shop.live("reply_menu")
    news, best, silent = [await shop.customer() for _ in range(3)]
    await shop.waiting(journey_id, "answered", 3)
    await shop.press(journey_id, "menu", news, "news")
    await shop.press(journey_id, "menu", best, "best")
    await shop.waiting(journey_id, "wants-news", 1)
    await shop.settled(journey_id, live=2, completed=1)
    await shop.site.advance(minutes=1)
    await shop.settled(journey_id, live=1, completed=2)
    answers = sorted([("news", news), ("best", best)])
    menus = sorted(("menu", each) for each in (news, best, silent))
    assert await shop.sent(journey_id) == sorted(answers + menus)
    # The menu stays in the chat; nobody is moved by it any more.
    await shop.press(journey_id, "menu", news, "best")
    await shop.site.advance(days=1)
    await shop.settled(journey_id, completed=3)
    assert await shop.sent(journey_id) == sorted(answers + menus)


async def test_birthday_gives_points_at_night_and_wishes_in_the_morning(shop: Shop) -> None:
    journey_id = await shop.live("birthday")
    customer = await shop.customer()
    await shop.site.advance(hours=11)
    await shop.trigger(journey_id, customer)
    await shop.settled(journey_id, live=1)
    assert (await shop.balance(customer), await shop.sent(journey_id)) == (100, [])
    await shop.site.advance(hours=10, minutes=1)
    await shop.settled(journey_id, completed=1)
    assert await shop.sent(journey_id) == [("wish", customer)]


async def test_win_back_asks_those_who_have_bought_nothing_since(shop: Shop) -> None:
    journey_id = await shop.live("win_back")
    gone, loyal = await shop.customer(), await shop.customer()
    await shop.order(gone)
    await shop.order(loyal)
    await shop.settled(journey_id, live=2)
    await shop.site.advance(days=30)
    await shop.order(loyal)
    await shop.settled(journey_id, live=3)
    await shop.site.advance(days=30, minutes=1)
    await shop.settled(journey_id, live=1, completed=2)
    assert await shop.sent(journey_id) == [("ask-back", gone)]
    assert list((await shop.seen(gone)).tags) == ["asked back"]
    assert not (await shop.seen(loyal)).tags


async def test_vip_upgrade_makes_vips_of_large_orders_once(shop: Shop) -> None:
    journey_id = await shop.live("vip_upgrade")
    large, small = await shop.customer(), await shop.customer()
    await shop.order(small, 9_999)
    await shop.order(large, 10_000)
    await shop.settled(journey_id, completed=1)
    await shop.order(large, 20_000)
    await shop.settled(journey_id, completed=2)
    assert await shop.sent(journey_id) == [("tell", large)]
    upgraded = await shop.seen(large)
    assert (list(upgraded.tags), dict(upgraded.attributes)) == (["VIP"], {"tier": "gold"})
    assert not (await shop.seen(small)).tags


async def test_points_reminder_is_for_those_who_have_enough(shop: Shop) -> None:
    journey_id = await shop.live("points_reminder")
    rich, poor = await shop.customer(points=300), await shop.customer(points=299)
    for each in (rich, poor):
        await shop.order(each)
    await shop.settled(journey_id, live=2)
    await shop.site.advance(days=7)
    await shop.settled(journey_id, completed=2)
    assert await shop.sent(journey_id) == [("remind", rich)]


async def test_review_request_asks_buyers_of_tea_by_template(shop: Shop) -> None:
    journey_id = await shop.live("review_request")
    tea, coffee = await shop.customer(WHATSAPP), await shop.customer(WHATSAPP)
    await shop.order(coffee, item="Coffee")
    await shop.order(tea, item="凍頂烏龍茶")
    await shop.settled(journey_id, live=1)
    await shop.site.advance(days=5)
    await shop.settled(journey_id, completed=1)
    assert await shop.sent(journey_id) == [("ask", tea)]


async def test_restock_tells_those_who_are_tagged_and_takes_the_tag_away(shop: Shop) -> None:
    journey_id = await shop.live("tag_restock")
    waiting = await shop.customer()
    for times in (1, 2):
        await shop.site.call("ChangeCustomerTags", customer_id=waiting, add=["Restock Tea", "other"])
        await shop.settled(journey_id, completed=times)
        assert await shop.sent(journey_id) == [("tell", waiting)] * times
        assert list((await shop.seen(waiting)).tags) == ["other"]


async def test_coupon_by_points_offers_it_to_those_who_can_pay_for_it(shop: Shop) -> None:
    journey_id = await shop.live("coupon_by_points")
    rich, poor = await shop.customer(points=500), await shop.customer(points=499)
    for each in (rich, poor):
        await shop.order(each)
    await shop.settled(journey_id, completed=2)
    assert await shop.sent(journey_id) == [("coupon", rich), ("go-on", poor)]


async def test_fallback_by_binding_goes_by_line_where_it_can(shop: Shop) -> None:
    journey_id = await shop.live("fallback_by_binding")
    by_line, by_whatsapp = await shop.customer(), await shop.customer(WHATSAPP)
    await shop.trigger(journey_id, by_line, by_whatsapp)
    await shop.settled(journey_id, completed=2)
    assert await shop.sent(journey_id) == [("by-line", by_line), ("by-whatsapp", by_whatsapp)]


async def test_tier_gift_gives_points_and_tells_the_next_day(shop: Shop) -> None:
    journey_id = await shop.live("tier_gift")
    gold, silver = await shop.customer(), await shop.customer()
    await shop.site.call("SetCustomerAttributes", customer_id=silver, values={"tier": "silver"})
    await shop.site.call("SetCustomerAttributes", customer_id=gold, values={"tier": "Gold"})
    await shop.settled(journey_id, live=1)
    assert (await shop.balance(gold), await shop.balance(silver)) == (50, 0)
    await shop.site.advance(days=1)
    await shop.settled(journey_id, completed=1)
    assert await shop.sent(journey_id) == [("tell", gold)]


@pytest.mark.rule("J-37d")
async def test_holdout_test_divides_customers_and_each_goes_the_same_way_again(shop: Shop) -> None:
    journey_id = await shop.live("holdout_test")
    customers = [await shop.customer() for _ in range(20)]
    for times in (1, 2):
        await shop.trigger(journey_id, *customers)
        await shop.settled(journey_id, completed=times * len(customers))
        sent = await shop.sent(journey_id)
        if times == 1:
            once = sent
    assert sent == sorted(once * 2), "the same message as before, or none again"
    ways = await shop.ways(journey_id)
    assert Counter(ways) == Counter(
        {"1": 2 * len(of(once, "best-sellers")), "2": 2 * len(of(once, "news"))}
        | ({"3": 2 * held} if (held := len(customers) - len(once)) else {})
    )
    assert len({customer for _, customer in once}) == len(once), "nobody went two ways"


async def test_every_example_is_tested_here() -> None:
    tested = Path(__file__).read_text(encoding="utf-8")
    assert [file.stem for file in EXAMPLES if f'shop.live("{file.stem}")' not in tested] == []
