"""Mail that operators drop: what becomes of those who waited for it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from libs.common.mailbox.mail import Mail, SendOutcome
from services.journey.domain import effects as fx
from services.journey.domain.model import Enrolment, EnrolmentState, Step, StepResult, WaitReason
from services.journey.domain.turn import RunSegment

OUTCOME_DROPPED: Final = "OUTCOME_DROPPED"
"""Detail of the step at which somebody halts whose outcome was dropped."""


def halted_by_drop(enrolments: Iterable[Enrolment], mails: Sequence[Mail], now: datetime) -> list[RunSegment]:
    """Ends of the live enrolments that wait for an outcome among `mails`: nothing else would ever wake them."""
    outcomes = {mail.body.effect_key for mail in mails if isinstance(mail.body, SendOutcome)}
    return [
        RunSegment(
            enrolment.journey_id,
            enrolment.enrolment_id,
            enrolled=False,
            steps=(Step(enrolment.node_id, enrolment.visit, StepResult.HALTED, now, False, OUTCOME_DROPPED),),
            state=EnrolmentState.HALTED,
            at=now,
        )
        for enrolment in enrolments
        if enrolment.wait is WaitReason.SEND and fx.send_key(enrolment) in outcomes
    ]
