"""What facts and orders are without the person."""

from __future__ import annotations

from typing import get_args
from uuid import UUID

import msgspec
import pytest

from services.segment.domain import facts
from services.segment.domain.erasure import bare_order, without_person
from services.segment.domain.model import IdentityKey, Item, OrderCompleted, OrderRefunded, Uncounted

ID = UUID(int=7)
TEXT = "of-the-person"
IDENTITY = IdentityKey(1, ID, TEXT)
ORDER = OrderCompleted("shop", "o-1", 5, "TWD", TEXT, (Item(TEXT),), signed=True, click_id=TEXT, cart_id=TEXT)
BODIES: list[facts.FactBody] = [
    facts.OrderReported(facts.OrderStage.COMPLETED, ID, ORDER, True, Uncounted.COUNTS),
    facts.RefundReported(ID, ID, OrderRefunded("shop", "r-1", 5, "TWD", "o-1"), Uncounted.COUNTS, TEXT),
    facts.ContactJoined(IDENTITY),
    facts.ContactRemoved(IDENTITY),
    facts.ContactLeft(IDENTITY),
    facts.ContactReturned(IDENTITY),
    facts.MessageTaken(IDENTITY, TEXT, TEXT, ID),
    facts.TagApplied(TEXT, (TEXT,)),
    facts.TagRemoved(TEXT),
    facts.AttributeChanged("wish", 1, TEXT, TEXT),
    facts.CustomerCreated(TEXT),
    facts.CustomerMerged(ID),
    facts.CustomerChanged(("name",)),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_a_fact_keeps_its_kind_and_nothing_of_the_person(body: facts.FactBody) -> None:
    bare = without_person(body)
    assert type(bare) is type(body)
    assert TEXT.encode() not in facts.encode_body(bare)
    assert facts.decode_body(facts.encode_body(bare)) == without_person(bare) == bare


def test_each_kind_of_facts_about_a_customer_is_looked_at() -> None:
    assert {type(body) for body in BODIES} | {facts.AttributeDefined} == set(get_args(facts.FactBody))


def test_an_order_keeps_its_figures() -> None:
    bare = bare_order(ORDER)
    assert msgspec.structs.replace(ORDER, order_number="", items=(), click_id="", cart_id="") == bare
