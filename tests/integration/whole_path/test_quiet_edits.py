"""Do-not-disturb that is drawn otherwise while customers rest for it and messages wait (J-06f)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio

from omnijourney.journey.v1 import enrolment_pb2
from tests.integration.journey.whole_site import LINE
from tests.integration.whole_path.stage import Stage, quiet, says, until

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("J-06f")]

QUIET, SEND = enrolment_pb2.WAIT_REASON_QUIET, enrolment_pb2.WAIT_REASON_SEND


async def _resting(stage: Stage) -> tuple[str, list[str]]:
    """A journey in whose window two customers rest, one of them in it twice."""
    await stage.at_hour(2)
    module = await stage.module("Good morning")
    journey_id = await stage.live(says("hello", module), do_not_disturb=quiet((0, 8)))
    crowd = await stage.customers(2)
    await stage.trigger(journey_id, *crowd, crowd[0])
    await stage.until_waiting(journey_id, QUIET, 3)
    return journey_id, crowd


async def test_who_rests_for_a_window_that_is_taken_away_is_sent_to_at_once(stage: Stage) -> None:
    journey_id, crowd = await _resting(stage)
    await stage.edit(journey_id, do_not_disturb=quiet())
    await stage.until_done(journey_id, 3)
    assert len(await stage.texts(*crowd)) == 3


async def test_who_rests_for_a_window_that_ends_sooner_or_later_rests_until_then(stage: Stage) -> None:
    journey_id, crowd = await _resting(stage)
    for end in (10, 4):
        await stage.edit(journey_id, do_not_disturb=quiet((0, end)))

        await until(partial(_rest_until, stage, journey_id, end))
    assert not await stage.texts(*crowd)
    await stage.at_hour(4)
    await stage.until_done(journey_id, 3)


async def _rest_until(stage: Stage, journey_id: str, hour: int) -> bool:
    ends = {each.wake_time.ToDatetime().hour for each in await stage.enrolments(journey_id)}
    return ends == {(hour - 8) % 24}


async def _waiting(stage: Stage) -> tuple[str, list[str]]:
    """A journey of which three messages wait at the gateway: LINE says that it is asked too often."""
    await stage.at_hour(12)
    await stage.emulator("post", LINE, "faults", {"kind": "rate", "count": None})
    module = await stage.module("Hello")
    journey_id = await stage.live(says("hello", module), do_not_disturb=quiet((22, 23)))
    crowd = await stage.customers(3)
    await stage.trigger(journey_id, *crowd)
    await stage.until_waiting(journey_id, SEND, 3)
    return journey_id, crowd


@pytest_asyncio.fixture(loop_scope="package")
async def _line_accepts_in_the_end(stage: Stage) -> AsyncIterator[None]:
    yield
    await stage.emulator("delete", LINE, "faults", None)


@pytest.mark.usefixtures("_line_accepts_in_the_end")
async def test_messages_that_wait_do_not_leave_in_a_window_that_is_drawn_around_them(stage: Stage) -> None:
    journey_id, crowd = await _waiting(stage)
    await stage.edit(journey_id, do_not_disturb=quiet((12, 14), (22, 23)))
    await stage.until_waiting(journey_id, QUIET, 3)
    await stage.emulator("delete", LINE, "faults", None)
    await stage.at_hour(13)
    assert not await stage.texts(*crowd)
    await stage.at_hour(14)
    await stage.until_done(journey_id, 3)
    assert len(await stage.texts(*crowd)) == 3


@pytest.mark.usefixtures("_line_accepts_in_the_end")
async def test_messages_that_wait_and_meet_no_new_window_leave_once(stage: Stage) -> None:
    journey_id, crowd = await _waiting(stage)
    await stage.edit(journey_id, do_not_disturb=quiet((20, 23)))
    # They were put off and asked for again: what waits now goes by the new windows.
    await until(lambda: _wait_for_the_new_windows(stage, journey_id))
    await stage.emulator("delete", LINE, "faults", None)
    await stage.until_done(journey_id, 3)
    assert len(await stage.texts(*crowd)) == 3


async def _wait_for_the_new_windows(stage: Stage, journey_id: str) -> bool:
    steps = await stage.steps(journey_id)
    return len(await stage.inside(journey_id, SEND)) == 3 and steps.count("hello SEND_REQUESTED") == 6
