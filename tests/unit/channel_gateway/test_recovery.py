"""The look for sends that nobody works on, as far as it is about stints."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from libs.common.ids import new_id
from services.channel_gateway.worker import recovery
from services.channel_gateway.worker.recovery import Recovery
from services.channel_gateway.worker.stints import Stints

OWN, GONE, ALIVE = new_id(), new_id(), new_id()


class Store:
    """Has stints, and no send that is left."""

    def __init__(self, *standing: tuple[UUID, UUID]) -> None:
        self.standing = list(standing)
        self.gathered: list[list[UUID]] = []
        self.ended: list[list[UUID]] = []

    async def unsettled_senders(self) -> dict[UUID, set[UUID]]:
        return {}

    async def take_up_put_off(self, *_: object) -> list[object]:
        return []

    async def stints(self) -> list[tuple[UUID, UUID]]:
        return self.standing

    async def gather_stints(self, stints: Sequence[UUID], target: UUID, sender: UUID) -> None:
        assert sender == OWN
        assert target not in stints
        self.gathered.append(list(stints))

    async def end_stints(self, stints: Sequence[UUID]) -> None:
        self.ended.append(list(stints))


class Liveness:
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[UUID] = []

    async def is_gone(self, sender: UUID) -> bool:
        self.asked.append(sender)
        return sender == GONE


def looking(store: Store, liveness: Liveness, stints: Stints) -> Recovery:
    sender: Any = SimpleNamespace(sender_id=OWN, stints=stints, queue=SimpleNamespace(refills=list))
    return Recovery(store, SimpleNamespace(), liveness, sender, traces=SimpleNamespace())  # type: ignore[arg-type]


async def test_stints_end_of_ourselves_but_the_last_and_of_those_who_are_gone() -> None:
    stints, liveness = Stints(), Liveness()
    last, over, gone = stints.take(1), new_id(), [new_id() for _ in range(3)]
    standing = [(last, OWN), (over, OWN), *((each, GONE) for each in gone), (new_id(), ALIVE)]
    store = Store(*standing)
    await looking(store, liveness, stints).step()
    assert store.ended == [[over, *gone]]
    assert sorted(liveness.asked) == sorted([GONE, ALIVE]), "each is asked about once"
    assert store.gathered == []


async def test_many_stints_are_gathered_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1_000.0
    monkeypatch.setattr("services.channel_gateway.worker.recovery.time.monotonic", lambda: now_s)
    many = [new_id() for _ in range(recovery.GATHER_FROM + 1)]
    store = Store(*((each, OWN) for each in many))
    looks = looking(store, Liveness(), Stints())
    for _ in range(3):
        await looks.step()
    assert store.gathered == [many]
    now_s += recovery.GATHER_EVERY_S
    await looks.step()
    assert (store.gathered, len(store.ended)) == ([many, many], 4)
