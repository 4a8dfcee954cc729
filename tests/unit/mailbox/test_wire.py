"""What a server's absence is taken for."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
import uvloop

from libs.common.mailbox.errors import MailboxUnavailable
from libs.common.mailbox.wire import translated


def test_a_write_to_a_connection_that_was_just_closed_passes_as_a_server_that_is_away() -> None:
    """As the event loop of our processes answers it: by a class of its own, which ended the process."""

    async def write_late() -> None:
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            with translated():
                writer.writelines([b"PING"])

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, pytest.raises(MailboxUnavailable):
        runner.run(write_late())


def test_another_fault_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="ours"), translated():
        raise RuntimeError("ours")
