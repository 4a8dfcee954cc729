"""The brake on what comes from outside while too much that was accepted waits to be delivered.

Only input from outside is refused. What journeys cause themselves (effects, outcomes of sends) is always taken: turns
need it to end, and only turns make room in the mailboxes.
"""

from __future__ import annotations

from typing import Final

from libs.common.errors import ResourceExhausted
from libs.common.mailbox.relay import MailRelay

RETRY_AFTER_S: Final = 1.0
SETTING: Final = "OMNIJOURNEY_MAIL_BACKLOG_MAX"


class Intake:
    """Bounds the undelivered history of one source."""

    def __init__(self, relay: MailRelay, backlog_max: int) -> None:
        """`backlog_max` history rows may wait."""
        self._relay = relay
        self._backlog_max = backlog_max

    def check(self) -> None:
        """Raises ResourceExhausted `OVERLOADED` while more waits than may."""
        if self._relay.backlog >= self._backlog_max:
            raise ResourceExhausted.overloaded(SETTING, RETRY_AFTER_S)
