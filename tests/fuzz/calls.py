"""Calls with bytes as they are: what they came to, and how long it took."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import grpc
from google.protobuf.message import DecodeError, Message

from libs.common.rpc.errors import remote_error
from tests.fuzz.rpcs import Rpc

DEADLINE_S: Final = 15.0
"""Of a call; above what is bad, so that it is seen how bad."""
POLL_DEADLINE_S: Final = 0.5
"""Of a call that asks to wait."""
_UNREAD: Final = "Internal error from Core"
"""What gRPC's client says, in its own name, when a stream ended while it was writing, before it has read the answer."""
_AGAIN: Final = 5
_PAUSE_S: Final = 0.05
ANSWERS_MAX: Final = 200
"""Messages read of a stream before the caller leaves."""


@dataclass(slots=True)
class Answer:
    """What a call came to."""

    code: str
    took_s: float
    reason: str = ""
    message: str = ""
    answers: list[Message] = field(default_factory=list)
    """The first ones."""


async def make(
    channel: grpc.aio.Channel, rpc: Rpc, parts: Sequence[bytes], deadline_s: float = DEADLINE_S
) -> Answer:
    """One call; `parts` of a client's stream, else one."""
    answer = await _make(channel, rpc, parts, deadline_s)
    for number in range(1, _AGAIN + 1 if answer.message.startswith(_UNREAD) else 1):
        # The pause between parts grows, so that a refusal is there before more is written.
        answer = await _make(channel, rpc, parts, deadline_s, number * _PAUSE_S)
        if not answer.message.startswith(_UNREAD):
            break
    return answer


async def _make(
    channel: grpc.aio.Channel, rpc: Rpc, parts: Sequence[bytes], deadline_s: float, pause_s: float = 0.0
) -> Answer:
    began_s = time.monotonic()
    try:
        answers = await _answers(channel, rpc, parts, deadline_s, pause_s)
    except grpc.aio.AioRpcError as error:
        status = remote_error(error)
        told = "; ".join([status.message, *(f"{v.field} {v.description}" for v in status.violations[:5])])
        return Answer(status.code.name, time.monotonic() - began_s, status.reason, told)
    except grpc.aio.UsageError as error:  # the stream was ended by the server meanwhile
        return Answer("CANCELLED", time.monotonic() - began_s, message=str(error))
    took_s = time.monotonic() - began_s
    try:
        return Answer("OK", took_s, answers=[rpc.answered.FromString(data) for data in answers])
    except DecodeError as error:
        return Answer("UNREADABLE", took_s, message=str(error))


async def _answers(
    channel: grpc.aio.Channel, rpc: Rpc, parts: Sequence[bytes], deadline_s: float, pause_s: float
) -> list[bytes]:
    path, opened = f"/{rpc.full_name}", cast("Any", channel)
    if rpc.method.client_streaming:
        return [await _streamed(opened.stream_unary(path)(timeout=deadline_s), parts, pause_s)]
    if not rpc.method.server_streaming:
        return [await opened.unary_unary(path)(parts[0], timeout=deadline_s)]
    read: list[bytes] = []
    call: Any = opened.unary_stream(path)(parts[0], timeout=deadline_s)
    async for data in call:
        read.append(data)
        if len(read) >= ANSWERS_MAX:
            call.cancel()
            break
    return read


async def _streamed(call: Any, parts: Sequence[bytes], pause_s: float) -> bytes:
    """Sends all that the service takes: one that has refused a part reads no more."""
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        for part in parts:
            if call.done():
                break
            await call.write(part)
            await asyncio.sleep(pause_s)
        await call.done_writing()
    answer: bytes = await call
    return answer
