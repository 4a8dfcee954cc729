"""Pauses before a restart grow, end at a limit and begin anew after a long life."""

import asyncio
import time
from dataclasses import dataclass, field

import pytest

from libs.embedded import StartFailedError
from libs.embedded.keepalive import BACKOFF, Died, Event, Restarted, keep_alive
from libs.embedded.process import Child, Spec


class FakeChild(Child):
    """A child that has ended already, after `lived_s`."""

    def __init__(self, lived_s: float) -> None:
        self.spec = Spec("thing", ["thing"], {})
        self.started_at_s = time.monotonic() - lived_s

    @property
    def pid(self) -> int:
        return 7

    @property
    def returncode(self) -> int:
        return 3


@dataclass
class Scripted:
    """Lives as long as the script says; a fault in it is a start that fails."""

    script: list[float | Exception]
    child: Child | None = None
    name: str = "thing"
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        if not self.script:
            self.done.set()
            await asyncio.Event().wait()
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        self.child = FakeChild(step)


async def _pauses(script: list[float | Exception], monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    slept = asyncio.sleep

    async def no_pause(_seconds: float) -> None:
        await slept(0)

    monkeypatch.setattr(asyncio, "sleep", no_pause)
    heard: list[Event] = []
    process = Scripted(script)
    await process.start()
    keeper = asyncio.create_task(keep_alive(process, heard.append))
    await process.done.wait()
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)
    return heard


def test_pauses_double_up_to_ten_seconds() -> None:
    assert [BACKOFF.delay_s(deaths) for deaths in range(1, 9)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


async def test_a_long_life_begins_the_pauses_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = await _pauses([0, 0, 0, 31, 0], monkeypatch)
    assert [event.delay_s for event in heard if isinstance(event, Died)] == [0.2, 0.4, 0.8, 0.2, 0.4]
    assert heard[0] == Died("thing", "exit code 3", None, 0.2)
    assert heard[1] == Restarted("thing", 7)


async def test_a_start_that_fails_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = await _pauses([0, StartFailedError("no room"), OSError("no fork"), 0], monkeypatch)
    assert [event.why for event in heard if isinstance(event, Died)] == [
        "exit code 3",
        "no room",
        "no fork",
        "exit code 3",
    ]
    assert [event.delay_s for event in heard if isinstance(event, Died)] == [0.2, 0.4, 0.8, 1.6]
