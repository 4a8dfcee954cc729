"""Pages of a listing: onwards by tokens, and back the way that one came."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from multidict import MultiDict

from libs.console.paging import BACK_LENGTH_MAX, BACK_MAX, Paging

pytestmark = pytest.mark.rule("X-07")


def at(address: str) -> Paging:
    """The page of an address."""
    parts = urlsplit(address)
    return Paging(parts.path, MultiDict(parse_qsl(parts.query, keep_blank_values=True)))


def test_every_page_leads_back_to_the_one_before_with_its_filters() -> None:
    first = "/journeys?name=tea"
    seen = [first]
    for number in range(1, 5):
        seen.append(at(seen[-1]).onwards(f"token-{number}"))
    for before, after in zip(seen[1:], seen, strict=False):
        assert at(before).back == after
        assert at(before).first == first
    assert (at(first).back, at(first).first, at(first).onwards("")) == ("", "", "")
    assert at(at("/journeys").onwards("x")).back == "/journeys"


def test_an_address_names_no_more_pages_than_it_may() -> None:
    address = "/journeys"
    for number in range(BACK_MAX + 5):
        address = at(address).onwards(f"token-{number}")
    assert address.count("back=") == BACK_MAX
    for _ in range(BACK_MAX):
        address = at(address).back
    assert at(address).back == ""
    assert at(address).first == "/journeys", "that is always known"
    for number in range(10):
        address = at(address).onwards(str(number) * 1_000)
    assert len(address) < BACK_LENGTH_MAX + 1_500
