"""Values that are kept for a moment."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from services.channel_gateway.worker.kept import Kept


class Source:
    """Counts what is read; reads wait for `go_on`."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.read: list[str] = []
        self.go_on = asyncio.Event()
        self.kept: Kept[str, str] = Kept(2.0, keys_max=2, reads_max=3, elapsed_s=lambda: self.now_s)

    def reading(self, key: str) -> Callable[[], Awaitable[str]]:
        async def read() -> str:
            self.read.append(key)
            await self.go_on.wait()
            return f"{key} {len(self.read)}"

        return read

    async def nothing(self) -> str:
        """What a key leads to that was made up."""
        await self.go_on.wait()
        return ""

    async def ask(self, key: str) -> str:
        return await self.kept.of(key, self.reading(key))


async def test_many_who_ask_at_once_wait_for_few_reads() -> None:
    source = Source()
    asking = [asyncio.create_task(source.ask("a")) for _ in range(100)]
    await asyncio.sleep(0)
    assert source.read == ["a"] * 3
    source.go_on.set()
    await asyncio.gather(*asking)
    assert source.read == ["a"] * 3


async def test_a_value_is_kept_for_its_time_and_read_again_when_it_is_forgotten() -> None:
    source = Source()
    source.go_on.set()
    assert [await source.ask("a"), await source.ask("a")] == ["a 1", "a 1"]
    source.now_s = 2.0
    assert await source.ask("a") == "a 2"
    source.kept.forget("a")
    assert await source.ask("a") == "a 3"


async def test_so_many_keys_are_kept_and_no_more() -> None:
    source = Source()
    source.go_on.set()
    for key in ("a", "b", "c", "c", "a"):
        await source.ask(key)
    assert source.read == ["a", "b", "c", "a"]


async def test_keys_that_were_made_up_neither_hold_up_nor_push_out_one_that_leads_somewhere() -> None:
    source = Source()
    source.go_on.set()
    assert await source.ask("a") == "a 1"
    source.go_on.clear()
    made_up = [asyncio.create_task(source.kept.of(str(number), source.nothing)) for number in range(100)]
    await asyncio.sleep(0)
    source.now_s = 2.0
    again = asyncio.create_task(source.ask("a"))
    await asyncio.sleep(0)
    assert source.read == ["a", "a"], "it does not wait for those"
    source.go_on.set()
    assert await again == "a 2"
    assert await asyncio.gather(*made_up) == [""] * 100
    assert await source.ask("a") == "a 2", "it is kept"


async def test_a_read_that_fails_is_its_askers_alone() -> None:
    source = Source()

    async def fail() -> str:
        raise OSError("away")

    with pytest.raises(OSError, match="away"):
        await source.kept.of("a", fail)
    source.go_on.set()
    assert await source.ask("a") == "a 1"
