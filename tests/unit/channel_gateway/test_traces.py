"""Traces in the gateway: webhooks that are sampled, and what is remembered of sends."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from libs.common import tracing
from libs.common.clock import SteppedClock
from libs.common.feeds.gateway_records import read_record
from libs.common.tracing import Span
from omnijourney.segment.v1 import event_pb2
from services.channel_gateway.convert.events import ConvertedWebhook
from services.channel_gateway.domain.inbox import InboxSource, Incoming, StoredWebhook
from services.channel_gateway.domain.model import DeliveryOutcome, SendAnswer, SendState
from services.channel_gateway.store.outcomes import Outcomes, Settlement
from services.channel_gateway.store.send_traces import SendKey
from services.channel_gateway.worker.send_traces import SendTraces, begun, write_outcomes, write_reservations
from services.channel_gateway.worker.webhook_traces import ForwardTraces, write_receipt
from tests.unit.channel_gateway.build import NOW, TEAM, job, send

CONTEXT = bytes(range(1, 25))
ACCEPTED = SendAnswer(SendState.ACCEPTED)


class Table:
    """Keeps contexts; while it is away it takes none."""

    def __init__(self) -> None:
        self.kept: dict[SendKey, bytes] = {}
        self.away = False

    async def keep(self, contexts: Mapping[SendKey, bytes], now: datetime) -> None:
        if self.away:
            raise asyncpg.ConnectionDoesNotExistError
        self.kept |= contexts

    async def find(self, sends: Collection[SendKey]) -> dict[SendKey, bytes]:
        return {key: self.kept[key] for key in sends if key in self.kept}


@pytest.fixture
def spans() -> Iterator[list[Span]]:
    """Takes all spans, and everything is sampled."""
    taken: list[Span] = []
    tracing.collect(taken.append, 1.0)
    yield taken
    tracing.collect(None)


def looked_at(table: Any) -> SendTraces:
    return SendTraces(table, SteppedClock(NOW))


@pytest.mark.rule("X-04b")
def test_who_stores_a_webhook_and_who_works_it_write_into_one_trace(spans: list[Span]) -> None:
    stored = StoredWebhook(1, TEAM, InboxSource.SHOP, "shop", "w1", b"", NOW)
    write_receipt(Incoming(TEAM, InboxSource.SHOP, "shop", "w1", b"", b"", 1, NOW), 1)
    event = event_pb2.CustomerEvent()
    traces = ForwardTraces([ConvertedWebhook(stored, [event], "")])
    traces.write()
    webhook, forward = spans
    assert (webhook.name, webhook.parent) == ("gateway.webhook", None)
    assert (forward.name, forward.parent) == ("gateway.forward", webhook.context)
    assert tracing.read_traceparent(event.traceparent) == forward.context


@pytest.mark.rule("X-04b")
async def test_what_is_accepted_is_remembered_before_it_is_written_and_after(spans: list[Span]) -> None:
    table = Table()
    traces = looked_at(table)
    sends, parents = begun(
        [send(trace=CONTEXT), send(effect_key=UUID(int=2), trace=CONTEXT), send(effect_key=UUID(int=3))]
    )
    answers = [ACCEPTED, SendAnswer(SendState.SKIPPED, "UNBOUND"), ACCEPTED]
    traces.note(sends, parents, answers)
    write_reservations(sends, parents, answers, 1)
    keys = [(each.team_id, each.effect_key) for each in sends]
    wanted = {keys[0]: sends[0].trace}
    assert await traces.of(keys) == wanted
    assert table.kept == {}
    await traces.step()
    assert table.kept == await traces.of(keys) == await looked_at(table).of(keys) == wanted
    assert [(span.context, span.parent) for span in spans] == [(each.trace, CONTEXT) for each in sends[:2]]
    taken = job()
    await looked_at(table).put_on([taken])
    assert taken.trace == sends[0].trace, "who takes a send up goes on with its trace"


@pytest.mark.rule("X-04b")
async def test_a_database_that_is_away_costs_traces_and_nothing_else(spans: list[Span]) -> None:
    table = Table()
    table.away = True
    traces = looked_at(table)
    traces.note([send(trace=CONTEXT)], [CONTEXT], [ACCEPTED])
    await traces.step()
    table.away = False
    assert await traces.of([(TEAM, send().effect_key)]) == {}


async def test_without_a_collector_nobody_asks() -> None:
    assert await looked_at(None).of([(TEAM, UUID(int=1))]) == {}


@pytest.mark.rule("X-04b")
def test_records_of_outcomes_say_which_traces_had_a_part(spans: list[Span]) -> None:
    settled = [
        Settlement(job(effect_key=UUID(int=1), trace=CONTEXT), DeliveryOutcome(SendState.SENT)),
        Settlement(job(effect_key=UUID(int=2)), DeliveryOutcome(SendState.SENT)),
    ]
    (row,) = Outcomes(settled, NOW).arguments(UUID(int=9))["records"]
    assert read_record(row[-1]).traces == [CONTEXT]
    (row,) = Outcomes(settled[1:], NOW).arguments(UUID(int=9))["records"]
    assert len(msgspec.msgpack.decode(row[-1])) == 3, "as it was, where there are none"
    write_outcomes(settled)
    (span,) = spans
    assert (span.name, span.parent, span.attributes["outcome"]) == ("gateway.send", CONTEXT, "SENT")
