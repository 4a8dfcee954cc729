"""The waits of a stop fit into the deadline of whoever asks for it."""

from __future__ import annotations

from libs.common.rpc.client import CALL_DEADLINE_S
from services.channel_gateway.worker.fence import STOP_OTHERS_WAIT_S, STOP_WAIT_S
from services.journey.worker.brakes import ANSWER_S


def test_a_stop_says_within_its_callers_deadline_that_it_has_to_be_asked_for_again() -> None:
    spare_s = 1.0  # for the statements between
    assert STOP_WAIT_S + STOP_OTHERS_WAIT_S + spare_s < ANSWER_S < CALL_DEADLINE_S
