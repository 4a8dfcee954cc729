"""Batches of turns begin apart, so that they gather; what comes after a pause is begun at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from uuid import UUID

from libs.common.clock import SystemClock
from libs.common.mailbox.memory import InMemoryMailbox
from libs.common.rpc.operations import Progress
from libs.testing.leases import LeaseTable
from libs.testing.virtual_loop import VirtualLoop
from services.journey.domain.model import ActorKey
from services.journey.worker.actors import Worker
from services.journey.worker.pacing import LINGER_S
from services.journey.worker.residents import Residents
from services.journey.worker.takeover import MailboxRepair
from services.journey.worker.turns import BatchOutcome, TurnRunner, Waiting
from tests.sim.turn_store import InMemoryTurnStore, Tables

KEYS = [ActorKey(0, UUID(int=1), UUID(int=number)) for number in range(4)]
PAUSE_S = 0.5


class RecordingRunner(TurnRunner):
    """Commits nothing, and knows when it was asked for how many."""

    def __init__(self) -> None:
        self.batches: list[tuple[float, int]] = []
        self.residents = Residents()

    async def run_all(self, batch: Mapping[ActorKey, Waiting], leases: Mapping[int, int]) -> BatchOutcome:
        self.batches.append((asyncio.get_running_loop().time(), len(batch)))
        return BatchOutcome({}, set(batch), {})


async def _worked() -> list[tuple[float, int]]:
    """When batches began, and how many customers they held: one customer, two soon after, one after a pause."""
    loop = asyncio.get_running_loop()
    store = InMemoryTurnStore(Tables(LeaseTable(loop.time)))
    runner = RecordingRunner()
    mailbox = InMemoryMailbox()
    worker = Worker(
        mailbox=mailbox,
        store=store,
        runner=runner,
        repair=MailboxRepair(mailbox, store, {}),
        clock=SystemClock(),
        progress=Progress(),
        real_time=loop.time,
    )
    worker.set_leases({0: 1})
    stopping = asyncio.Event()
    running = asyncio.create_task(worker.run(stopping))
    for key, pause_s in zip(KEYS, (LINGER_S / 8, LINGER_S / 8, PAUSE_S, LINGER_S / 8), strict=True):
        worker.ask_again([key])
        await asyncio.sleep(pause_s)
    stopping.set()
    await running
    return runner.batches


def _loop() -> VirtualLoop:
    return VirtualLoop(seconds_max=60)  # type: ignore[abstract]  # asyncio asks for no more


def test_batches_gather_what_comes_within_the_linger() -> None:
    (first, one), (second, two), (third, again_one) = _loop().run(_worked())
    assert (one, two, again_one) == (1, 2, 1)
    assert first == 0
    assert second == first + LINGER_S
    assert third == LINGER_S / 4 + PAUSE_S
