"""How facts are stored, told and waited for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import UUID

import msgspec
import pytest

from omnijourney.segment.v1 import history_pb2
from services.segment.convert.facts import fact_message, kind_of, tags_of
from services.segment.domain.facts import (
    TAGS,
    Fact,
    FactBody,
    OrderReported,
    OrderStage,
    RefundReported,
    encode_body,
)
from services.segment.domain.model import IdentityKey, OrderCompleted, OrderRefunded, Uncounted
from services.segment.worker.notifier import FactNotifiers

_ID = UUID(int=1)
_VALUES: dict[str, Any] = {
    "str": "x",
    "int": 1,
    "bool": False,
    "UUID": _ID,
    "UUID | None": None,
    "str | None": None,
    "tuple[str, ...]": ("name",),
    "IdentityKey": IdentityKey(2, _ID, "1"),
    "OrderStage": OrderStage.COMPLETED,
    "Uncounted": Uncounted.COUNTS,
    "OrderCompleted": OrderCompleted("s", "o", 1, "TWD"),
    "OrderRefunded": OrderRefunded("s", "r", 1, "TWD"),
}


def _bodies() -> list[FactBody]:
    """One of each type, and of each kind that shares one."""
    bodies = [kind(*map(_VALUES.__getitem__, kind.__annotations__.values())) for kind in get_args(FactBody)]
    order = next(body for body in bodies if isinstance(body, OrderReported))
    refund = next(body for body in bodies if isinstance(body, RefundReported))
    return [
        *bodies,
        msgspec.structs.replace(order, stage=OrderStage.STORED),
        msgspec.structs.replace(order, stage=OrderStage.AMENDED),
        msgspec.structs.replace(refund, uncounted=Uncounted.UNSIGNED),
    ]


@pytest.mark.parametrize("body", _bodies())
def test_a_feed_finds_a_kind_by_the_second_byte_of_the_body(body: FactBody) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    message = fact_message(Fact(1, _ID, _ID, _ID, now, now, 0, None, body, 1))
    kind = history_pb2.FactKind.Name(kind_of(body))  # type: ignore[arg-type]  # a number of the contract
    assert kind == f"FACT_KIND_{message.WhichOneof('fact').upper()}"  # type: ignore[union-attr]
    assert history_pb2.Fact.DESCRIPTOR.fields_by_number[kind_of(body)].name == message.WhichOneof("fact")
    assert encode_body(body)[1] == TAGS[type(body)]
    assert tags_of(frozenset({kind_of(body)})) == {TAGS[type(body)]}


async def test_a_commit_wakes_those_who_wait_for_its_facts() -> None:
    notifiers = FactNotifiers()
    everything, orders = notifiers.of(None), notifiers.of(frozenset({1, 2}))
    assert notifiers.of(frozenset({2, 1})) is orders
    waits = [
        asyncio.ensure_future(notifier.wait(notifier.commits, 60.0)) for notifier in (everything, orders)
    ]
    await asyncio.sleep(0)
    notifiers.notify({3})
    await asyncio.wait_for(waits[0], 60.0)
    assert not waits[1].done()
    notifiers.notify({2, 3})
    await asyncio.wait_for(waits[1], 60.0)
