"""The waits of a stop fit into the deadline of whoever asks for it, and that of a cancellation ends with the send's."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from libs.common.clock import SteppedClock
from libs.common.ids import new_id
from libs.common.rpc.client import CALL_DEADLINE_S
from services.channel_gateway.domain.model import DeliveryOutcome, Reason, SendState
from services.channel_gateway.store.facts import Written
from services.channel_gateway.store.outcomes import Settlement
from services.channel_gateway.worker import fence
from services.channel_gateway.worker.fence import STOP_OTHERS_WAIT_S, STOP_WAIT_S, Fence
from services.journey.worker.brakes import ANSWER_S
from tests.unit.channel_gateway.build import NOW, TEAM, job

NOTHING = Written([], {})


def test_a_stop_says_within_its_callers_deadline_that_it_has_to_be_asked_for_again() -> None:
    spare_s = 1.0  # for the statements between
    assert STOP_WAIT_S + STOP_OTHERS_WAIT_S + spare_s < ANSWER_S < CALL_DEADLINE_S


class Table:
    """Of one send, which comes back from the wire between two looks: the first finds it there, the second where it
    waits again."""

    def __init__(self, *before: SendState | None) -> None:
        self.before = list(before)

    async def cancel(
        self, _team_id: UUID, _effect_key: UUID, _now: datetime, _sender: UUID
    ) -> tuple[list[Settlement], Written, SendState | None]:
        if self.before:
            return [], NOTHING, self.before.pop(0)
        cancelled = DeliveryOutcome(SendState.CANCELLED, Reason.ENROLMENT_ENDED)
        return [Settlement(job(), cancelled)], NOTHING, SendState.ACCEPTED

    def publish(self, *_: Any) -> None:
        """Nobody reads it."""


@pytest.mark.parametrize(
    ("before", "is_cancelled"),
    [
        ([], True),
        ([SendState.IN_FLIGHT], True),
        ([SendState.IN_FLIGHT, SendState.ACCEPTED], True),
        ([SendState.ACCEPTED], True),
        ([SendState.IN_FLIGHT, SendState.SENT], False),
        ([None], False),
    ],
)
async def test_a_send_that_waits_again_is_cancelled_also_between_two_looks(
    before: list[SendState | None], is_cancelled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fence, "_LOOK_EVERY_S", 0.0)
    table: Any = Table(*before)
    made = Fence(new_id(), table, SteppedClock(NOW), table)
    assert await made.cancel(TEAM, UUID(int=100)) is is_cancelled
    assert not table.before
