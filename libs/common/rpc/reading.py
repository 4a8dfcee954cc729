"""How a call's message is received: its size is known before it is parsed, and what it may take before it is kept.

Our own services' messages are received as gRPC does it. Those of clients are read by their handler, when there is room:
on its own gRPC receives a message of up to MESSAGE_BYTES_MAX for each call that is made, and 2 bytes of it can be an
empty item that takes 80 in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import cache
from typing import Any, Final, NamedTuple

import grpc
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import DecodeError

from libs.common.errors import InvalidArgument, ResourceExhausted
from libs.common.rpc import limits
from libs.common.rpc.admission import method_of
from libs.common.rpc.errors import StatusError, deadline_exceeded
from libs.common.rpc.room import Use, Uses

Decode = Callable[[bytes], Any]

_TEXTS: Final = frozenset(
    {
        "omnijourney.journey.v1.JourneyService/ApplyJourney",
        "omnijourney.journey.v1.JourneyService/ImportJourney",
    }
)
"""Hold a journey as one text."""
_LOW: Final = bytes(range(8))
_BYTES_A_BYTE: Final = 10
"""Memory for a byte of a message of items that have at least 8 bytes each."""
_BYTES_AN_ITEM: Final = 85
"""Memory for an empty item, with its place in a list."""
_BYTES_A_BYTE_MAX: Final = _BYTES_AN_ITEM // 2
_GUESSED_MAX: Final = limits.CLIENT_PARSED_BYTES_MAX // 4
"""Up to here the worst is assumed: looking at the bytes costs some 2 ms for a megabyte."""


class Undecodable(NamedTuple):
    """Bytes that are no request: told as any other fault. gRPC would say UNKNOWN."""

    why: str


class Form:
    """The messages of one RPC, as bytes."""

    def __init__(self, rpc: str, decode: Decode | None) -> None:
        """`decode` is the generated one; None, as gRPC says, for the bytes as they are."""
        method = method_of(rpc)
        self._name = rpc.rpartition("/")[2]
        self._decode = decode
        self._lists = method is None or holds_lists(method.input_type)
        large = self._lists or rpc in _TEXTS
        self.client_bytes_max = limits.CLIENT_MESSAGE_BYTES_MAX if large else limits.CLIENT_PLAIN_BYTES_MAX

    def decode(self, data: bytes) -> Any:
        """The message, or an `Undecodable`."""
        if self._decode is None:
            return data
        try:
            return self._decode(data)
        except DecodeError as error:
            return Undecodable(str(error))

    def hold_to(self, size: int, bytes_max: int) -> None:
        """Raises ResourceExhausted `MESSAGE_TOO_LARGE`."""
        if size > bytes_max:
            raise ResourceExhausted.message_too_large(self._name, size, bytes_max)

    def estimate(self, data: bytes) -> int:
        """Bytes that the parsed message takes at most.

        An item of fewer than 8 bytes has its length in a byte below 8, and tags are never below 8: so there are no
        more such items than such bytes.
        """
        if not self._lists:
            return 2 * len(data)
        worst = _BYTES_A_BYTE_MAX * len(data)
        if worst <= _GUESSED_MAX:
            return worst
        low = len(data) - len(data.translate(None, _LOW))
        return min(worst, _BYTES_A_BYTE * len(data) + _BYTES_AN_ITEM * low)


class Incoming:
    """The messages of one call of anybody: small ones, and soon."""

    def __init__(self, form: Form, rpc: str, context: Any) -> None:
        """Nothing is read yet."""
        self._form = form
        self._rpc = rpc
        self._context = context

    async def one(self) -> Any:
        """The one message of a call that has one. Raises what `parts` raises, InvalidArgument for none."""
        message = await self._next()
        if message is grpc.aio.EOF:
            raise InvalidArgument("INVALID_FIELDS", "the call has no request")
        return message

    async def parts(self) -> AsyncIterator[Any]:
        """Each message, or `Undecodable`. Raises ResourceExhausted `MESSAGE_TOO_LARGE`, and DEADLINE_EXCEEDED."""
        while (message := await self._next()) is not grpc.aio.EOF:
            yield message

    async def _next(self) -> Any:
        data = await self._received(limits.OPEN_IDLE_MAX_S)
        if data is grpc.aio.EOF:
            return data
        self._form.hold_to(len(data), limits.OPEN_MESSAGE_BYTES_MAX)
        return self._form.decode(data)

    async def _received(self, within_s: float) -> Any:
        """The next message as bytes, or EOF. Raises DEADLINE_EXCEEDED when none comes in time."""
        left_s = self._context.time_remaining()
        if left_s is not None and left_s <= within_s:
            return await self._context.read()  # gRPC ends it
        try:
            async with asyncio.timeout(within_s) as limit:
                return await self._context.read()
        except TimeoutError:
            if limit.expired():
                raise StatusError(deadline_exceeded(self._rpc)) from None
            raise


class ClientIncoming(Incoming):
    """The messages of one call of a client: received when there is room. Raises `OVERLOADED` when none comes free.

    What they take is held until the block ends.
    """

    def __init__(self, form: Form, rpc: str, uses: Uses, client: Use, context: Any) -> None:
        """Nothing is read, and nothing held."""
        super().__init__(form, rpc, context)
        self._uses = uses
        self._client = client
        self._held = 0

    def __enter__(self) -> ClientIncoming:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Gives back what was held."""
        if self._held:
            self._uses.parsed.give_back(self._client, self._held)
            self._held = 0

    async def _next(self) -> Any:
        reads = self._uses.reads
        if not reads.try_take(self._client, 1):
            await reads.take(self._client, 1)
        try:
            data = await self._received(limits.READ_MAX_S)
            if data is grpc.aio.EOF:
                return data
            self._form.hold_to(len(data), self._form.client_bytes_max)
            estimate = self._form.estimate(data)
            # What can never be had is not waited for.
            self._form.hold_to(self._held + estimate, limits.CLIENT_PARSED_BYTES_MAX)
            if not self._uses.parsed.try_take(self._client, estimate):
                await self._uses.parsed.take(self._client, estimate)
            self._held += estimate
        finally:
            reads.give_back(self._client, 1)
        return self._form.decode(data)


@cache
def holds_lists(message: Descriptor) -> bool:
    """Whether a message, however deep, may hold many of something: such messages may be large, and large when parsed.

    Masks of fields list a few paths only, and do not count.
    """
    seen, waiting = {message, FieldMask.DESCRIPTOR}, [message]
    while waiting:
        for field in waiting.pop().fields:
            if _is_many(field):
                return True
            if field.message_type is not None and field.message_type not in seen:
                seen.add(field.message_type)
                waiting.append(field.message_type)
    return False


def _is_many(field: FieldDescriptor) -> bool:
    if field.is_repeated:
        return field.enum_type is None
    return field.type == FieldDescriptor.TYPE_BYTES or field.message_type is field.containing_type
