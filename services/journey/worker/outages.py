"""Which faults pass by themselves: nobody's mail is to blame for them, so nobody is parked."""

from __future__ import annotations

from typing import Final

from libs.common.db.faults import PASSING
from libs.common.mailbox.errors import MailboxLost, MailboxUnavailable
from services.journey.clients.calls import ServiceUnavailable
from services.journey.domain.lifecycle import JourneyChanged

OUTAGES: Final = (
    ServiceUnavailable,
    JourneyChanged,
    MailboxUnavailable,
    MailboxLost,
    *PASSING,
)
"""A server or service does not answer, is starting or stopping, or two transactions met: try again later."""


def is_outage(error: BaseException) -> bool:
    """True if trying again later is all that is needed."""
    return isinstance(error, OUTAGES)
