"""Definitions so large that a page of them fits into no answer: the page is shorter, and the next goes on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.common import paging
from libs.common.db.pool import open_pool
from libs.testing.fixtures import Databases, Servers
from libs.testing.mails import TEAM
from omnijourney.journey.v1 import journey_pb2, node_pb2
from services.journey.store.journeys import JourneyStore
from tests.integration.journey.desk import Desk, serving_desk


async def _pages(desk: Desk, name: str, **fields: Any) -> list[Any]:
    pages = [await desk.call(name, **fields)]
    while token := pages[-1].next_page_token:
        pages.append(await desk.call(name, page_token=token, **fields))
    return pages


async def test_large_definitions_are_listed_in_pages_that_fit(
    servers: Servers, databases: Databases, redis: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE_BYTES_MAX", 10_000)
    async with serving_desk(servers, databases) as desk:
        await _look(desk)


async def _look(desk: Desk) -> None:
    nodes = [node_pb2.Node(node_id=f"node-{place:032}") for place in range(100)]
    large = []
    for _ in range(3):
        large.append(await desk.create(nodes=nodes))
        desk.clock.advance(timedelta(minutes=1))
    changed = large[0].journey_id
    for name in ("second", "third"):
        edit = journey_pb2.Definition(name=name)
        await desk.call("UpdateJourney", journey_id=changed, definition=edit)
    (page,) = await _pages(desk, "ListJourneys")  # which come without definitions
    assert [each.journey_id for each in page.journeys] == [each.journey_id for each in reversed(large)]
    revisions = [page.revisions for page in await _pages(desk, "ListRevisions", journey_id=changed)]
    assert [[each.revision for each in page] for page in revisions] == [[3, 2], [1]]
    pool = await open_pool(desk.dsn, name="test", size_max=1)
    try:
        read, cut = await JourneyStore(pool).revisions(TEAM, UUID(changed), 4, 501)
    finally:
        pool.terminate()
    assert ([each.revision for each in read], cut) == ([3, 2], True), "no more are read than a page may show"
