"""Whose turn it is to be called, and when a turn ends."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest

from libs.common.clock import SteppedClock
from libs.common.ids import new_id
from services.channel_gateway.domain.webhooks_out import (
    Called,
    Due,
    SigningKey,
    Subscription,
    SubscriptionState,
)
from services.channel_gateway.worker import webhooks_out as worker
from services.channel_gateway.worker.webhooks_out import AT_ONCE, WebhookSender
from tests.unit.channel_gateway.build import NOW, TEAM

SUBSCRIPTION = Subscription(
    *(TEAM, UUID(int=1), "https://shop.example", ("contact.created",), SubscriptionState.ACTIVE),
    *((SigningKey(b"1"),), NOW, NOW, 1),
)
KEY = (TEAM, SUBSCRIPTION.subscription_id)
TAKEN, FAILED = Called(204, "", 1), Called(0, "there was no answer in time", 15_000)


class Table:
    """The webhooks of one subscription, and what is done to them."""

    def __init__(self, count: int) -> None:
        self.waiting = [Due(new_id(), "contact.created", b"{}", 0) for _ in range(count)]
        self.claims = 0
        self.noted: list[Called] = []
        self.fault: Exception | None = None

    async def due(self, _row_max: int) -> list[tuple[UUID, UUID]]:
        return [KEY]

    async def claim(self, _key: Any, row_max: int) -> list[Due]:
        self.claims += 1
        if self.fault is not None:
            raise self.fault
        claimed, self.waiting = self.waiting[:row_max], self.waiting[row_max:]
        return claimed

    async def subscription(self, *_key: UUID) -> Subscription:
        return SUBSCRIPTION

    async def note(self, _key: Any, _webhook: Due, called: Called, _wait_s: float | None) -> None:
        self.noted.append(called)

    async def put_back(self, _key: Any, webhooks: Sequence[Due]) -> None:
        self.waiting += webhooks


class Line:
    """Calls that nobody hears."""

    def __init__(self, answer: Callable[[], Called]) -> None:
        self._answer = answer

    async def call(self, _url: str, _secrets: Sequence[bytes], _webhook: Due) -> Called:
        return self._answer()


def sender(table: Table, answer: Callable[[], Called]) -> WebhookSender:
    made: Any = (table, Line(answer), SteppedClock(NOW), random.Random(1))
    return WebhookSender(*made)


async def turn(of: WebhookSender) -> None:
    """One look, and the turn that begins with it."""
    await of.step()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        await task


async def test_all_that_waits_is_sent_in_a_turn() -> None:
    table = Table(2 * AT_ONCE + 1)
    await turn(sender(table, lambda: TAKEN))
    assert (len(table.noted), table.waiting) == (2 * AT_ONCE + 1, [])


async def test_a_turn_ends_with_a_call_that_failed_and_the_others_wait() -> None:
    table = Table(AT_ONCE)
    answers = iter([TAKEN, FAILED])
    await turn(sender(table, lambda: next(answers)))
    assert (table.noted, len(table.waiting)) == ([TAKEN, FAILED], AT_ONCE - 2)


async def test_a_turn_ends_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "TURN_S", 0.0)
    table = Table(AT_ONCE)
    await turn(sender(table, lambda: TAKEN))
    assert (table.noted, len(table.waiting)) == ([TAKEN], AT_ONCE - 1)


async def test_a_sender_that_stops_ends_the_call_under_way_and_makes_no_other() -> None:
    table, stopping = Table(2 * AT_ONCE), asyncio.Event()

    def answer() -> Called:
        stopping.set()
        return TAKEN

    await sender(table, answer).run(stopping)
    assert (table.noted, len(table.waiting)) == ([TAKEN], 2 * AT_ONCE - 1)


async def test_a_database_that_does_not_take_it_is_not_asked_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "LOOK_EVERY_S", 3_600.0)
    table, stopping = Table(1), asyncio.Event()
    table.fault = OSError("it went away")
    running = sender(table, lambda: TAKEN)
    task = asyncio.create_task(running.run(stopping))
    for _ in range(100):
        running.wake()
        await asyncio.sleep(0)
    await running.step()
    stopping.set()
    await task
    assert table.claims == 1
