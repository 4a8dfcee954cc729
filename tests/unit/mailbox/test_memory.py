"""The in-memory mailbox behaves as every mailbox must."""

import pytest

from libs.common.mailbox import InMemoryMailbox, Mailbox, MemoryServer
from libs.testing.mailbox_suite import Installation, MailboxSuite


@pytest.fixture
def installation() -> Installation:
    """A server in memory."""
    server = MemoryServer()

    async def open_one() -> Mailbox:
        return InMemoryMailbox(server)

    async def wipe() -> None:
        server.wipe()

    return Installation(open_one, wipe)


class TestInMemoryMailbox(MailboxSuite):
    """The suite."""
