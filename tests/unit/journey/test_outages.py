"""What is nobody's fault delays, and parks nobody."""

from __future__ import annotations

import pytest

from libs.common.errors import NoConnection, ResourceExhausted
from libs.common.mailbox.errors import MailboxUnavailable
from services.journey.clients.calls import ServiceUnavailable
from services.journey.worker.outages import is_outage


@pytest.mark.parametrize(
    "error",
    [
        NoConnection.overloaded("database connections", 1.0),
        TimeoutError(),
        ConnectionRefusedError(),
        ServiceUnavailable(),
        MailboxUnavailable("away"),
    ],
)
def test_whoever_has_to_wait_for_a_server_or_a_connection_is_not_to_blame(error: Exception) -> None:
    assert is_outage(error)


@pytest.mark.parametrize("error", [ValueError("odd"), ResourceExhausted.message_too_large("a call", 2, 1)])
def test_a_fault_of_ones_own_is_no_outage(error: Exception) -> None:
    assert not is_outage(error)
