"""What is kept of accounts and content in memory is bounded by number and by bytes."""

from __future__ import annotations

from uuid import UUID

import pytest

from services.channel_gateway.store import catalogue
from services.channel_gateway.store.catalogue import Found, Kept
from tests.unit.channel_gateway.build import TEAM, module


def read(*numbers: int, size: int) -> Found:
    """Modules of these numbers, as the database gave them."""
    return Found({}, {(TEAM, UUID(int=number)): module() for number in numbers}, {}, size)


def kept(memory: Kept, *numbers: int) -> list[int]:
    held = memory.held(set(), {(TEAM, UUID(int=number)) for number in numbers}, set())
    return sorted(key.int for _, key in held.modules)


def test_what_is_read_is_kept_until_it_is_too_much_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "KEPT_BYTES_MAX", 100)
    memory = Kept()
    memory.keep(read(1, size=40))
    memory.keep(read(2, size=60))
    assert kept(memory, 1, 2, 3) == [1, 2]
    memory.keep(read(3, size=1))
    assert kept(memory, 1, 2, 3) == [3], "all else is read again when it is needed"
    memory.keep(read(4, size=99))
    assert kept(memory, 3, 4) == [3, 4], "what was forgotten counts no more"
    memory.keep(read(5, size=1_000))
    assert kept(memory, 3, 4, 5) == [5]
    memory.keep(read(6, size=0))
    assert kept(memory, 5, 6) == [6]


def test_what_is_read_is_kept_until_it_is_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "KEPT_MAX", 2)
    memory = Kept()
    for number in range(4):
        memory.keep(read(number, size=0))
    assert kept(memory, *range(4)) == [3]
