"""Bodies that tell of a person are found however they write it, and no others."""

from __future__ import annotations

import json

import pytest

from services.channel_gateway.domain.persons import Wanted

WANTED = Wanted(
    ["+886912345678", "Ann@Example.org", "M-1", "Uabcdef0123456789", "018f0000-0000-7000-8000-000000000001"]
)


@pytest.mark.parametrize(
    "said",
    [
        {"customer": {"phone": "0912-345-678"}},
        {"phone": 886912345678},
        {"to": ["x", {"email": "ANN@example.ORG"}]},
        {"customer": {"member_id": "m-1"}},
        {"note": "asks for ann@example.org to call"},
        {"events": [{"source": {"userId": "Uabcdef0123456789"}}]},
        {"by": {"Uabcdef0123456789": 1}},
    ],
)
def test_what_names_the_person_is_found(said: object) -> None:
    assert WANTED.is_in(json.dumps(said).encode())


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"member_id": "M-11", "phone": "0912-345-679", "amount": 1234}).encode(),
        json.dumps({"item": "M-1 cable", "email": "anne@example.org"}).encode(),
        b"",
        b"\xff\xfe no JSON",
        b"[" * 100_000,
    ],
)
def test_what_names_others_is_left(body: bytes) -> None:
    assert not WANTED.is_in(body)


def test_what_is_no_json_is_searched_as_text() -> None:
    assert WANTED.is_in(b"token=1&email=ann@example.org")
