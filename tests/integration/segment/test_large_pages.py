"""Facts so large that all of them fit into no answer: every reader gets through, and none takes a short page for the
last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from uuid import UUID

import grpc

from libs.common.db.pool import open_pool
from libs.common.ids import PARTITIONS
from libs.common.mailbox.mail import Mail, decode
from libs.testing.fixtures import Servers
from omnijourney.common.v1 import history_pb2
from omnijourney.internal.v1 import mail_service_pb2
from services.points.clients.segment import customer_history
from services.segment.store.history import list_facts
from services.stats.clients.histories import PAGE_ROWS, CountedHistory, Peers, histories
from services.stats.domain.model import Source
from tests.integration.segment.conftest import Segment

ORDERS = [f"o{number}" for number in range(13)]
ITEM = "訂" * 500
ITEMS = 900
"""A line of an order is 1,500 bytes long, so an order 1.3 MiB, and all of them are more than one answer may hold."""


async def _record_orders(segment: Segment) -> str:
    """Returns the customer of all of them."""
    for order_id in ORDERS:
        order = segment.order(order_id, order_id, items=[ITEM] * ITEMS, who={"member_id": "1"})
        (result,) = await segment.record(order)
    return result.customer_id


def _feed_of_segment(channel: grpc.aio.Channel) -> CountedHistory:
    return next(feed for feed in histories(Peers(*[channel] * 4)) if feed.source is Source.SEGMENT)


async def _read_all(feed: CountedHistory) -> list[list[tuple[int, int]]]:
    """Where the orders of each page lie, in order."""
    cursors: Mapping[int, int] = dict.fromkeys(range(PARTITIONS), 0)
    pages: list[list[tuple[int, int]]] = []
    while True:
        page = await feed.read(cursors, 0, PAGE_ROWS)
        if page.cursors == cursors:
            return pages
        pages.append([row.place for row in page.rows])
        cursors = page.cursors


async def _list_all(segment: Segment, cursor: Callable[[Mail | None], dict[str, object]]) -> list[list[int]]:
    """The mail numbers of each page, in order; ends where the answer says that there are no more."""
    pages: list[list[int]] = []
    last: Mail | None = None
    while True:
        response = await segment.call("ListMail", **cursor(last))
        mails = [decode(mail) for mail in response.mails]
        pages.append([mail.number for mail in mails])
        if not response.more:
            return pages
        last = mails[-1]


async def test_a_history_of_large_facts_is_read_whole(servers: Servers, segment: Segment) -> None:
    await _record_orders(segment)
    async with servers.channel(segment.port) as channel:
        pages = await _read_all(_feed_of_segment(channel))
        orders = [fact for fact in await segment.facts() if fact.WhichOneof("fact") == "checkout_completed"]
        assert [place for page in pages for place in page] == [(f.partition, f.position) for f in orders]
        assert len(orders) == len(ORDERS)
        assert max(len(page) for page in pages) < len(ORDERS), "a page is bounded in bytes, too"
        cursors: Mapping[int, int] = dict.fromkeys(range(PARTITIONS), 0)
        customers: list[bytes | None] = []
        while (page := await customer_history(channel).read(cursors, 0, PAGE_ROWS)).cursors != cursors:
            customers += [row.customer for row in page.rows]
            cursors = page.cursors
        assert len(customers) == 1, "what is large and not wanted hides nothing"


async def test_mail_of_large_facts_is_listed_to_the_last(segment: Segment) -> None:
    customer_id = await _record_orders(segment)
    (partition,) = {fact.partition for fact in await segment.facts()}

    def of_partition(last: Mail | None) -> dict[str, object]:
        position = last.position if last else 0
        return {"partition": history_pb2.HistoryCursor(partition=partition, after_position=position)}

    def of_customer(last: Mail | None) -> dict[str, object]:
        return {
            "customer": mail_service_pb2.CustomerMailCursor(
                team_id=str(segment.team_id), customer_id=customer_id, after_number=last.number if last else 0
            )
        }

    for cursor in (of_partition, of_customer):
        pages = await _list_all(segment, cursor)
        assert [number for page in pages for number in page] == list(range(1, len(ORDERS) + 1))
        assert all(pages)
        assert max(map(len, pages)) < len(ORDERS)


async def test_what_happened_with_a_customer_is_read_in_pages_that_fit(segment: Segment) -> None:
    """From either end, and no more of it than a page is read at once."""
    customer_id = await _record_orders(segment)
    async with await open_pool(segment.dsn, name="facts") as pool:
        span = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
        for named in (UUID(customer_id), None):
            for newest_first in (False, True):
                page = await list_facts(
                    pool,
                    segment.team_id,
                    customer_id=named,
                    span=span,
                    after=None,
                    row_max=100,
                    newest_first=newest_first,
                )
                assert 1 < len(page.facts) < len(ORDERS)
                assert not page.is_last


async def test_a_full_page_with_nothing_behind_it_is_the_last(segment: Segment) -> None:
    orders = [segment.order(f"e{number}", f"o{number}", who={"member_id": "1"}) for number in range(2)]
    customer_id = (await segment.record(*orders))[0].customer_id
    scope = mail_service_pb2.CustomerMailCursor(team_id=str(segment.team_id), customer_id=customer_id)
    assert not (await segment.call("ListMail", customer=scope, page_size=2)).more
    assert (await segment.call("ListMail", customer=scope, page_size=1)).more
