"""Customers and facts so large that a page of them fits into no answer: the page is shorter, and the next goes on."""

from __future__ import annotations

import pytest

from libs.common import paging
from tests.integration.segment.conftest import Segment

TEXT = "x" * 2_000


async def _pages(segment: Segment, name: str, rows: str) -> list[list[str]]:
    pages: list[list[str]] = []
    token = ""
    while True:
        answer = await segment.call(name, page_size=50, page_token=token)
        assert answer.ByteSize() < paging.PAGE_BYTES_MAX + 10_000
        pages.append([row.customer_id for row in getattr(answer, rows)])
        token = answer.next_page_token
        if not token:
            return pages


async def test_customers_with_much_to_tell_are_listed_in_pages_that_fit(
    segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE_BYTES_MAX", 10_000)
    await segment.define("note", "TEXT")
    made = [await segment.create(attributes={"note": TEXT}) for _ in range(11)]
    pages = await _pages(segment, "ListCustomers", "customers")
    assert [customer for page in pages for customer in page] == sorted(made)
    assert 3 <= len(pages) <= 5


async def test_facts_with_much_to_tell_are_listed_in_pages_that_fit(
    segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE_BYTES_MAX", 10_000)
    items = [TEXT[:500]] * 8
    await segment.record(
        *(segment.order(f"e{n}", f"o{n}", who={"member_id": str(n)}, items=items) for n in range(6))
    )
    pages = await _pages(segment, "ListFacts", "facts")
    assert len([fact for page in pages for fact in page]) == 12
    assert len(pages) >= 3
