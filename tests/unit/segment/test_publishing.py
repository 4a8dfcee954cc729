"""Facts of a large batch are published when its caller is answered, in the order of commits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest

from libs.common.clock import SteppedClock
from libs.common.config import AHEAD_MAX
from libs.common.db.pool import Connection, Pool
from libs.common.mailbox.mail import Mail
from libs.common.mailbox.relay import MailRelay
from libs.common.rpc.operations import Progress
from services.segment.domain.facts import CustomerChanged, Fact
from services.segment.worker.notifier import FactNotifiers
from services.segment.worker.writers import LARGE, FactPublisher, Writer

START = datetime(2026, 3, 1, tzinfo=UTC)
TEAM = UUID(int=1)


class _Relay:
    def __init__(self) -> None:
        self.submitted: list[int] = []
        self.came = asyncio.Event()

        self.refuses = 0
        """So many mails at once are not taken."""

    def submit(self, mails: Sequence[Mail], ranges: Mapping[int, tuple[int, int]]) -> None:
        if len(mails) == self.refuses:
            raise RuntimeError("not taken")
        self.submitted.append(len(mails))
        self.came.set()


async def _no_server() -> Connection:
    raise AssertionError("no statement runs here")


def _facts(count: int) -> list[Fact]:
    body = CustomerChanged(("name",))
    return [Fact(0, TEAM, UUID(int=n), UUID(int=n), START, START, 0, 1, body, n) for n in range(1, count + 1)]


def _publisher() -> tuple[FactPublisher, _Relay]:
    relay = _Relay()
    return FactPublisher(cast(MailRelay, cast(Any, relay)), FactNotifiers(), Progress()), relay


async def test_a_large_batch_waits_for_its_answer_and_small_ones_do_not_overtake_it() -> None:
    publisher, relay = _publisher()
    publisher.publish(_facts(LARGE - 1))
    assert relay.submitted == [LARGE - 1]
    relay.came.clear()
    publisher.publish(_facts(LARGE))
    publisher.publish(_facts(1))
    assert relay.submitted == [LARGE - 1]
    assert publisher.pending == LARGE + 1
    async with asyncio.timeout(10):
        await relay.came.wait()
    assert relay.submitted == [LARGE - 1, LARGE, 1]
    assert publisher.pending == 0
    publisher.publish(_facts(1))
    assert relay.submitted == [LARGE - 1, LARGE, 1, 1]


async def test_what_waits_is_pending_work_and_is_published_when_the_service_stops() -> None:
    publisher, relay = _publisher()
    writer = Writer(Pool(_no_server, 1), SteppedClock(START), publisher, AHEAD_MAX)
    publisher.publish(_facts(LARGE))
    assert writer.pending == LARGE
    await writer.drain()
    assert relay.submitted == [LARGE]
    assert writer.pending == 0


async def test_a_batch_that_cannot_be_published_holds_up_no_other() -> None:
    publisher, relay = _publisher()
    relay.refuses = LARGE
    for count in (LARGE, LARGE + 1, 1):
        publisher.publish(_facts(count))
    with pytest.raises(RuntimeError):
        publisher.flush()
    async with asyncio.timeout(10):
        await relay.came.wait()
    assert relay.submitted == [LARGE + 1, 1]
    assert publisher.pending == 0
