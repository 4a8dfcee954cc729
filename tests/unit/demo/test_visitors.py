"""Who opens which link, and whose orders are recounted from it."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from libs.demo.attributed import WINDOW, Attributed, attribute
from libs.demo.definitions import BIG_BASKET, FAVOURITE_ITEM, PAGES, VIP_WELCOME
from libs.demo.stream import Checkout, Kind, line_user_of, phone_of
from libs.demo.visitors import BROWSER, HOURS_MAX, Visit, Visitors
from libs.emulators.journal import Journal

START = datetime(2017, 12, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
JOURNEYS = {
    name: str(UUID(int=number)) for number, name in enumerate((VIP_WELCOME, BIG_BASKET, FAVOURITE_ITEM))
}
MEMBERS = range(1, 201)


def bought(member: int | None, at: datetime, amount: int = 10, kind: Kind = Kind.ORDER) -> Checkout:
    return Checkout(kind, f"{member}-{at}", at, Decimal(amount), member)


def found(orders: Sequence[Checkout], visits: Sequence[Visit]) -> dict[str, tuple[int, int, int]]:
    """Clicked, orders and revenue of those journeys that have any."""
    by_name = attribute(orders, visits, JOURNEYS)
    return {
        name: (each.clicked, each.orders, int(each.revenue))
        for name, each in by_name.items()
        if each != Attributed()
    }


def test_an_order_is_of_the_last_click_before_it_within_the_window() -> None:
    visits = [
        Visit(1, BIG_BASKET, START),
        Visit(1, FAVOURITE_ITEM, START + HOUR),
        Visit(2, BIG_BASKET, START),
        Visit(3, BIG_BASKET, START),
        Visit(3, VIP_WELCOME, START),
    ]
    orders = [
        bought(1, START - timedelta(seconds=1)),
        bought(1, START, 1),
        bought(1, START + HOUR, 2),
        bought(1, START + HOUR + WINDOW, 3),
        bought(1, START + HOUR + WINDOW + timedelta(microseconds=1)),
        bought(2, START + HOUR, 100, Kind.REFUND),
        bought(None, START + HOUR),
        bought(3, START + HOUR, 7),
    ]
    assert found(orders, visits) == {
        BIG_BASKET: (3, 1, 1),
        FAVOURITE_ITEM: (1, 2, 5),
        VIP_WELCOME: (1, 1, 7),
    }


@pytest.fixture
async def shop() -> AsyncIterator[TestServer]:
    """Answers short links: the first opening of each is lost."""
    seen: set[str] = set()

    async def answer(request: web.Request) -> web.Response:
        token = request.match_info["token"]
        assert request.headers["User-Agent"] == BROWSER
        if token not in seen:
            seen.add(token)
            return web.Response(status=503)
        page = list(PAGES.values())[int(token) % len(PAGES)]
        return web.Response(status=302, headers={"Location": page})

    app = web.Application()
    app.router.add_get("/l/{token}", answer)
    server = TestServer(app)
    await server.start_server()
    yield server
    await server.close()


async def visits_of(shop: TestServer, directory: Path) -> list[Visit]:
    """Of 200 customers with a message each, half of them with two, and some without a link."""
    directory.mkdir()
    links = str(shop.make_url("/l"))
    async with aiohttp.ClientSession() as session:
        visitors = Visitors(session, directory, MEMBERS, links)
        whatsapp, line = Journal(directory / "whatsapp.jsonl"), Journal(directory / "line.jsonl")
        for member in MEMBERS:
            text = {"text": f"see {links}/{member} !"}
            whatsapp.append([{"recipient": phone_of(member).removeprefix("+"), "body": text}])
            if (user := line_user_of(member)) is not None:
                line.append(
                    [{"recipient": user, "body": {"text": "no link" if member % 4 else json.dumps(text)}}]
                )
        with (directory / "line.jsonl").open("ab") as torn:
            torn.write(b'{"recipient": "U')
        for step in range(HOURS_MAX + 1):
            await visitors.look(START + step * HOUR)
        assert visitors.message_count == 300
        whatsapp.close()
        line.close()
        return visitors.visits


async def test_some_open_their_links_within_two_days_and_the_same_ones_in_every_run(
    shop: TestServer, tmp_path: Path
) -> None:
    visits = await visits_of(shop, tmp_path / "one")
    assert 60 < len(visits) < 140, "of 250 links"
    assert {visit.journey for visit in visits} == set(PAGES)
    times = [visit.at for visit in visits]
    assert times == sorted(times)
    assert times[0] < START + 6 * HOUR < START + 40 * HOUR < times[-1]
    assert await visits_of(shop, tmp_path / "two") == visits
