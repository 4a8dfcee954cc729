"""Which sends the receipts of pages and Instagram accounts concern."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from services.channel_gateway.domain.heard import PageReceipt
from services.channel_gateway.domain.model import SendState
from services.channel_gateway.domain.page_receipts import SentToPerson, receipts_of
from services.channel_gateway.domain.receipts import ReceiptKind
from tests.unit.channel_gateway.build import ACCOUNT, NOW

PERSON = (ACCOUNT, "501")
OLD = SentToPerson(UUID(int=1), SendState.SENT, ("m_1", "m_2"), NOW - timedelta(hours=1))
NEW = SentToPerson(UUID(int=2), SendState.SENT, ("m_3",), NOW)
WAY = SentToPerson(UUID(int=3), SendState.IN_FLIGHT, (), NOW)


@pytest.mark.parametrize(
    ("receipt", "keys"),
    [
        (PageReceipt("501", ReceiptKind.DELIVERED, ("m_2",)), [1]),
        (PageReceipt("501", ReceiptKind.READ, ("m_3",)), [2]),
        (PageReceipt("501", ReceiptKind.READ, until=NOW), [2, 1]),
        (PageReceipt("501", ReceiptKind.READ, until=NOW - timedelta(seconds=1)), [1]),
        (PageReceipt("501", ReceiptKind.DELIVERED, ("m_9",)), [3]),
        (PageReceipt("501", ReceiptKind.DELIVERED), []),
        (PageReceipt("502", ReceiptKind.READ, until=NOW), []),
    ],
)
def test_messages_are_meant_by_their_ids_or_by_their_time(receipt: PageReceipt, keys: list[int]) -> None:
    told = receipts_of({(ACCOUNT, receipt.external_id): [receipt]}, {PERSON: [WAY, NEW, OLD]})
    assert [key.int for key in told] == keys
    assert all(each == (ACCOUNT, [receipt.kind]) for each in told.values())


def test_what_is_told_one_after_another_stays_in_its_order() -> None:
    receipts = [
        PageReceipt("501", ReceiptKind.DELIVERED, ("m_1",)),
        PageReceipt("501", ReceiptKind.READ, until=NOW),
    ]
    told = receipts_of({PERSON: receipts}, {PERSON: [OLD]})
    assert told == {UUID(int=1): (ACCOUNT, [ReceiptKind.DELIVERED, ReceiptKind.READ])}
